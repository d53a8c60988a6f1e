"""The edges of the continuous distributions."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from rljax.ops.distributions import Beta, Gaussian, SquashedGaussian


def log_slope(u):
    return 2.0 * (np.log(2.0) - u - np.logaddexp(0.0, -2.0 * u))


def beta_of(alpha, beta):
    return Beta(jnp.asarray(alpha, jnp.float32), jnp.asarray(beta, jnp.float32))


def test_gaussian_takes_one_log_std_for_all_states():
    mean = jnp.asarray(np.random.default_rng(0).normal(size=(7, 2)), jnp.float32)
    shared, apart = jnp.array([-1.0, 0.5]), jnp.tile(jnp.array([-1.0, 0.5]), (7, 1))

    def run(log_std):
        p = Gaussian(mean, log_std)
        return p.sample(mean), p.log_prob(0.5 * mean), p.entropy(), p.kl(Gaussian(-mean, log_std))

    chex.assert_trees_all_close(run(shared), run(apart), rtol=1e-6)
    chex.assert_shape(run(shared)[1:], (7,))


def test_gaussian_kl_of_neighbours_does_not_cancel():
    p, q = Gaussian(jnp.zeros(1), jnp.zeros(1)), Gaussian(jnp.full(1, 1e-3), jnp.full(1, 1e-3))
    exact = 1e-3 + (1.0 + 1e-6) / (2.0 * np.exp(2e-3)) - 0.5
    np.testing.assert_allclose(p.kl(q), exact, rtol=1e-3)


def test_gaussian_has_no_bounded_map_and_no_event_axis_mix_up():
    p = Gaussian(jnp.zeros((2, 3)), jnp.zeros(3))
    assert not hasattr(p, "bounded")
    with pytest.raises(AssertionError):
        p.log_prob(jnp.zeros((2, 1)))


def test_squashed_density_integrates_to_the_probability():
    p = SquashedGaussian(jnp.array([0.4]), jnp.array([-0.3]))
    a = np.linspace(-0.999, 0.999, 1001)
    u = np.arctanh(a)
    density = np.exp(p.log_prob(jnp.asarray(u[:, None], jnp.float32)))
    reference = stats.norm(0.4, np.exp(-0.3))
    np.testing.assert_allclose(density, reference.pdf(u) / (1.0 - a**2), rtol=1e-3)
    probability = np.diff(reference.cdf(u[[0, -1]]))
    np.testing.assert_allclose(integrate.simpson(density, x=a), probability, rtol=1e-3)


def test_squashed_is_stable_where_tanh_saturates():
    p, u = SquashedGaussian(jnp.array([30.0]), jnp.array([0.0])), jnp.array([31.0])
    expected = stats.norm.logpdf(1.0) - log_slope(31.0)
    np.testing.assert_allclose(p.log_prob(u), expected, rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda d, u: d.log_prob(u) + d.entropy(), argnums=(0, 1)))
    chex.assert_tree_all_finite(gradient(p, u))


@pytest.mark.parametrize(("std", "error"), [(0.2, 1e-4), (1.0, 1e-4), (2.0, 0.005), (5.0, 0.12)])
def test_squashed_entropy_by_quadrature(std, error):
    means = np.array([-3.0, -0.7, 0.0, 1.5])
    log_std = jnp.full((4, 1), np.log(std), jnp.float32)
    entropy = SquashedGaussian(jnp.asarray(means[:, None], jnp.float32), log_std).entropy()
    for mean, got in zip(means, entropy, strict=True):
        base = stats.norm(mean, std)
        limits = (mean - 12.0 * std, mean + 12.0 * std)
        slope, _ = integrate.quad(lambda u, b=base: log_slope(u) * b.pdf(u), *limits, limit=200)
        np.testing.assert_allclose(got, base.entropy() + slope, atol=error)


def test_squashed_bounds_u_only_on_request():
    p = SquashedGaussian(jnp.array([2.0, -1.0]), jnp.zeros(2))
    np.testing.assert_array_equal(p.sample(jnp.array([1.5, 0.0])), [3.5, -1.0])
    np.testing.assert_allclose(p.bounded(p.mode()), np.tanh([2.0, -1.0]), rtol=1e-6)
    np.testing.assert_array_equal(p.bounded(jnp.array([50.0, -50.0])), [1.0, -1.0])


def test_beta_mode_is_the_peak_or_the_mean():
    p = beta_of([3.0, 1.0, 0.5, 1.0, 2.0], [2.0, 1.0, 0.5, 3.0, 1.0])
    expected = [2.0 / 3.0, 0.5, 0.5, 0.25, 2.0 / 3.0]
    np.testing.assert_allclose(p.mode(), expected, rtol=1e-6)
    grid = np.linspace(0.01, 0.99, 981)
    np.testing.assert_allclose(p.mode()[0], grid[np.argmax(stats.beta.pdf(grid, 3, 2))], atol=2e-3)
    chex.assert_tree_all_finite(jax.jit(jax.grad(lambda d: d.mode().sum()))(p))


def test_beta_keys_do_not_depend_on_the_default_generator():
    # rbg keys have four words, threefry's two.
    with jax.default_prng_impl("rbg"):
        noise = jax.eval_shape(lambda: Beta.draw_noise(jax.random.key(0), (5,), 2))
        p = beta_of(np.ones((5, 2)), np.ones((5, 2)))
        action = jax.eval_shape(p.sample, noise)
    chex.assert_shape((noise, action), [(5, 2, 2), (5, 2)])
