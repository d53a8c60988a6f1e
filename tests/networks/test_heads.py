"""From network outputs to distributions, and from stored actions to the environment's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import spaces
from rljax.core.errors import UserError
from rljax.networks import NetworkConfig
from rljax.networks.heads import make_head
from rljax.ops import Beta, Categorical, Gaussian, MultiCategorical, SquashedGaussian

LOW, HIGH = np.array([-2.0, 0.0, -1.0]), np.array([2.0, 1.0, 3.0])


def box():
    return spaces.Box(LOW, HIGH, (3,))


def head_of(space=None, **config):
    return make_head(space or box(), NetworkConfig(**config))


def test_kinds():
    assert head_of(spaces.Discrete(4)).kind == "categorical"
    multi = head_of(spaces.MultiDiscrete((3, 2)))
    assert (multi.kind, multi.num_outputs, multi.sizes) == ("multi_categorical", 5, (3, 2))
    assert head_of().kind == "gaussian"
    assert head_of().num_outputs == 3
    assert head_of(std="state").num_outputs == 6
    assert head_of(distribution="squashed_gaussian").num_outputs == 3
    assert head_of(distribution="beta").num_outputs == 6


def test_distributions():
    outputs = jnp.arange(10.0).reshape(2, 5)
    mask = jnp.ones((2, 5), bool).at[:, 0].set(False)
    assert isinstance(head_of(spaces.Discrete(5)).distribution(outputs, None, None), Categorical)
    masked = head_of(spaces.Discrete(5)).distribution(outputs, None, mask)
    np.testing.assert_array_equal(jax.nn.softmax(masked.logits)[:, 0], 0)
    multi = head_of(spaces.MultiDiscrete((3, 2)))
    assert isinstance(multi.distribution(outputs, None, None), MultiCategorical)
    masked = multi.distribution(outputs, None, mask)
    assert masked.log_prob(jnp.array([[0, 1], [0, 1]])).max() < -1e20
    gaussian = head_of().distribution(outputs[:, :3], jnp.zeros(3), None)
    assert isinstance(gaussian, Gaussian)
    np.testing.assert_array_equal(gaussian.mean, outputs[:, :3])


def test_state_dependent_deviation():
    head = head_of(std="state", initial_std=0.5)
    outputs = jnp.concatenate([jnp.ones((2, 3)), jnp.zeros((2, 3))], -1)
    distribution = head.distribution(outputs, None, None)
    np.testing.assert_array_equal(distribution.mean, 1)
    np.testing.assert_allclose(jnp.exp(distribution.log_std), 0.5, rtol=1e-6)
    far = head.distribution(outputs.at[:, 3:].set(1e6), None, None)
    assert np.isfinite(far.entropy()).all()


def test_beta_has_one_peak_inside():
    outputs = jnp.array([[-50.0, 0.0, 5.0, 50.0, 0.0, -5.0]])
    distribution = head_of(distribution="beta").distribution(outputs, None, None)
    assert isinstance(distribution, Beta)
    assert (distribution.alpha >= 1).all() and (distribution.beta >= 1).all()
    assert np.isfinite(distribution.log_prob(jnp.full((1, 3), 1e-6))).all()


@pytest.mark.parametrize(
    ("kind", "stored"),
    [("gaussian", (-1, 0, 1)), ("squashed_gaussian", (-20, 0, 20)), ("beta", (0, 0.5, 1))],
)
def test_the_range_is_filled(kind, stored):
    head = head_of(distribution=kind)
    outputs = jnp.zeros((1, head.num_outputs))
    distribution = head.distribution(outputs, jnp.zeros(3), None)
    for action, expected in zip(stored, (LOW, (LOW + HIGH) / 2, HIGH), strict=True):
        scaled = head.to_environment(distribution, jnp.full((1, 3), float(action)))
        np.testing.assert_allclose(scaled[0], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "squashed_gaussian", "beta"])
@pytest.mark.parametrize("std", ["learned", "state"])
def test_samples_stay_within_bounds(kind, std):
    head = head_of(distribution=kind, std=std, initial_std=3.0)
    outputs = 5 * jax.random.normal(jax.random.key(0), (500, head.num_outputs))
    distribution = head.distribution(outputs, jnp.log(jnp.full(3, 3.0)), None)
    stored = distribution.sample(head.draw_noise(jax.random.key(1), (500,)))
    action = np.asarray(head.to_environment(distribution, stored))
    assert (action >= LOW).all() and (action <= HIGH).all()
    if kind == "gaussian":  # the stored one, which the density belongs to, is not clipped
        assert (np.abs(stored) > 1).mean() > 0.5
        clipped = (action == LOW.astype(np.float32)) | (action == HIGH.astype(np.float32))
        np.testing.assert_array_equal(clipped.mean() > 0.5, True)


def test_unbounded_dimensions_pass_unchanged():
    space = spaces.Box(np.array([-np.inf, -2.0]), np.array([np.inf, 2.0]), (2,))
    head = head_of(space)
    distribution = Gaussian(jnp.zeros((1, 2)), jnp.zeros(2))
    scaled = head.to_environment(distribution, jnp.array([[7.0, 7.0]]))
    np.testing.assert_allclose(scaled, [[7.0, 2.0]])


def test_one_bound_clips():
    space = spaces.Box(np.array([0.0, -np.inf]), np.array([np.inf, 3.0]), (2,))
    distribution = Gaussian(jnp.zeros((1, 2)), jnp.zeros(2))
    for scaled in (True, False):
        head = head_of(space, scale_actions=scaled)
        for stored, expected in (([-3.0, 9.0], [0.0, 3.0]), ([9.0, -3.0], [9.0, -3.0])):
            taken = head.to_environment(distribution, jnp.array([stored]))
            np.testing.assert_allclose(taken, [expected])


def test_actions_have_the_shape_of_the_space():
    head = head_of(spaces.Box(-1.0, 1.0, (2, 2)))
    distribution = Gaussian(jnp.zeros((5, 7, 4)), jnp.zeros(4))
    assert head.to_environment(distribution, jnp.zeros((5, 7, 4))).shape == (5, 7, 2, 2)


@pytest.mark.parametrize("kind", ["squashed_gaussian", "beta"])
def test_bounded_distributions_need_bounds(kind):
    space = spaces.Box(-np.inf, np.inf, (2,))
    with pytest.raises(UserError, match=f"{kind} needs a bounded action space.*gaussian"):
        head_of(space, distribution=kind)


def test_squashed_uses_its_own_class():
    head = head_of(distribution="squashed_gaussian")
    assert isinstance(head.distribution(jnp.zeros((1, 3)), jnp.zeros(3), None), SquashedGaussian)
