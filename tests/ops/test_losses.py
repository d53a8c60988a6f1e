"""Losses against NumPy in float64, their gradients, and their edges."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.ops import losses


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normals(rng, count, size=200):
    return rng.normal(size=(count, size)).astype(np.float32)


def test_clipped_surrogate_case_by_case(rng):
    new, old, advantages = normals(rng, 3)
    got = losses.clipped_surrogate(new, old, advantages, 0.2)
    for i in range(len(new)):
        ratio = np.exp(np.float64(new[i]) - np.float64(old[i]))
        if advantages[i] >= 0:
            objective = min(ratio, 1.2) * advantages[i]
        else:
            objective = max(ratio, 0.8) * advantages[i]
        np.testing.assert_allclose(got[i], -objective, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("log_ratio", "advantage", "moves"),
    [
        (0.0, 1.0, True),
        (0.0, -1.0, True),
        (0.5, 1.0, False),
        (0.5, -1.0, True),
        (-0.5, 1.0, True),
        (-0.5, -1.0, False),
    ],
)
def test_clipped_surrogate_gradient_vanishes_only_past_the_clip(log_ratio, advantage, moves):
    def loss(log_prob):
        return losses.clipped_surrogate(log_prob, jnp.float32(0.0), jnp.float32(advantage), 0.2)

    expected = -advantage * np.exp(log_ratio) if moves else 0.0
    np.testing.assert_allclose(jax.grad(loss)(log_ratio), expected, rtol=1e-6)


def test_value_losses(rng):
    values, old, returns = normals(rng, 3)
    plain = 0.5 * (values.astype(np.float64) - returns) ** 2
    held = old + np.clip(values - old, -0.3, 0.3)
    clipped = np.maximum(plain, 0.5 * (held.astype(np.float64) - returns) ** 2)
    np.testing.assert_allclose(losses.value_loss(values, returns), plain, rtol=1e-5, atol=1e-7)
    got = losses.clipped_value_loss(values, old, returns, 0.3)
    np.testing.assert_allclose(got, clipped, rtol=1e-5, atol=1e-7)
    assert np.any(clipped > plain + 0.1)


def test_approximate_kl_is_non_negative_and_zero_at_zero():
    log_ratio = np.concatenate([np.geomspace(1e-12, 5.0, 3000), [0.0]]).astype(np.float32)
    log_ratio = np.concatenate([log_ratio, -log_ratio])
    got = losses.approximate_kl(log_ratio, jnp.zeros_like(log_ratio))
    assert np.all(got >= 0.0) and got[3000] == 0.0
    exact = np.expm1(log_ratio.astype(np.float64)) - log_ratio
    np.testing.assert_allclose(got, exact, rtol=1e-4, atol=1e-7)


def test_approximate_kl_estimates_the_kl_of_old_from_new(rng):
    old_logits, new_logits = normals(rng, 2, size=5)
    old_probs, new_probs = (np.exp(x) / np.exp(x).sum() for x in (old_logits, new_logits))
    actions = rng.choice(5, size=200_000, p=old_probs / old_probs.sum())
    got = losses.approximate_kl(
        jnp.log(new_probs)[actions].astype(jnp.float32), jnp.log(old_probs)[actions]
    )
    np.testing.assert_allclose(
        got.mean(), np.sum(old_probs * np.log(old_probs / new_probs)), rtol=0.02
    )


def test_clip_fraction():
    ratios = jnp.array([0.7, 0.79, 0.81, 1.0, 1.19, 1.21, 3.0])
    got = losses.clip_fraction(jnp.log(ratios), jnp.zeros(7), 0.2)
    np.testing.assert_array_equal(got, [1, 1, 0, 0, 0, 1, 1])


def test_explained_variance(rng):
    returns = rng.normal(size=500)
    values = returns + 0.5 * rng.normal(size=500)

    def explained(residuals, targets):
        return losses.explained_variance(
            jnp.float32(np.var(residuals)), jnp.float32(np.var(targets))
        )

    np.testing.assert_allclose(
        explained(returns - values, returns),
        1 - np.var(returns - values) / np.var(returns),
        rtol=1e-5,
    )
    assert explained(returns - returns, returns) == 1.0
    assert explained(returns - 0.3, returns) == pytest.approx(0.0, abs=1e-6)
    assert explained(returns, np.full(500, 0.25)) == 0.0
    assert explained(np.zeros(5), np.zeros(5)) == 0.0


def test_explained_variance_gradient_is_finite_without_variance():
    gradients = jax.grad(losses.explained_variance, argnums=(0, 1))(
        jnp.float32(1.0), jnp.float32(0.0)
    )
    chex.assert_tree_all_finite(gradients)


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
def test_huber(delta):
    x = np.linspace(-5, 5, 101)
    expected = np.where(np.abs(x) <= delta, x**2 / 2, delta * (np.abs(x) - delta / 2))
    np.testing.assert_allclose(losses.huber(jnp.asarray(x), delta), expected, rtol=1e-5, atol=1e-6)
    slope = jax.vmap(jax.grad(losses.huber), (0, None))(jnp.asarray(x, jnp.float32), delta)
    off_the_joint = np.abs(np.abs(x) - delta) > 1e-3
    np.testing.assert_allclose(
        slope[off_the_joint], np.clip(x, -delta, delta)[off_the_joint], rtol=1e-5, atol=1e-6
    )


def test_nothing_is_reduced_and_shapes_must_agree():
    x = jnp.ones((3, 4))
    for got in (
        losses.clipped_surrogate(x, x, x, 0.2),
        losses.clip_fraction(x, x, 0.2),
        losses.approximate_kl(x, x),
        losses.value_loss(x, x),
        losses.clipped_value_loss(x, x, x, 0.2),
        losses.huber(x, 1.0),
    ):
        chex.assert_shape(got, (3, 4))
    with pytest.raises(AssertionError):
        losses.value_loss(x, x[:, :1])
    with pytest.raises(AssertionError):
        losses.clipped_surrogate(x, x, x[0], 0.2)
