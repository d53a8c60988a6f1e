"""Step for step what mpe2 does, which is written in numpy and in double precision."""

import mpe2.simple_reference_v3
import mpe2.simple_speaker_listener_v4
import mpe2.simple_spread_v3
import numpy as np
import pytest

PACKAGE = {
    "Spread": mpe2.simple_spread_v3,
    "Reference": mpe2.simple_reference_v3,
    "SpeakerListener": mpe2.simple_speaker_listener_v4,
}
STEPS = 25


def _theirs(env, seed, crowded):
    """Start an episode of theirs; its positions, landmarks and goals."""
    env.reset(seed=seed)
    world = env.unwrapped.world
    if crowded:  # agents that touch all the time
        for agent in world.agents:
            agent.state.p_pos *= 0.3
    goals = [world.landmarks.index(a._goal_b) for a in world.agents if getattr(a, "_goal_b", None)]
    position, landmarks = (
        np.array([entity.state.p_pos for entity in entities])
        for entities in (world.agents, world.landmarks)
    )
    return position, landmarks, goals or None


def _act(env, rng, length):
    """A random action for each of their agents, and all of them padded for us."""
    if length:
        ours = rng.uniform(-0.2, 1.2, (len(env.agents), length)).astype(np.float32)
        shapes = [env.action_space(name).shape[0] for name in env.agents]
        cut = [np.clip(action[:size], 0, 1) for action, size in zip(ours, shapes, strict=True)]
        return dict(zip(env.agents, cut, strict=True)), ours
    ours = [int(rng.integers(env.action_space(name).n)) for name in env.agents]
    return dict(zip(env.agents, ours, strict=True)), ours


def _compare(made, play, place, world, continuous, episodes=4, theirs=None, params=None, **more):
    """Play random episodes in both; returns our rewards [episodes, T, N]."""
    arguments = {"continuous": continuous, **more}
    env, default = made(world, **arguments)
    params = params or default
    oracle = PACKAGE[world].parallel_env(continuous_actions=continuous, **(theirs or {}))
    rewards = []
    for episode in range(episodes):
        rng = np.random.default_rng(episode)
        start = _theirs(oracle, episode, crowded=episode % 2 == 1)
        actions, expected, names = [], [], list(oracle.agents)
        for t in range(STEPS):
            action, ours = _act(oracle, rng, env.action_size[1] if continuous else 0)
            seen, reward, terminated, truncated, _ = oracle.step(action)
            assert not any(terminated.values())
            assert all(truncated.values()) == (t == STEPS - 1)
            actions.append(ours)
            expected.append((seen, [reward[name] for name in names], oracle.state()))
        state = place(world, *start, **arguments)
        states, seen, reward, whole, ended, _ = play(state, actions, params, world, **arguments)
        seen = np.asarray(seen["observation"] if isinstance(seen, dict) else seen)
        for i, name in enumerate(names):
            wanted = np.array([row[0][name] for row in expected])
            np.testing.assert_allclose(seen[:, i, : wanted.shape[1]], wanted, atol=1e-5)
            assert not seen[:, i, wanted.shape[1] :].any(), "padding"
        np.testing.assert_allclose(reward, [row[1] for row in expected], atol=1e-5)
        np.testing.assert_allclose(whole, [row[2] for row in expected], atol=1e-5)
        limits = [bool(env.is_truncated(states.replace(time=t), params)) for t in states.time]
        assert limits == [t == STEPS - 1 for t in range(STEPS)] and not ended.any()
        rewards.append(reward)
    return np.array(rewards)


def test_whole_episodes(made, play, place, kind):
    rewards = _compare(made, play, place, *kind)
    if kind[0] == "Spread":  # agents did bump into each other
        assert (np.ptp(rewards, axis=2) > 0.4).any()


@pytest.mark.parametrize("num_agents", [1, 2, 4])
def test_spread_of_any_size(made, play, place, num_agents):
    more = {"theirs": {"N": num_agents}, "num_agents": num_agents}
    _compare(made, play, place, "Spread", False, episodes=2, **more)


@pytest.mark.parametrize("world", ["Spread", "Reference"])
def test_local_ratio(made, play, place, world):
    params = made(world, continuous=False)[1].replace(local_ratio=0.8)
    more = {"theirs": {"local_ratio": 0.8}, "params": params}
    rewards = _compare(made, play, place, world, False, episodes=2, **more)
    assert np.ptp(rewards, axis=2).max() > 0.1


def test_spaces_are_theirs_but_for_padding(made, kind):
    world, continuous = kind
    env, params = made(world, continuous=continuous)
    oracle = PACKAGE[world].parallel_env(continuous_actions=continuous)
    actions = [oracle.action_space(name) for name in oracle.possible_agents]
    seen = [oracle.observation_space(name).shape[0] for name in oracle.possible_agents]
    assert env.num_agents == len(actions)
    space = env.action_space(params)
    if continuous:
        assert space.shape == (max(action.shape[0] for action in actions),)
        assert (space.low, space.high) == (0.0, 1.0)
    else:
        assert space.n == max(action.n for action in actions)
    space = env.observation_space(params)
    if world == "SpeakerListener" and not continuous:
        space = space.spaces["observation"]
    assert space.shape == (max(seen),)
