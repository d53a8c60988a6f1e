"""What all distributions promise: samples, densities, entropy, KL and gradients that agree."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rljax.ops.distributions import (
    Beta,
    Categorical,
    Distribution,
    Gaussian,
    MultiCategorical,
    SquashedGaussian,
)

SIZES = (3, 2, 4)
SAMPLES = 10_000
# About twenty such tests in all: 1e-3 each is a 2 % chance that a sound sampler fails one of them.
ALPHA = 1e-3
# Length of the parameters' last axis, shape and dtype of one action.
KINDS = {
    "categorical": (5, (), jnp.int32),
    "multi_categorical": (sum(SIZES), (3,), jnp.int32),
    "gaussian": (2, (2,), jnp.float32),
    "squashed_gaussian": (2, (2,), jnp.float32),
    "beta": (2, (2,), jnp.float32),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, seed):
    """A random batch of two distributions."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 2, KINDS[kind][0])).astype(np.float32)
    return {
        "categorical": lambda: Categorical(2.0 * first),
        "multi_categorical": lambda: MultiCategorical(2.0 * first, SIZES),
        "gaussian": lambda: Gaussian(first, 0.5 * second),
        "squashed_gaussian": lambda: SquashedGaussian(first, 0.5 * second),
        "beta": lambda: Beta(np.exp(first), np.exp(second)),
    }[kind]()


@jax.jit
def run(p, q, many, noise):
    action, reversed_action = jax.vmap(many.sample)(jnp.stack([noise, noise[::-1]]))
    return {
        "action": action,
        "action_of_reversed_noise": reversed_action,
        "log_prob": many.log_prob(action),
        "other_log_prob": q.log_prob(action),
        "entropy": p.entropy(),
        "kl": p.kl(q),
        "kl_to_itself": p.kl(p),
        "mode": p.mode(),
    }


def repeated(p):
    return jax.tree.map(lambda x: np.broadcast_to(x, (SAMPLES, *x.shape)), p)


@functools.cache
def experiment(kind):
    """Samples of p and all that p and q say of them; computed once, it is mostly compilation."""
    p, q = make(kind, 0), make(kind, 1)
    noise = type(p).draw_noise(jax.random.key(0), (SAMPLES, 2), KINDS[kind][0])
    return p, q, noise, jax.device_get(run(p, q, repeated(p), noise))


@every_kind
def test_shapes_and_dtypes(kind):
    p, _, noise, results = experiment(kind)
    size, event, dtype = KINDS[kind]
    assert isinstance(p, Distribution)
    chex.assert_shape(noise, (SAMPLES, 2, size, 2) if kind == "beta" else (SAMPLES, 2, size))
    chex.assert_shape([results["action"], results["mode"]], [(SAMPLES, 2, *event), (2, *event)])
    chex.assert_type([results["action"], results["mode"]], dtype)
    for name in ("entropy", "kl"):
        chex.assert_shape(results[name], (2,))
    chex.assert_shape([results["log_prob"], results["other_log_prob"]], (SAMPLES, 2))
    chex.assert_type([results[n] for n in ("log_prob", "entropy", "kl")], jnp.float32)


@every_kind
def test_a_sample_depends_on_its_own_noise_only(kind):
    *_, results = experiment(kind)
    action = results["action"]
    np.testing.assert_array_equal(results["action_of_reversed_noise"], action[::-1])
    assert len(np.unique(action[:, 0], axis=0)) > 1


@every_kind
def test_samples_agree_with_density_entropy_and_kl(kind):
    *_, results = experiment(kind)
    log_p, log_q = results["log_prob"], results["other_log_prob"]
    for estimates, exact in [(-log_p, results["entropy"]), (log_p - log_q, results["kl"])]:
        error = np.std(estimates, axis=0) / np.sqrt(SAMPLES)
        np.testing.assert_array_less(np.abs(np.mean(estimates, axis=0) - exact), 4.0 * error)
    np.testing.assert_allclose(results["kl_to_itself"], 0.0, atol=1e-6)
    assert np.all(results["kl"] > 0.01)


@every_kind
def test_gradients_are_finite(kind):
    p, q, _, results = experiment(kind)

    @jax.jit
    @jax.grad
    def gradients_of(p):
        return jnp.sum(p.log_prob(results["action"][0]) + p.entropy() + p.kl(q))

    gradients = gradients_of(p)
    chex.assert_tree_all_finite(gradients)
    assert all(np.any(leaf != 0.0) for leaf in jax.tree.leaves(gradients))


def softmax(logits):
    weights = np.exp(np.asarray(logits, np.float64))
    return weights / weights.sum(-1, keepdims=True)


