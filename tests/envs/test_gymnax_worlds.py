"""Every world that gymnax registers runs through AutoReset, in both modes."""

import functools

import chex
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import AutoReset, make

BATCH, STEPS, LIMIT = 3, 50, 7
# MNISTBandit downloads its images.
IDS = [name for name in gymnax.registered_envs if name != "MNISTBandit-bsuite"]


@functools.cache
def made(env_id):
    """One instance for both tests: gymnax's jitted methods cache their traces by instance."""
    return make(env_id, max_steps_in_episode=LIMIT)


def avals(tree):
    """What jit compares before it decides to trace again: shape, dtype and weakness."""
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


@pytest.mark.parametrize("env_id", IDS)
def test_runs_in_both_modes_and_full_is_what_gymnax_does(env_id):
    env, params = made(env_id)
    full, bank = AutoReset(env), AutoReset(env, "bank", 2)
    space = env.action_space(params)

    def body(starts, states, keys):
        action = jax.vmap(space.sample)(keys)
        by_gymnax = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, states[0].world, action, params
        )
        full_state, by_full = full.step(keys, states[0], action, params)
        bank_state, by_bank = bank.step(keys, states[1], action, params, starts)
        return (full_state, bank_state), (by_gymnax, full_state.world, by_full, by_bank)

    @jax.jit
    def run(keys, step_keys):
        states = full.init(keys, params)[0], bank.init(keys, params)[0]
        starts = bank.make_bank(keys, params)
        return jax.lax.scan(functools.partial(body, starts), states, step_keys)

    keys = jax.random.split(jax.random.key(0), BATCH)
    step_keys = jax.random.split(jax.random.key(1), (STEPS, BATCH))
    _, (by_gymnax, world, by_full, by_bank) = run(keys, step_keys)

    for batch, steps in ((full, by_full), (bank, by_bank)):
        shape = (STEPS, BATCH, *batch.observation_space(params).shape)
        chex.assert_shape([steps.observation, steps.final_observation], shape)
        chex.assert_shape([steps.reward, steps.terminated, steps.truncated], (STEPS, BATCH))
        chex.assert_type([steps.reward, steps.terminated, steps.truncated], [float, bool, bool])
        chex.assert_tree_all_finite(steps)
        done = np.asarray(steps.terminated | steps.truncated)
        assert done.sum(axis=0).min() >= STEPS // LIMIT  # every environment, again and again

    observation, state, reward, terminated, truncated, info = by_gymnax
    if env_id == "FrozenLake-misc":
        observation = jax.nn.one_hot(observation, 16)
        info["final_observation"] = jax.nn.one_hot(info["final_observation"], 16)
    chex.assert_trees_all_equal(world, state)
    chex.assert_trees_all_equal(by_full.observation, observation)
    chex.assert_trees_all_equal(by_full.final_observation, info["final_observation"])
    chex.assert_trees_all_equal(by_full.reward, reward.astype(jnp.float32))
    chex.assert_trees_all_equal(by_full.terminated, terminated)
    chex.assert_trees_all_equal(by_full.truncated, truncated)


@pytest.mark.parametrize("env_id", IDS)
def test_avals_are_those_of_init(env_id):
    env, params = made(env_id)
    keys = jax.random.split(jax.random.key(0), BATCH)
    space = env.action_space(params)
    action = jax.ShapeDtypeStruct((BATCH, *space.shape), space.dtype)
    for batch in (AutoReset(env), AutoReset(env, "bank")):
        state, observation = jax.eval_shape(batch.init, keys, params)
        bank = jax.eval_shape(batch.make_bank, keys, params)

        following, step = jax.eval_shape(batch.step, keys, state, action, params, bank)

        assert avals(following) == avals(state)
        assert avals(step.observation) == avals(step.final_observation) == avals(observation)
        assert not any(leaf.weak_type for leaf in jax.tree.leaves((state, observation, step, bank)))
    phased = jax.eval_shape(functools.partial(batch.init, random_phase=True), keys, params)
    assert avals(phased) == avals((state, observation))
