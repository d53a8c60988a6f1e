"""Particle worlds as worlds: what they promise whoever trains in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import make
from envs_jax.particles.spread import Spread
from envs_jax.render import render_episode
from envs_jax.spaces import ACTION_MASK


def test_interface(made, kind):
    world, continuous = kind
    env, params = made(world, continuous=continuous)
    assert env.name == f"{world}-particles" and params.max_steps_in_episode == 25
    n, batch, steps = env.num_agents, 7, 30
    space = env.action_space(params)

    @jax.jit
    def run(keys):
        first, state = jax.vmap(env.reset_env, (0, None))(keys, params)

        def step(state, t):
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, t)
            each = jax.vmap(lambda key: jax.random.split(key, n))(own)
            action = jax.vmap(jax.vmap(space.sample))(each)
            seen, state, *out, info = jax.vmap(env.step, (0, 0, 0, None))(
                own, state, action, params
            )
            whole = jax.vmap(env.global_state, (0, None))(state, params)
            return state, (seen, *out, info["success"], whole)

        return first, jax.lax.scan(step, state, jnp.arange(steps))[1]

    first, out = run(jax.random.split(jax.random.key(0), batch))
    seen, reward, terminated, truncated, success, whole = out
    if world == "SpeakerListener" and not continuous:
        mask = seen[ACTION_MASK]
        assert mask.shape == (steps, batch, 2, 5) and mask.dtype == bool
        np.testing.assert_array_equal(mask[3, 2], [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
        first, seen = first["observation"], seen["observation"]
        assert env.observation_space(params).spaces[ACTION_MASK].shape == (5,)
    assert first.shape == (batch, n, env.observation_size)
    assert seen.shape == (steps, *first.shape) and seen.dtype == jnp.float32
    assert np.isfinite(seen).all() and np.ptp(seen[:, 0, 1], axis=0).any()
    assert reward.shape == (steps, batch, n) and reward.dtype == jnp.float32
    assert not terminated.any() and success.shape == (steps, batch) and success.dtype == bool
    limits = np.arange(steps)[:, None].repeat(batch, axis=1) == 24
    np.testing.assert_array_equal(truncated, limits)
    lengths = {"Spread": 54, "Reference": 42, "SpeakerListener": 14}
    assert whole.shape == (steps, batch, lengths[world]) and whole.dtype == jnp.float32


def test_start(made):
    env, params = made("Reference")
    keys = jax.random.split(jax.random.key(3), 3000)
    _, state = jax.jit(jax.vmap(env.reset_env, (0, None)))(keys, params)
    places = np.concatenate([state.position, state.landmarks], axis=1)
    assert (np.abs(places) <= 1).all() and not state.velocity.any() and not state.words.any()
    np.testing.assert_allclose(places.std(0), 1 / np.sqrt(3), atol=0.03)
    correlation = np.corrcoef(places.reshape(len(keys), -1).T)
    assert np.abs(correlation - np.eye(10)).max() < 0.1
    pairs = np.bincount(np.asarray(state.goals) @ [3, 1], minlength=9)
    assert pairs.sum() == 3000 and np.abs(pairs - 333).max() < 5 * np.sqrt(333)


@pytest.mark.parametrize("continuous", [False, True])
def test_words_reach_the_other_one(made, play, place, continuous):
    state = place("Reference", np.zeros((2, 2)), np.zeros((3, 2)), [0, 1], continuous=continuous)
    words = np.array([[3, 9], [0, 4]])
    actions = np.concatenate([np.eye(5)[[[0, 0]] * 2], 0.5 * np.eye(10)[words]], axis=2)
    if not continuous:
        actions = 5 * words + 2
    params = made("Reference", continuous=continuous)[1]
    _, seen, *_ = play(state, actions, params, "Reference", continuous=continuous)
    heard = np.eye(10)[words[:, ::-1]] * (0.5 if continuous else 1)
    np.testing.assert_array_equal(seen[:, :, 11:], heard)
    np.testing.assert_array_equal(seen[0, :, 8:11], [[0.75, 0.25, 0.25], [0.25, 0.75, 0.25]])


def test_a_masked_choice_of_the_speaker_is_the_first_word(made, play, place):
    state = place("SpeakerListener", np.zeros((2, 2)), np.zeros((3, 2)), [2], continuous=False)
    params = made("SpeakerListener", continuous=False)[1]
    actions = [[word, 0] for word in range(5)]
    states, *_ = play(state, actions, params, "SpeakerListener", continuous=False)
    np.testing.assert_array_equal(states.words[:, 0].argmax(1), [0, 1, 2, 0, 0])
    np.testing.assert_array_equal(states.words.sum((1, 2)), 1.0)
    assert not states.position[:, 0].any(), "the speaker cannot move"


# Goals, then where agents stand: once good, once with one of them 0.15 m off, once all wrong.
GOOD_AND_BAD = {
    "Spread": (
        None,
        [
            [[0.1, 0], [0.5, 0], [0.95, 0]],
            [[0.1, 0], [0.5, 0], [0.85, 0]],
            [[0.1, 0], [0.1, 0], [0.1, 0.1]],
        ],
    ),
    "Reference": ([2, 0], [[[0, 0], [1, 0.05]], [[0, 0], [0.85, 0]], [[1, 0], [0, 0.05]]]),
    "SpeakerListener": ([1], [[[9, 9], [0.5, 0]], [[0.5, 0], [0.65, 0]], [[0.5, 0], [1, 0]]]),
}


@pytest.mark.parametrize("world", GOOD_AND_BAD)
def test_success(made, play, place, world):
    goals, positions = GOOD_AND_BAD[world]
    landmarks = [[0.05, 0], [0.5, 0], [1.0, 0]]
    env, params = made(world, continuous=False)
    for position, good in zip(positions, (True, False, False), strict=True):
        state = place(world, position, landmarks, goals, continuous=False)
        *_, success = play(
            state, np.zeros((1, env.num_agents), int), params.replace(dt=0.0), world,
            continuous=False,
        )  # fmt: skip
        assert bool(success[0]) is good


def test_parameters_are_traced(made, play):
    env, params = made("Spread", continuous=False)
    _, state = env.reset_env(jax.random.key(0), params)
    actions = np.full((3, 3), 2)
    slow = play(state, actions, params, "Spread", continuous=False)[0]
    fast = play(state, actions, params.replace(sensitivity=10.0), "Spread", continuous=False)[0]
    np.testing.assert_allclose(fast.velocity[0, :, 0] - slow.velocity[0, :, 0], 0.5, atol=1e-5)


def test_made_by_name():
    env, params = make("Spread-particles", num_agents=5, local_ratio=0.0, continuous=True)
    assert env.num_agents == 5 and params.local_ratio == 0.0 and env.continuous
    observation, _ = env.reset(jax.random.key(0), params)
    assert observation.shape == (5, 30)
    assert make("Reference-particles", pettingzoo_1_22=True)[0].pettingzoo_1_22
    with pytest.raises(ValueError, match="no parameter 'num_agents'"):
        make("SpeakerListener-particles", num_agents=3)


@pytest.mark.parametrize("number", [0, -1, True, 2.0])
def test_bad_number_of_agents(number):
    with pytest.raises(ValueError, match=r"num_agents .*: expected a whole number, nearest is 1"):
        Spread(num_agents=number)


def test_render(made, play, place):
    landmarks = [[-0.8, 0.8], [0.0, 0.8], [0.8, 0.8]]
    state = place("SpeakerListener", [[0, 0], [0.6, 0]], landmarks, [2], continuous=False)
    env, params = made("SpeakerListener", continuous=False)
    states, *_ = play(state, [[1, 2], [2, 2]], params, "SpeakerListener", continuous=False)
    frames = render_episode(env, params, states)
    assert frames[0].shape == (430, 400, 3) and frames[0].dtype == np.uint8

    def pixel(frame, x, y, reach=1.2):
        return frame[round(200 - 200 * y / reach), round(200 + 200 * x / reach)].astype(int)

    for x, (channel, y) in zip((-0.8, 0.0, 0.8), enumerate([0.8] * 3), strict=True):
        assert pixel(frames[0], x, y).argmax() == channel
    covered = env.render(state.replace(position=state.landmarks[:2]), params)
    assert pixel(covered, 0.0, 0.8).argmax() == 1, "a landmark that is covered can be seen"
    assert pixel(frames[0], 0.6, 0.0).argmax() == 2 and pixel(frames[0], 0, 0).max() < 80
    # The strip of words: the second word in the first frame, the third in the second.
    dark = [[pixel(f, -1.2 + 0.18 * (w + 2), -1.29).max() < 50 for w in range(3)] for f in frames]
    assert dark == [[False, True, False], [False, False, True]]


def test_render_of_the_silent_and_far(made):
    env, params = made("Spread")
    _, state = env.reset_env(jax.random.key(0), params)
    near = env.render(state, params)
    far = env.render(state.replace(position=state.position + 30.0), params)
    assert near.shape == far.shape == (400, 400, 3)
    assert (far != 255).any() and (near != 255).any(axis=2).sum() > (far != 255).any(axis=2).sum()
