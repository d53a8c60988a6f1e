"""The worlds as HARL's published curves were made in them: PettingZoo 1.22.2, summed rewards."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

# Recorded by stepping PettingZoo 1.22.2 itself (simple_spread_v2, simple_reference_v2,
# simple_speaker_listener_v3): start, actions, reward summed over agents, global state at the end.
RECORDED = json.loads((Path(__file__).parent / "pettingzoo_1_22.json").read_text())

RIGHT, UP = 2, 4


def _id(record):
    return f"{record['world']}-{'box' if record['continuous'] else 'choice'}"


@pytest.mark.parametrize("record", RECORDED, ids=_id)
def test_recorded_episode(made, play, place, record):
    arguments = {"continuous": record["continuous"], "pettingzoo_1_22": True}
    start = record["position"], record["landmarks"], record["goals"]
    state = place(record["world"], *start, **arguments)
    params = made(record["world"], **arguments)[1]
    _, _, reward, whole, *_ = play(state, record["actions"], params, record["world"], **arguments)
    for agent in range(reward.shape[1]):
        np.testing.assert_allclose(reward[:, agent], record["reward"], atol=1e-5)
    np.testing.assert_allclose(whole[-1], record["state"], atol=1e-5)


def test_records_are_of_all_worlds_and_of_contact():
    assert len({_id(record) for record in RECORDED}) == 6
    jumps = [np.abs(np.diff(r["reward"])).max() for r in RECORDED if r["world"] == "Spread"]
    assert max(jumps) > 0.9


@pytest.mark.parametrize("old", [False, True])
def test_which_comes_first(made, play, place, old):
    arguments = {"num_agents": 1, "pettingzoo_1_22": old}
    state = place("Spread", [[0.0, 0.0]], [[1.0, 0.0]], **arguments)
    state = state.replace(velocity=jnp.array([[0.0, 1.0]]))
    params = made("Spread", **arguments)[1]
    states, *_ = play(state, [[RIGHT], [0]], params, "Spread", **arguments)
    # v = .75 v + 5 * .1 of the push; p += .1 v, with the new v or with the old one
    np.testing.assert_allclose(states.velocity[:, 0], [[0.5, 0.75], [0.375, 0.5625]], atol=1e-6)
    new, by_old = [[0.05, 0.075], [0.0875, 0.13125]], [[0.0, 0.1], [0.05, 0.175]]
    np.testing.assert_allclose(states.position[:, 0], new if old else by_old, atol=1e-6)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("continuous", [False, True])
def test_shades_but_not_choices_are_mirrored(made, play, place, old, continuous):
    arguments = {"num_agents": 2, "pettingzoo_1_22": old, "continuous": continuous}
    state = place("Spread", [[0.9, 0.0], [-0.9, 0.0]], [[0.0, 0.0]] * 2, **arguments)
    actions = np.array([[RIGHT, UP]])
    if continuous:
        actions = np.eye(5)[actions]
    params = made("Spread", **arguments)[1]
    states, *_ = play(state, actions, params, "Spread", **arguments)
    sign = -1 if old and continuous else 1
    np.testing.assert_allclose(states.velocity[0], sign * np.array([[0.5, 0], [0, 0.5]]), atol=1e-6)


@pytest.mark.parametrize("world", ["Spread", "Reference", "SpeakerListener"])
def test_agents_touch_themselves_and_share(made, play, world):
    totals = []
    for old in (False, True):
        arguments = {"continuous": False, "pettingzoo_1_22": old}
        env, params = made(world, **arguments)
        _, state = env.reset_env(jax.random.key(1), params)
        state = state.replace(velocity=jnp.ones_like(state.velocity))
        params = params.replace(dt=0.0)  # nothing moves: the same episode in both
        actions = np.zeros((25, env.num_agents), int)
        _, _, reward, *_ = play(state, actions, params, world, **arguments)
        totals.append(np.asarray(reward).sum(axis=0))
    offset = -37.5 if world == "Spread" else 0.0  # 3 agents * local_ratio * 25 steps
    np.testing.assert_allclose(totals[1], np.sum(totals[0]) + offset, rtol=1e-5)


def _gaussian(key, shape):
    """HARL's policy before training: mean 0, deviation sigmoid(1) / 2, clipped by the world."""
    return 0.5 * jax.nn.sigmoid(1.0) * jax.random.normal(key, (*shape, 5))


def _uniform(key, shape):
    return jax.random.randint(key, shape, 0, 5)


def _still(key, shape):
    return jnp.zeros(shape, int)


@pytest.mark.parametrize(
    ("policy", "old", "expected"),
    [(_uniform, True, -115.5), (_gaussian, True, -110.6), (_still, True, -108.8),
     (_uniform, False, -79.4)],
)  # fmt: skip
def test_return_of_an_untrained_team(made, policy, old, expected):
    """Against a simulation by another hand (numpy, 20000 episodes, +- 0.2)."""
    episodes = 10_000
    env, params = made("Spread", continuous=policy is _gaussian, pettingzoo_1_22=old)

    @jax.jit
    def returns(key):
        start_key, act_key = jax.random.split(key)
        batch = jax.vmap(env.reset_env, (0, None))
        _, state = batch(jax.random.split(start_key, episodes), params)
        actions = policy(act_key, (25, episodes, 3))

        def step(state, action):
            _, state, reward, *_ = jax.vmap(env.step_env, (None, 0, 0, None))(
                key, state, action, params
            )
            return state, reward

        rewards = jax.lax.scan(step, state, actions)[1]
        return rewards[..., 0].sum(0) if old else rewards.sum((0, 2))

    sums = np.asarray(returns(jax.random.key(0)), float)
    error = np.hypot(sums.std() / np.sqrt(episodes), 0.2)
    assert abs(sums.mean() - expected) < 4 * error
    assert error < 0.5, "too few episodes to tell"
