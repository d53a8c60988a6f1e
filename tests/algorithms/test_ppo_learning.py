"""PPO finds the known values and actions of the probes, whatever its network."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers import make_loop, make_probe, optimised
from probe_envs import GAMMA, STATES, TABLES, TARGETS, Combination

ENVS = 64
CORES = ("none", "gru", "lstm")
SETTINGS = {
    "rollout_length": 16,
    "bptt_length": 8,
    "epochs": 4,
    "minibatches": 2,
    "learning_rate": 1e-2,
    "gamma": GAMMA,
    "max_grad_norm": 1.0,
    "schedule": "linear",
    "final_fraction": 0.1,
}


@functools.cache
def tables(core):
    """One program per kind of network: the tables are its data."""
    probe = make_probe(
        "probe/constant", ENVS, {"hidden_sizes": (16,), "core": core, "core_size": 16}, **SETTINGS
    )
    return probe, make_loop(probe, optimised)


def learn(core, name, updates=100):
    probe, run = tables(core)
    table = jax.tree.map(jnp.asarray, TABLES[name])
    state = probe.init(ENVS)
    keys = jax.random.split(jax.random.key(1), ENVS)
    env_state, observation = jax.jit(probe.env.init)(keys, table)
    actors = state.actors.replace(env_state=env_state, observation=observation)
    return probe, *run(state.replace(curriculum=table, actors=actors), updates)


def walk(probe, state, seen):
    """Values and probabilities of action 1 in an episode that shows the states ``seen``."""
    observation = np.eye(STATES, dtype=np.float32)[list(seen)][:, None]
    reset = np.arange(len(seen))[:, None] == 0
    _, distribution, value = probe.network.apply(
        state.params, probe.network.initial_carry(1), observation, reset
    )
    return np.asarray(value[:, 0]), np.asarray(jax.nn.softmax(distribution.logits)[:, 0, 1])


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("name", "paths", "values"),
    [
        ("constant", [[0]], [[1]]),
        ("predict", [[0], [1]], [[-1], [1]]),
        ("discount", [[0, 1]], [[GAMMA, 1]]),
        ("terminated", [range(5)], [[(1 - GAMMA**left) / (1 - GAMMA) for left in (5, 4, 3, 2, 1)]]),
    ],
)
def test_values(core, name, paths, values):
    probe, state, _ = learn(core, name)
    for path, expected in zip(paths, values, strict=True):
        np.testing.assert_allclose(walk(probe, state, path)[0], expected, atol=0.05)


@pytest.mark.parametrize("core", CORES)
def test_a_time_limit_is_no_end(core):
    # The sum of the five rewards that are seen is 4.1; what the state is worth is 10.
    probe, state, metrics = learn(core, "truncated", updates=200)
    assert metrics["episode/length"] == 5
    np.testing.assert_allclose(walk(probe, state, [0] * 5)[0], 1 / (1 - GAMMA), atol=0.5)


@pytest.mark.parametrize("core", CORES)
def test_actions(core):
    probe, state, metrics = learn(core, "choose")
    for cue in (0, 1):
        value, right = walk(probe, state, [cue])
        np.testing.assert_allclose(right, cue, atol=0.05)
        np.testing.assert_allclose(value, 1, atol=0.1)
    assert metrics["episode/success"] > 0.95


@pytest.mark.parametrize("core", CORES)
def test_memory(core):
    probe, state, metrics = learn(core, "memory", updates=200)
    if core == "none":  # at chance: what it should know is out of its sight
        assert abs(metrics["recent/return"]) < 0.15
        return
    assert metrics["recent/return"] > 0.9
    for cue in (0, 1):
        values, right = walk(probe, state, [cue, 2, 3])
        np.testing.assert_allclose(right[2], cue, atol=0.05)
        np.testing.assert_allclose(values, [GAMMA**2, GAMMA, 1], atol=0.15)


def learn_one_step(world, core, network=None, updates=60, **config):
    """Train on a world of one-step episodes.

    Returns:
        For a batch of starts the cue, the greedy and a sampled action; and the last metrics.
    """
    settings = {**SETTINGS, "rollout_length": 8, **config}
    network = {"hidden_sizes": (16,), "core": core, "core_size": 16, **(network or {})}
    probe = make_probe(world, ENVS, network, **settings)
    run = make_loop(probe, optimised if world == "probe/picture" else jax.jit)
    state, metrics = run(probe.init(ENVS), updates)
    keys = jax.random.split(jax.random.key(2), 32)
    world_state, observation = jax.jit(probe.env.init)(keys, probe.env_params)
    algorithm = probe.algorithm
    act = functools.partial(
        algorithm.act,
        algorithm.policy(state),
        algorithm.initial_carry(32),
        observation,
        jnp.ones(32, bool),
    )
    assert metrics["episode/length"] == 1
    cue = np.asarray(world_state.world.state)
    return cue, np.asarray(act(None)[1]), np.asarray(act(keys[0])[1]), metrics


# What a carry does in episodes of one step the tables have shown.
TWO_CORES = ["none", pytest.param("gru", marks=pytest.mark.slow)]


@pytest.mark.parametrize("core", TWO_CORES)
@pytest.mark.parametrize("head", ["gaussian", "squashed_gaussian", "beta"])
def test_continuous_actions(core, head):
    cue, action, _, metrics = learn_one_step(
        "probe/reach", core, {"distribution": head, "initial_std": 0.5}
    )
    target = np.asarray(TARGETS)[cue]
    np.testing.assert_allclose(action, np.stack([target, -target], -1), atol=0.15)
    assert metrics["episode/return"] > -0.3


@pytest.mark.parametrize("core", TWO_CORES)
def test_several_choices_at_once(core):
    cue, action, _, metrics = learn_one_step("probe/combination", core)
    np.testing.assert_array_equal(action, np.asarray(Combination.right)[cue])
    assert metrics["episode/return"] > 1.8


@pytest.mark.parametrize("core", TWO_CORES)
def test_forbidden_actions_are_never_taken(core):
    cue, action, sampled, _ = learn_one_step("probe/forbidden", core)
    # The best action where it is allowed, the second best where it is not.
    np.testing.assert_array_equal(action, np.where(cue == 0, 1, 0))
    assert (sampled[cue == 0] != 0).all()


@pytest.mark.parametrize("core", TWO_CORES)
def test_both_parts_of_an_observation_are_used(core):
    cue, action, _, metrics = learn_one_step("probe/twoparts", core, {"part_sizes": (8,)})
    np.testing.assert_array_equal(action, (cue // 2) ^ (cue % 2))
    assert metrics["episode/return"] > 0.9


@pytest.mark.slow
def test_pictures():
    cue, action, _, metrics = learn_one_step("probe/picture", "none", updates=20)
    np.testing.assert_array_equal(action, cue % 2)
    assert metrics["episode/return"] > 0.9
