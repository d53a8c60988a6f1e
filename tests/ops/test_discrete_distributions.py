"""Masks, and actions that cannot be."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rljax.ops.distributions import Categorical, MultiCategorical

SIZES = (3, 2, 4)
SAMPLES = 10_000
# As in test_distributions.
ALPHA = 1e-3


def logits(seed, *shape):
    return jnp.asarray(2.0 * np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_an_action_out_of_range_shows():
    log_prob = Categorical(logits(0, 5)).log_prob(jnp.array([-1, 0, 4, 5]))
    np.testing.assert_array_equal(np.isnan(log_prob), [True, False, False, True])
    multi = MultiCategorical(logits(0, 9), SIZES)
    log_prob = multi.log_prob(jnp.array([[2, 1, 3], [0, 2, 0], [3, 0, 0]]))
    np.testing.assert_array_equal(np.isnan(log_prob), [False, True, True])


def test_masked_is_the_distribution_over_what_is_allowed():
    raw = logits(1, 5)
    mask = np.array([True, False, True, True, False])
    allowed = np.flatnonzero(mask)
    small = np.exp(np.float64(raw[allowed]))
    small /= small.sum()

    @jax.jit
    def run(noise):
        p = Categorical.masked(raw, jnp.asarray(mask))
        return p.entropy(), p.log_prob(jnp.asarray(allowed)), p.mode(), p.sample(noise)

    noise = Categorical.draw_noise(jax.random.key(4), (SAMPLES,), 5)
    entropy, log_prob, mode, action = run(noise)
    np.testing.assert_allclose(entropy, stats.entropy(small), rtol=1e-5)
    np.testing.assert_allclose(log_prob, np.log(small), rtol=1e-5)
    assert mode == allowed[small.argmax()]
    counts = np.bincount(action, minlength=5)
    assert counts[~mask].sum() == 0
    assert stats.chisquare(counts[allowed], SAMPLES * small).pvalue > ALPHA


def test_masked_gradients_are_finite_and_zero_where_forbidden():
    raw = 10.0 * logits(2, 3, 5)
    mask = jnp.array([[True, False, True, True, False], [False] * 4 + [True], [False] * 5])

    def terms(raw):
        p, q = Categorical.masked(raw, mask), Categorical.masked(0.5 * raw, mask)
        return p.entropy() + p.kl(q) + p.log_prob(jnp.array([0, 4, 1]))

    value, gradient = jax.jit(lambda x: (terms(x), jax.grad(lambda y: terms(y).sum())(x)))(raw)
    chex.assert_tree_all_finite((value, gradient))
    assert np.all(gradient[0][~mask[0]] == 0.0) and np.all(gradient[0][mask[0]] != 0.0)
    np.testing.assert_array_equal(gradient[1], 0.0)
    assert value[1] == 0.0 and np.all(gradient[2] != 0.0)


def test_even_a_sum_over_forbidden_actions_is_finite():
    p = Categorical.masked(logits(3, 5), jnp.arange(5) == 0)
    assert p.log_prob(jnp.int32(1)) < -1e20
    assert np.isfinite(jnp.sum(p.log_prob(jnp.full(10_000, 1))))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_a_mask_that_allows_nothing_allows_everything(dtype):
    raw = logits(4, 2, 5).astype(dtype)
    p = Categorical.masked(raw, jnp.zeros((2, 5), bool))
    chex.assert_trees_all_equal(p, Categorical(raw.astype(jnp.float32)))
    one = Categorical.masked(raw, jnp.arange(5) == 3)
    np.testing.assert_array_equal(one.entropy(), 0.0)
    np.testing.assert_array_equal(one.mode(), 3)


def test_multi_categorical_masks_choice_by_choice():
    raw = logits(5, 9)
    # Two of the first three, none of the second pair (so both), the last two of the last four.
    mask = jnp.array([True, False, True, False, False, False, False, True, True])

    @jax.jit
    def run(noise):
        p = MultiCategorical.masked(raw, SIZES, mask)
        action = p.sample(noise)
        return action, p.log_prob(action), p.entropy()

    noise = MultiCategorical.draw_noise(jax.random.key(5), (SAMPLES,), 9)
    action, log_prob, entropy = run(noise)
    weights = np.exp(np.float64(raw)) * [1, 0, 1, 1, 1, 0, 0, 1, 1]
    probs = [part / part.sum() for part in np.split(weights, [3, 5])]
    np.testing.assert_allclose(entropy, sum(stats.entropy(part) for part in probs), rtol=1e-5)
    for i, part in enumerate(probs):
        counts = np.bincount(action[:, i], minlength=SIZES[i])
        assert np.all(counts[part == 0.0] == 0)
        assert stats.chisquare(counts[part > 0], SAMPLES * part[part > 0]).pvalue > ALPHA
    expected = sum(np.log(part[action[:, i]]) for i, part in enumerate(probs))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=1e-6)


def test_multi_categorical_says_which_lengths_disagree():
    with pytest.raises(ValueError, match="length 8, expected 9"):
        MultiCategorical(jnp.zeros(8), SIZES).mode()
    with pytest.raises(ValueError, match="length 5, expected 9"):
        MultiCategorical.masked(jnp.zeros(9), SIZES, jnp.ones(5, bool))


def test_masks_must_be_bool():
    with pytest.raises(AssertionError):
        Categorical.masked(jnp.zeros(3), jnp.ones(3))
