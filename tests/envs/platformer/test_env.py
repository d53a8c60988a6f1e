"""The platformer as an environment, on a few levels made for it."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import AutoReset
from envs_jax.platformer.course import make_course
from envs_jax.platformer.env import Platformer
from envs_jax.platformer.state import DEAD, JUMPING, WON
from platformer_rooms import corridor, rooms

NONE, LEFT, RIGHT, JUMP, JUMP_LEFT, JUMP_RIGHT = range(6)
STEPS = 150


@pytest.fixture(scope="module")
def world():
    return rooms()


def play(world, level, actions):
    env, params, step, start = world
    _, state = start(jnp.int32(level), jnp.int32(0), params)
    rewards, states = [], [state]
    for action in actions:
        _, state, reward, terminated, info = step(jax.random.key(0), state, action, params)
        rewards.append(float(reward))
        states.append(state)
        if terminated:
            break
    return states, np.array(rewards), bool(terminated), info


def test_running_to_the_right_wins_a_corridor(world):
    states, rewards, terminated, info = play(world, 0, [RIGHT] * STEPS)
    assert terminated
    assert info["success"]
    assert states[-1].world.ninja.state == WON
    assert states[-1].world.exit_active
    params = world[1]
    # Undiscounted and without shaping's terminal drop: win, less time.
    shaping = [
        params.shaping_discount * float(b.potential) - float(a.potential)
        for a, b in itertools.pairwise(states[:-1])
    ]
    last = -float(states[-2].potential)
    expected = params.win_scale - params.time_scale * len(rewards) + sum(shaping) + last
    assert rewards.sum() == pytest.approx(expected, abs=1e-4)


def test_a_deadly_mine_ends_it(world):
    states, rewards, terminated, info = play(world, 3, [RIGHT] * STEPS)
    assert terminated
    assert not info["success"]
    assert states[-1].world.ninja.state == DEAD
    assert rewards[-1] < -0.4


def test_a_toggle_mine_is_passed_once(world):
    states, _, terminated, info = play(world, 4, [RIGHT] * STEPS)
    assert terminated
    assert info["success"]
    assert states[-1].world.mine_state[0] == 0  # toggled behind it


def test_potential_grows_along_the_way_from_nothing(world):
    states, *_ = play(world, 2, [RIGHT] * STEPS)
    heights = np.array([float(state.potential) for state in states[:-1]])
    assert heights[0] == pytest.approx(0.0, abs=1e-3)
    assert heights[-1] > 0.85
    assert (np.diff(heights) > -0.05).all()


def test_frame_skip_is_that_many_frames(world):
    env, params, _, start = world
    single = Platformer(env.course, frame_skip=1)
    step = jax.jit(single.step_env)
    _, state = start(jnp.int32(1), jnp.int32(0), params)
    for action in [RIGHT] * 8 + [JUMP_RIGHT] * 8:
        _, state, *_ = step(jax.random.key(0), state, action, params)
    states, *_ = play(world, 1, [RIGHT] * 2 + [JUMP_RIGHT] * 2)
    chex.assert_trees_all_close(states[-1].world, state.world, rtol=1e-6, atol=1e-5)


def test_time_limit_is_a_truncation(world):
    env, params, step, start = world
    params = params.replace(max_steps_in_episode=3)
    _, state = start(jnp.int32(0), jnp.int32(0), params)
    for number in range(3):
        assert not env.is_truncated(state, params), number
        _, state, _, terminated, _ = step(jax.random.key(0), state, NONE, params)
    assert env.is_truncated(state, params)
    assert not terminated


def test_groups_are_drawn_as_likely_as_told(world):
    env, params, *_ = world
    reset = jax.jit(jax.vmap(env.reset_env, (0, None)))
    keys = jax.random.split(jax.random.key(1), 4000)
    _, states = reset(keys, params)
    shares = np.bincount(states.group, minlength=5) / 4000
    np.testing.assert_allclose(shares, 0.2, atol=0.03)
    levels = np.bincount(states.level, minlength=6) / 4000
    np.testing.assert_allclose(levels, [0.1, 0.1, 0.2, 0.2, 0.2, 0.2], atol=0.03)
    only = params.replace(group_probabilities=jnp.array([0.0, 1.0, 0.0, 3.0, 0.0]))
    _, states = reset(keys, only)
    assert set(np.unique(states.level)) == {2, 4}
    np.testing.assert_array_equal(states.group == 3, states.level == 4)


def test_a_category_is_its_groups(world):
    course = world[0].course
    params = Platformer(course, "mined").default_params
    np.testing.assert_allclose(params.group_probabilities, [0, 0, 1 / 3, 1 / 3, 1 / 3])
    params = Platformer(course, "mined+plain").default_params
    np.testing.assert_allclose(params.group_probabilities, 0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"category": "plane"},
            "category 'plane' of the bank: expected one of all, plain, mined; nearest is",
        ),
        ({"observation": "pixel"}, "observation 'pixel': .* nearest is 'pixels'"),
        ({"precision": "quick"}, "precision 'quick': .* nearest is"),
        ({"frame_skip": 0}, "frame_skip 0: expected a whole number, nearest is 1"),
        ({"mines": 0}, "mines 0: expected a whole number, nearest is 1"),
    ],
)
def test_bad_arguments_are_one_line(world, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        Platformer(world[0].course, **arguments)
    assert "\n" not in str(error.value)


def test_levels_of_a_group_must_be_together():
    maps = [corridor(8)] * 3
    with pytest.raises(ValueError, match="not next to each other"):
        make_course(maps, ["a", "b", "a"], ["g"] * 3, [1, 1, 1])


@pytest.fixture(scope="module")
def crowd(world):
    """States of a random batch, leaves ``[T, B, ...]``, and what is seen of them."""
    env, params, *_ = world
    batch = AutoReset(env, "bank", 2)

    @jax.jit
    def run(key, params):
        keys = jax.random.split(key, 64)
        state, seen = batch.init(keys, params)
        bank = batch.make_bank(keys, params)
        held = jax.random.randint(key, (40, 64), 0, 6).repeat(5, 0)

        def step(loop, action):
            state, _ = loop
            state, result = batch.step(keys, state, action, params, bank)
            return (state, result.observation), (state.world, result.observation)

        return jax.lax.scan(step, (state, seen), held)[1]

    return jax.device_get(run(jax.random.key(5), params))


def test_no_feature_is_constant_and_all_are_finite(crowd):
    from envs_jax.platformer.observation import FEATURES

    vector = crowd[1]["vector"].reshape(-1, len(FEATURES))
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() <= 4.0
    spread = vector.std(0)
    # What these flat levels have none of: slopes, locks; a second mine.
    absent = {"goal_is_lock", "floor_nx", "floor_slope"}
    still = {name for name, each in zip(FEATURES, spread, strict=True) if each < 1e-4}
    assert still - {name for name in FEATURES if name.startswith("mine1")} <= absent


def test_a_masked_action_would_have_changed_nothing(world, crowd):
    """Holding jump where that is pointless moves the ninja as not holding it does."""
    env, params, *_ = world
    states = jax.tree.map(lambda leaf: leaf.reshape(200 * 64, *leaf.shape[2:]), crowd[0])
    mask = crowd[1]["action_mask"].reshape(-1, 6)
    chosen = np.flatnonzero(~mask[:, JUMP])[:256]
    assert len(chosen) > 50
    some = jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), states)
    step = jax.jit(jax.vmap(env.step_env, (None, 0, None, None)))
    for without, held in ((NONE, JUMP), (LEFT, JUMP_LEFT), (RIGHT, JUMP_RIGHT)):
        a = step(jax.random.key(0), some, without, params)[1].world.ninja
        b = step(jax.random.key(0), some, held, params)[1].world.ninja
        # A wall that comes into reach within the step is where letting go makes a difference later,
        # not now.
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)
    assert mask[:, NONE].all()
    assert not (states.world.ninja.state[chosen] == JUMPING).any()


def test_more_mines_are_the_next_ones_and_zeros_where_there_are_none(world):
    _, params, *_ = world
    env = Platformer(world[0].course, mines=3)
    level = jnp.int32(3)
    seen, state = env.start_level(level, jnp.int32(2), params)
    place = jnp.array([[20.0, 0.0], [-10.0, 5.0], [500.0, 0.0], [0.0, 40.0]])
    ninja = state.world.ninja
    bank = params.bank.replace(
        mine_position=jnp.zeros((6, 4, 2)).at[3].set(place + jnp.stack([ninja.x, ninja.y]))
    )
    mined = state.replace(world=state.world.replace(mine_state=jnp.array([0, 1, 0, 0])))
    vector = env.get_obs(mined, params.replace(bank=bank))["vector"]
    assert vector.shape == seen["vector"].shape == (34 + 12,)
    told = np.asarray(vector[-12:]).reshape(3, 4) * [192.0, 192.0, 1, 1]
    expected = [[-10, 5, 0, 1], [20, 0, 1, 0], [0, 40, 1, 0]]
    np.testing.assert_allclose(told, expected, atol=1e-3)
    alone = np.asarray(seen["vector"][-8:])
    np.testing.assert_array_equal(alone, 0.0)


def test_buffers_tell_off_from_just_set():
    from envs_jax.platformer.observation import FEATURES, _freshness

    values = np.asarray(_freshness(jnp.arange(-1, 5)))
    np.testing.assert_allclose(values, [0, 1, 0.8, 0.6, 0.4, 0.2], atol=1e-6)
    assert len(set(FEATURES)) == len(FEATURES)


def test_finishing_beats_dying_and_idling_whenever_it_happens(world):
    """Over all times of finishing and of dying, discounted as in the presets and not at all."""
    params = world[1]
    limit = params.max_steps_in_episode
    assert params.progress_scale >= 0
    for discount in (params.shaping_discount, 1.0):
        time = np.arange(1, limit + 1)
        powers = discount ** (time - 1)
        cost = params.time_scale * np.cumsum(powers)
        win = params.win_scale * powers - cost
        die = -params.death_scale * powers - cost
        forever = params.time_scale / (1 - discount) if discount < 1 else cost[-1]
        assert win.min() > die.max()
        assert win.min() > -forever
        assert die.max() < -forever  # nor is it better to die than to wait for a chance
        assert (np.diff(win) < 0).all()  # and sooner is better


def test_an_observation_needs_the_levels(world):
    env = world[0]
    with pytest.raises(ValueError, match="params None"):
        env.get_obs(world[3](jnp.int32(0), jnp.int32(0), world[1])[1])


def test_an_action_is_one_number(world):
    env, params, _, start = world
    _, state = start(jnp.int32(0), jnp.int32(0), params)
    with pytest.raises(
        ValueError, match=r"action of shape \(2,\): expected one number from 0 to 5"
    ):
        env.step_env(jax.random.key(0), state, jnp.zeros(2, jnp.int32), params)