def test_categorical_against_scipy():
    p, q, _, results = experiment("categorical")
    probs, other = softmax(p.logits), softmax(q.logits)
    np.testing.assert_allclose(results["entropy"], stats.entropy(probs, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(results["kl"], stats.entropy(probs, other, axis=-1), rtol=1e-4)
    np.testing.assert_array_equal(results["mode"], probs.argmax(-1))
    for row in range(2):
        action = results["action"][:, row]
        expected = np.log(probs[row, action])
        np.testing.assert_allclose(results["log_prob"][:, row], expected, rtol=1e-5)
        assert (
            stats.chisquare(np.bincount(action, minlength=5), SAMPLES * probs[row]).pvalue > ALPHA
        )


def test_multi_categorical_against_scipy():
    p, q, _, results = experiment("multi_categorical")
    starts = np.cumsum([0, *SIZES])
    probs, other = (
        [softmax(d.logits[:, a:b]) for a, b in itertools.pairwise(starts)] for d in (p, q)
    )
    entropy = sum(stats.entropy(x, axis=-1) for x in probs)
    kl = sum(stats.entropy(x, y, axis=-1) for x, y in zip(probs, other, strict=True))
    np.testing.assert_allclose(results["entropy"], entropy, rtol=1e-5)
    np.testing.assert_allclose(results["kl"], kl, rtol=1e-4)
    np.testing.assert_array_equal(results["mode"], np.stack([x.argmax(-1) for x in probs], -1))
    for row in range(2):
        action = results["action"][:, row]
        expected = sum(np.log(x[row, action[:, i]]) for i, x in enumerate(probs))
        np.testing.assert_allclose(results["log_prob"][:, row], expected, rtol=1e-5)
        for i, x in enumerate(probs):
            counts = np.bincount(action[:, i], minlength=SIZES[i])
            assert stats.chisquare(counts, SAMPLES * x[row]).pvalue > ALPHA
        # Independent: the most probable pair is as frequent as its factors say.
        both = np.mean((action[:, 0] == probs[0][row].argmax()) & (action[:, 1] == 0))
        np.testing.assert_allclose(both, probs[0][row].max() * probs[1][row, 0], atol=0.02)


def assert_continuous(results, action, reference, log_prob_shift=0.0):
    expected = (reference.logpdf(np.float64(action)) - log_prob_shift).sum(-1)
    np.testing.assert_allclose(results["log_prob"], expected, rtol=1e-4, atol=1e-4)
    for i in np.ndindex(2, 2):
        uniform = reference.cdf(action)[:, *i]
        assert stats.kstest(uniform, "uniform").pvalue > ALPHA


def log_slope(u):
    return 2.0 * (np.log(2.0) - u - np.logaddexp(0.0, -2.0 * u))


def gaussian_kl(p, q):
    (m, s), (n, t) = ((np.float64(d.mean), np.exp(np.float64(d.log_std))) for d in (p, q))
    return (np.log(t / s) + (s**2 + (m - n) ** 2) / (2.0 * t**2) - 0.5).sum(-1)


@pytest.mark.parametrize("kind", ["gaussian", "squashed_gaussian"])
def test_gaussians_against_scipy(kind):
    p, q, _, results = experiment(kind)
    reference = stats.norm(np.float64(p.mean), np.exp(np.float64(p.log_std)))
    shift = log_slope(np.float64(results["action"])) if kind == "squashed_gaussian" else 0.0
    assert_continuous(results, results["action"], reference, shift)
    if kind == "gaussian":
        np.testing.assert_allclose(results["entropy"], reference.entropy().sum(-1), rtol=1e-5)
    np.testing.assert_allclose(results["kl"], gaussian_kl(p, q), rtol=1e-4)
    np.testing.assert_array_equal(results["mode"], p.mean)


def test_beta_against_scipy():
    p, q, _, results = experiment("beta")
    (a, b), (c, d) = ((np.float64(x.alpha), np.float64(x.beta)) for x in (p, q))
    reference = stats.beta(a, b)
    assert_continuous(results, results["action"], reference)
    np.testing.assert_allclose(results["entropy"], reference.entropy().sum(-1), rtol=1e-4)
    # E_p[log p - log q], the mean taken over quantiles of p.
    grid = (np.arange(20_000) + 0.5)[:, None, None] / 20_000
    x = np.clip(reference.ppf(grid), 1e-300, 1.0 - 1e-16)
    kl = (reference.logpdf(x) - stats.beta(c, d).logpdf(x)).mean(0).sum(-1)
    np.testing.assert_allclose(results["kl"], kl, rtol=2e-3)


def test_beta_samples_and_their_densities_stay_inside():
    p = Beta(*np.array([[[0.01, 0.01], [200, 1]], [[0.01, 200], [0.01, 1]]], np.float32))
    noise = Beta.draw_noise(jax.random.key(9), (SAMPLES, 2), 2)
    results = run(p, p, repeated(p), noise)
    action, bounded = results["action"], p.bounded(results["action"])
    assert 0.0 < action.min() < 1e-5 and 1.0 - 1e-5 < action.max() < 1.0
    assert -1.0 < bounded.min() < -0.99 and 0.99 < bounded.max() < 1.0
    slope = jax.jit(jax.grad(lambda d: d.log_prob(action).sum()))(p)
    chex.assert_tree_all_finite((results, slope))
