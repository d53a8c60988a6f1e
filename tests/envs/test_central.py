"""The global state goes wherever observations go: starts, steps, resets and last observations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs_jax
from envs_jax.autoreset import AutoReset
from envs_jax.central import WithGlobalState
from envs_jax.spaces import ACTION_MASK, ACTIVE, GLOBAL_STATE

ENVS, STEPS, AGENTS = 8, 30, 3


def make(mode="full", **options):
    world, params = envs_jax.make("team/squad", num_agents=AGENTS, **options)
    return AutoReset(world, mode, 3), params


def roll(env, params):
    """First observation, and T steps of every environment."""
    keys = jax.random.split(jax.random.key(0), ENVS)

    @jax.jit
    def run(keys):
        state, first = env.init(keys, params)
        bank = env.make_bank(keys, params)

        def step(state, number):
            step_keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
            action = env.sample_actions(step_keys, params)
            return env.step(step_keys, state, action, params, bank)

        return first, jax.lax.scan(step, state, jnp.arange(STEPS))[1]

    return jax.tree.map(np.asarray, run.lower(keys).compile()(keys))


@pytest.mark.parametrize("mode", ["full", "bank"])
def test_the_last_state_of_an_episode_is_its_own(mode):
    first, steps = roll(*make(mode))
    number, time = first[GLOBAL_STATE].T
    assert (time == 0).all() and len(set(number)) == ENVS
    kinds = set()
    for t in range(STEPS):
        ended = steps.terminated[t] | steps.truncated[t]
        last, following = (
            steps.final_observation[GLOBAL_STATE][t],
            steps.observation[GLOBAL_STATE][t],
        )
        np.testing.assert_array_equal(last, np.stack([number, time + 1], -1))
        np.testing.assert_array_equal(following[~ended], last[~ended])
        assert (following[ended, 1] == 0).all() and (following[ended, 0] != number[ended]).all()
        kinds |= set(zip(steps.terminated[t], steps.truncated[t], strict=True))
        number, time = following.T
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}


@pytest.mark.parametrize("mode", ["full", "bank"])
def test_what_agents_see_is_of_the_same_moment(mode):
    first, steps = roll(*make(mode))
    everything = [first, steps.observation, steps.final_observation]
    for seen in everything:
        number, time = np.moveaxis(seen[GLOBAL_STATE], -1, 0)
        own = seen["observation"]
        np.testing.assert_allclose(own[..., 0, 0], number, atol=1e-6)
        np.testing.assert_allclose(own[..., 0, 2], time / 4, atol=1e-6)
        assert own.shape == (*number.shape, AGENTS, 3)


def test_shapes_of_a_step():
    first, steps = roll(*make(actions="masked", rests=True))
    assert set(first) == {"observation", ACTION_MASK, ACTIVE, GLOBAL_STATE}
    assert first[ACTIVE].shape == (ENVS, AGENTS) and first[ACTIVE].dtype == bool
    assert steps.reward.shape == (STEPS, ENVS, AGENTS)
    assert steps.terminated.shape == steps.truncated.shape == (STEPS, ENVS)


def test_the_rest_is_the_world_s_own():
    world, params = envs_jax.make("team/squad", num_agents=AGENTS)
    central = WithGlobalState(world)
    assert (central.name, central.num_agents) == ("Squad", AGENTS)
    assert central.default_params == world.default_params
    assert central.action_space(params).n == 3
    assert central.observation_space(params).shape == (3,)
    _, state = central.reset_env(jax.random.key(0), params)
    np.testing.assert_array_equal(
        central.global_state(state, params), world.global_state(state, params)
    )
    for age, expected in ((4, False), (5, True)):
        assert central.is_truncated(state.replace(time=age), params) == expected
    aged = central.observe(jax.random.key(0), state.replace(time=3), None, params)
    assert aged[GLOBAL_STATE][1] == 3
    with pytest.raises(NotImplementedError):
        central.render(state, params)


def test_it_is_added_once_and_to_teams_only():
    env, _ = make()
    again = AutoReset(env.env)
    assert again.env is env.env and again.num_agents == AGENTS
    alone, params = envs_jax.make("probe/ticking")
    single = AutoReset(alone)
    assert single.num_agents is None and single.env is alone
    assert single.init(jax.random.split(jax.random.key(0), 2), params)[1].shape == (2, 3)


def test_random_ages_reach_the_global_state():
    env, params = make("bank")
    init = jax.jit(lambda keys: env.init(keys, params, True))
    _, seen = init(jax.random.split(jax.random.key(0), 200))
    ages = np.bincount(np.asarray(seen[GLOBAL_STATE][:, 1], int), minlength=5)
    assert len(ages) == 5 and ages.min() > 20
    np.testing.assert_allclose(seen["observation"][:, 0, 2], seen[GLOBAL_STATE][:, 1] / 4)
