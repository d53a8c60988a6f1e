"""MaskedCartPole is CartPole, seen through a keyhole."""

import chex
import jax
import numpy as np

from envs_jax import make


def test_same_physics_without_velocities():
    masked, params = make("MaskedCartPole-v1", max_steps_in_episode=20)
    plain, plain_params = make("CartPole-v1", max_steps_in_episode=20)
    key = jax.random.key(4)
    seen, state = masked.reset(key, params)
    whole, plain_state = plain.reset(key, plain_params)
    np.testing.assert_array_equal(seen, whole[np.array([0, 2])])

    flags = []
    for t in range(25):
        key, action = jax.random.fold_in(key, t), t % 2
        seen, state, *rest = masked.step(key, state, action, params)
        whole, plain_state, *plain_rest = plain.step(key, plain_state, action, plain_params)
        np.testing.assert_array_equal(seen, whole[np.array([0, 2])])
        chex.assert_trees_all_equal(state, plain_state)
        chex.assert_trees_all_equal(rest[:3], plain_rest[:3])
        flags.append(bool(rest[2]))
    assert flags == [t == 19 for t in range(25)]


def test_spaces_and_hooks():
    env, params = make("MaskedCartPole-v1")
    space = env.observation_space(params)
    assert space.shape == (2,) and env.num_actions == 2
    np.testing.assert_allclose(space.high, [4.8, 2 * params.theta_threshold_radians], rtol=1e-6)
    observation, state = env.reset(jax.random.key(0), params)
    np.testing.assert_array_equal(env.observe(jax.random.key(1), state, None, params), observation)
    assert bool(env.is_terminated(state.replace(x=3.0), params))
