"""Rollouts: what is stored, what it is bootstrapped from, and on what it does not depend."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs_jax
from envs_jax.autoreset import AutoReset
from helpers import SMALL
from probe_envs import tick
from rljax.core.types import Actors
from rljax.data.rollout import _where_needed, collect, next_values, start_actors
from rljax.networks import NetworkConfig, make_network
from rljax.ops import Moments

ENVS, LENGTH, CHUNK = 24, 16, 4
KINDS = [("none", True), ("gru", False), ("lstm", True)]


@functools.cache
def setting(core, separate, actions="discrete", random_phase=False, **network):
    """A network with parameters far from their start, and ``run(actors, key)``."""
    world, env_params = envs_jax.make("probe/ticking", actions=actions)
    env = AutoReset(world, "bank", 2)
    config = {**SMALL, "core": core, "separate_value": separate, "policy_scale": 1.0, **network}
    net = make_network(env.action_space(env_params), NetworkConfig(**config))
    env_params = jax.tree.map(jnp.asarray, env_params)
    moments = Moments(jnp.full(3, 0.2), jnp.full(3, 4.0), jnp.array([0.0, 9.0]))

    @jax.jit
    def start(ids):
        actors = start_actors(env, net, jax.random.key(1), ids, env_params, random_phase)
        example = jax.tree.map(lambda x: x[:1][None], actors.observation)
        params = net.init(jax.random.key(0), net.initial_carry(1), example, jnp.zeros((1, 1), bool))
        return params, actors

    @jax.jit
    def run(params, actors, key):
        return collect(env, net, params, moments, env_params, actors, key, LENGTH, CHUNK)

    return net, start, run, moments


def two_rollouts(core, separate, ids=None, **options):
    """The second of two, which begins in the middle of episodes, and where it begins."""
    network, start, run, _ = setting(core, separate, **options)
    params, actors = start(jnp.arange(ENVS) if ids is None else ids)
    middle, _ = run(params, actors, jax.random.key(2))
    after, rollout = run(params, middle, jax.random.key(3))
    return network, params, middle, after, rollout


def normalised(observation):
    return (observation - 0.2) / np.sqrt(4.0 + 1e-8)


@pytest.mark.parametrize(("core", "separate"), KINDS)
def test_replay_gives_what_was_stored(core, separate):
    network, params, before, after, rollout = two_rollouts(core, separate)
    steps = rollout.transitions
    assert steps.reset[1:].any(0).all(), "every environment should meet a reset"
    carry = before.carry
    for chunk in range(LENGTH // CHUNK):
        at = np.s_[chunk * CHUNK : (chunk + 1) * CHUNK]
        stored = jax.tree.map(lambda c, chunk=chunk: c[chunk], rollout.carries)
        chex.assert_trees_all_close(stored, carry, atol=1e-6)
        carry, distribution, value = network.apply(
            params, stored, normalised(steps.observation[at]), steps.reset[at]
        )
        np.testing.assert_allclose(
            distribution.log_prob(steps.action[at]), steps.log_prob[at], atol=1e-5
        )
        np.testing.assert_allclose(value, steps.value[at], atol=1e-5)
    chex.assert_trees_all_close(carry, after.carry, atol=1e-6)


@pytest.mark.parametrize(("core", "separate"), KINDS)
def test_values_of_the_true_next_observation(core, separate):
    network, params, before, _, rollout = two_rollouts(core, separate)
    steps = jax.tree.map(np.asarray, rollout.transitions)
    got = np.asarray(next_values(rollout))
    cut = steps.truncated & ~steps.terminated
    assert cut.sum() > 20 and steps.terminated.sum() > 20 and (cut.sum(1) > 3).any()

    value = jax.jit(functools.partial(network.apply, method="value"))
    step = jax.jit(network.apply)
    carry = before.carry
    for t in range(LENGTH):
        seen = steps.observation[t]
        carry, _, now = step(params, carry, normalised(seen)[None], steps.reset[t][None])
        # In this world the next observation of an episode follows from the last one.
        coming = tick(seen[:, 0], np.round(4 * seen[:, 2]) + 1)
        expected = value(params, carry, normalised(coming)[None], np.zeros((1, ENVS), bool))[0]
        checked = ~steps.terminated[t]
        np.testing.assert_allclose(got[t][checked], expected[checked], atol=1e-5)
        np.testing.assert_allclose(steps.value[t], now[0], atol=1e-5)
    # It matters: the first observation of the next episode is worth something else.
    following = np.concatenate([steps.value[1:], rollout.last_value[None]])
    assert (np.abs(following - got)[cut] > 1e-3).mean() > 0.9


@pytest.mark.parametrize("rows", [5, 16, 40])
def test_where_needed_is_as_if_all_were_evaluated(rows):
    rng = np.random.default_rng(0)
    carry, seen = rng.normal(size=(rows, 3)), {"a": rng.normal(size=(rows, 2))}
    carry, seen = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (carry, seen))

    def values(carry, seen, reset):
        return carry.sum(-1) + 10 * seen["a"].prod(-1) + 100 * reset

    run = jax.jit(lambda needed: _where_needed(needed, values, carry, seen))
    everything = values(carry, seen, np.zeros(rows, bool))
    for share in (0, 0.05, 0.5, 1):
        needed = rng.random(rows) < share
        np.testing.assert_allclose(run(needed), np.where(needed, everything, 0), atol=1e-5)
    members = rng.random((3, rows)) < 0.3
    np.testing.assert_allclose(jax.vmap(run)(members), np.where(members, everything, 0), atol=1e-5)


def test_stored_actions_are_not_clipped():
    *_, rollout = two_rollouts("none", True, actions="continuous", initial_std=3.0)
    steps = jax.tree.map(np.asarray, rollout.transitions)
    assert (np.abs(steps.action) > 1).mean() > 0.5
    # The world was given the clipped one, stretched over [-2, 2] and [0, 1]; its reward tells.
    unit = np.clip(steps.action, -1, 1)
    paid = 1 + steps.observation[..., 0] + 0.1 * (2 * unit[..., 0] + (unit[..., 1] + 1) / 2)
    np.testing.assert_allclose(steps.reward, paid, atol=1e-5)


def test_forbidden_actions_are_not_taken():
    network, start, _, _ = setting("none", True, actions="masked")
    world, env_params = envs_jax.make("probe/ticking", actions="masked")
    params, actors = start(jnp.arange(ENVS))
    _, rollout = jax.jit(
        lambda: collect(
            AutoReset(world),
            network,
            params,
            None,
            env_params,
            actors,
            jax.random.key(3),
            LENGTH,
            LENGTH,
        )
    )()
    steps = rollout.transitions
    allowed = np.take_along_axis(
        np.asarray(steps.observation["action_mask"]), np.asarray(steps.action)[..., None], -1
    )
    assert allowed.all()
    assert not np.asarray(steps.observation["action_mask"])[..., 0].all()


def test_environments_do_not_depend_on_their_company():
    whole = two_rollouts("gru", False)[-2:]
    halves = [
        two_rollouts("gru", False, ids=ids)[-2:]
        for ids in (jnp.arange(ENVS // 2), jnp.arange(ENVS // 2, ENVS))
    ]
    (actors, rollout), parts = whole, [part[0] for part in halves]
    joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    chex.assert_trees_all_close(actors, joined, atol=1e-5)
    steps = [part[1].transitions for part in halves]
    joined = jax.tree.map(lambda *x: np.concatenate(x, 1), *steps)
    chex.assert_trees_all_close(rollout.transitions, joined, atol=1e-5)
    np.testing.assert_array_equal(rollout.transitions.observation, joined.observation)
    assert len(np.unique(np.asarray(rollout.transitions.observation)[0, :, 0])) == ENVS


def test_what_actors_remember():
    _, _, before, after, rollout = two_rollouts("none", True)
    steps = jax.tree.map(np.asarray, rollout.transitions)
    ended = steps.terminated | steps.truncated
    np.testing.assert_array_equal(steps.reset[1:], ended[:-1])
    np.testing.assert_array_equal(steps.reset[0], before.reset)
    np.testing.assert_array_equal(after.reset, ended[-1])
    total, length = np.array(before.episode_return), np.array(before.episode_length)
    for t in range(LENGTH):
        total, length = total + steps.reward[t], length + 1
        here = rollout.episodes
        np.testing.assert_array_equal(here.ended[t], ended[t])
        np.testing.assert_allclose(here.total[t][ended[t]], total[ended[t]], rtol=1e-5)
        np.testing.assert_array_equal(here.length[t][ended[t]], length[ended[t]])
        total[ended[t]], length[ended[t]] = 0, 0
    np.testing.assert_allclose(after.episode_return, total, rtol=1e-5)
    np.testing.assert_array_equal(after.episode_length, length)
    assert isinstance(after, Actors) and here.length.max() == 5


def test_first_episodes_of_random_age_do_not_count():
    _, start, run, _ = setting("none", True, random_phase=True)
    params, actors = start(jnp.arange(ENVS))
    assert not actors.counts.any() and len(np.unique(actors.env_state.world.time)) > 2
    _, rollout = run(params, actors, jax.random.key(2))
    ended = np.asarray(rollout.transitions.terminated | rollout.transitions.truncated)
    counted = np.asarray(rollout.episodes.ended)
    first = ended & (np.cumsum(ended, 0) == 1)
    np.testing.assert_array_equal(counted, ended & ~first)
