"""Several agents find the known values and actions of their worlds, within known limits."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probe_envs import GAMMA
from team_groups import make_group
from team_worlds import PAY

HAPPO = {}
MAPPO = {"sequential": False, "share_parameters": True}

# Who goes left and who goes right.

ENVS, LENGTH, PLAYERS = 32, 8, 6


@functools.cache
def coordination(shared):
    """One program for any number of players: the others are inactive."""
    return make_group(
        "team/coordination",
        ENVS,
        MAPPO if shared else HAPPO,
        world_options={"num_agents": PLAYERS},
        rollout_length=LENGTH,
        epochs=4,
        minibatches=1,
        learning_rate=3e-2,
        gamma=GAMMA,
    )


def coordinate(shared, players, updates):
    made = coordination(shared)
    state, metrics = made.run(made.init(players=players), updates)
    assert metrics["episode/count"] == ENVS * LENGTH
    return state, metrics["episode/return"]


@pytest.mark.parametrize("players", [2, 4, 6])
def test_policies_of_their_own_share_the_work(players):
    state, share = coordinate(False, players, 60)
    assert share > 0.98
    # The best each can do is then certain: one half does this, the other that.
    action, half = coordination(False).act(state)[0], players // 2
    first, second = action[:half], action[half:players]
    assert (first == first[0]).all() and (second == 1 - first[0]).all()


@pytest.mark.parametrize("players", [2, 4, 6])
def test_one_policy_for_all_stays_below_its_limit(players):
    limit = 2 / 2**players
    deviation = np.sqrt(limit * (1 - limit) / (ENVS * LENGTH))
    for updates in (20, 60):
        _, share = coordinate(True, players, updates)
        assert share < limit + 4 * deviation
    assert players > 2 or share > 0.4


# The product of two actions (Kuba et al. 2022, figure 1).

START = (-0.25, 0.25)
"""Means of the policies; their product is the mean reward."""


@functools.cache
def product(sequential):
    return make_group(
        "team/product",
        128,
        {"sequential": sequential},
        {"std": "fixed", "initial_std": 1.0, "scale_actions": False},
        rollout_length=16,
        epochs=10,
        minibatches=1,
        max_grad_norm=1e6,
    )


def play_product(sequential, seed, updates, clip):
    """The mean reward of the policies before and after each update."""
    made = product(sequential)
    state = made.init(seed)
    head = state.params["actor"]["params"]["policy_head"]
    head |= {"kernel": jnp.zeros_like(head["kernel"]), "bias": jnp.array(START)[:, None]}
    numbers = {"learning_rate": 0.02, "clip_epsilon": clip}
    numbers = {name: jnp.float32(value) for name, value in numbers.items()}
    state = state.replace(hypers=state.hypers.replace(**numbers))

    def value(state):
        first, second = made.act(state)[0, :, 0]
        return float(first * second)

    values = [value(state)]
    for _ in range(updates):
        state, _ = made.update(state)
        values.append(value(state))
    np.testing.assert_allclose(values[0], START[0] * START[1], rtol=1e-5)
    return np.array(values)


@pytest.mark.parametrize("seed", range(3))
def test_wide_steps_lower_the_reward_only_if_taken_at_once(seed):
    in_turn = play_product(True, seed, 3, clip=0.9)
    assert (np.diff(in_turn) > 0.1).all() and in_turn[-1] > 1
    at_once = play_product(False, seed, 1, clip=0.9)
    assert at_once[1] < at_once[0] - 0.05


def test_short_steps_raise_the_reward_either_way():
    for sequential in (True, False):
        values = play_product(sequential, 0, 2, clip=0.2)
        assert (np.diff(values) > 0.005).all()


# Whose reward a value is of.


@functools.cache
def wages(critic, reward):
    return make_group(
        "team/wages",
        16,
        {"critic": critic, "reward": reward, "value_norm": True},
        rollout_length=8,
        epochs=4,
        minibatches=2,
        learning_rate=3e-2,
        schedule="linear",
        gamma=GAMMA,
        max_grad_norm=10.0,
    )


def worth(critic, reward, **world):
    """The values that a critic has learnt, in units of the reward."""
    made = wages(critic, reward)
    state, _ = made.run(made.init(**world), 100)
    seen = jax.tree.map(lambda x: x[None, :1], state.actors.observation)
    carry = made.team.initial_carry(1)
    value = made.team.apply(state.params, carry, seen, jnp.ones((1, 1), bool), method="value")
    norm = state.value_norm
    mean, square = norm.mean / norm.weight, norm.square / norm.weight
    return np.asarray(value[0, 0]) * np.sqrt(max(square - mean**2, 1e-2)) + mean


@pytest.mark.parametrize("critic", ["own", pytest.param("both", marks=pytest.mark.slow)])
def test_each_agent_is_valued_by_its_own_reward(critic):
    np.testing.assert_allclose(worth(critic, "per_agent"), PAY, atol=0.05)
    other = (-3.0, 7.0)
    np.testing.assert_allclose(worth(critic, "per_agent", pay=other), other, atol=0.1)


def test_a_time_limit_is_no_end():
    # The sum of the five payments that are seen is 4.1 times one; what is to come is 10 times.
    found = worth("own", "per_agent", ends=False)
    np.testing.assert_allclose(found, np.array(PAY) / (1 - GAMMA), rtol=0.05)


def test_the_team_is_valued_as_one():
    found = worth("global", "mean")
    assert found.shape == ()
    np.testing.assert_allclose(found, np.mean(PAY), atol=0.05)


# Memory.


@pytest.mark.slow
@pytest.mark.parametrize("core", ["none", "gru"])
def test_memory(core):
    made = make_group(
        "team/recall",
        32,
        HAPPO,
        {"core": core, "hidden_sizes": (8,), "core_size": 8},
        rollout_length=8,
        bptt_length=4,
        epochs=4,
        minibatches=1,
        learning_rate=2e-2,
        gamma=GAMMA,
    )
    state, metrics = made.run(made.init(), 80)
    if core == "none":  # at chance: what they should know is out of their sight
        assert abs(metrics["episode/return"]) < 0.3
    else:
        assert metrics["episode/return"] > 0.9
