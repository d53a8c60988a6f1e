"""The quadruped as an environment: its contract, how episodes end, and levels as stages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import AutoReset
from envs_jax.autoreset import AutoResetState
from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.measures import ground_height
from envs_jax.stages import WithStages
from quadruped_worlds import BATCH, CALM, CONTROL, SMALL, column_of, keys, strong, world

LAST = 999  # the time from which one step leads to the limit


# Contract.


# Each value of each option with each of every other.
OPTIONS = [
    ("flat", None, None, False, True),
    ("flat", None, None, True, False),
    ("gaps", None, None, True, True),
    ("gaps", None, (6, 9), False, False),
    ("gaps", "rough", None, False, False),
    ("gaps", "rough", (6, 9), True, True),
    ("gaps", "parkour", None, True, False),
    ("gaps", "parkour", (6, 9), False, True),
]


def test_observations_are_what_spaces_say():
    names = ("ground", "scan", "depth", "privileged", "velocity")
    for values in OPTIONS:
        options = dict(zip(names, values, strict=True))
        env = Quadruped(**{**SMALL, **options}, whole_body=options["velocity"])
        params = env.default_params
        reset = jax.eval_shape(env.reset_env, jax.random.key(0), params)
        step = jax.eval_shape(env.step_env, jax.random.key(0), reset[1], jnp.zeros(12), params)
        space = env.observation_space(params)
        expected = {name: (box.shape, jnp.float32) for name, box in space.spaces.items()}
        for seen in (reset[0], step[0]):
            assert {n: (x.shape, x.dtype) for n, x in seen.items()} == expected, options
        assert jax.tree.structure(reset[1]) == jax.tree.structure(step[1])
        same = jax.tree.map(
            lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), reset[1], step[1]
        )
        assert all(jax.tree.leaves(same)), options
        reward, fell, info = step[2:]
        assert (reward.shape, reward.dtype, fell.shape, fell.dtype) == ((), "float32", (), "bool")
        assert info["success"].dtype == "bool" and info["group"].dtype == "int32"
        assert all((x.shape, x.dtype) == ((), "float32") for x in info["metrics"].values())
    assert env.num_actions == 12 and env.name == "Quadruped-v1"


def test_parts_are_as_large_as_documented():
    env = Quadruped(**SMALL, scan="rough", depth=(58, 87), privileged=True, velocity=False)
    sizes = {n: b.shape for n, b in env.observation_space(env.default_params).spaces.items()}
    assert sizes == {
        "proprioception": (45,),
        "scan": (187,),
        "depth": (58, 87, 1),
        "privileged": (15,),
    }


def test_a_step_tells_reward_errors_and_level():
    state = world().start("stairs_up", only_positive=False, level=2)
    _, after, reward, fell, info = world().play(state, 0.5, only_positive=False)
    told = info["metrics"]
    assert set(info) == {"success", "group", "metrics"}
    terms = [name for name in told if name.startswith("reward_")]
    assert len(terms) == 28
    share = sum(told[name] for name in terms)
    np.testing.assert_allclose(reward, CONTROL * share, rtol=1e-4, atol=1e-5)
    assert (np.asarray(share) != 0).all()
    np.testing.assert_array_equal(told["level"], 2.0)
    np.testing.assert_array_equal(told["falls"], 0.0)
    assert (np.asarray(info["group"]) == list(KINDS).index("stairs_up")).all()
    assert world().env.group_names[int(info["group"][0])] == "stairs_up"
    error = np.asarray(told["velocity_error"])
    np.testing.assert_allclose(told["track_velocity"], np.exp(-(error**2) / 0.25), rtol=1e-4)
    yaw_error = np.asarray(told["yaw_rate_error"])
    np.testing.assert_allclose(told["track_yaw"], np.exp(-(yaw_error**2) / 0.25), rtol=1e-4)
    np.testing.assert_allclose(after.tracked, told["track_velocity"], rtol=1e-6)


def test_a_negative_reward_counts_as_nothing():
    changes = {"weight_torque": -1.0}
    state = world().start("stairs_up")
    _, _, free, _, info = world().play(state, 3.0, only_positive=False, **changes)
    _, _, clipped, _, same = world().play(state, 3.0, only_positive=True, **changes)
    assert (np.asarray(free) < 0).all()
    np.testing.assert_array_equal(clipped, np.zeros(BATCH))
    jax.tree.map(np.testing.assert_array_equal, info, same)  # what is logged is not clipped


def test_it_stands_where_it_is_told_to():
    """For half a second: on its feet, at its height, and its feet are told to touch."""
    state = world().start("smooth_slope", **CALM)
    for seed in range(25):
        _, state, _, fell, _ = world().play(state, seed=seed, **CALM)
        assert not fell.any()
    height = np.asarray(state.body.position - state.origin)[:, 2]
    assert (np.abs(height - float(world().params.robot.height)) < 0.05).all()  # gains give way
    assert state.touched.all() and not state.air_time.any() and (state.time == 25).all()


def test_feet_in_the_air_are_counted():
    state = world().start("flat", **CALM)
    position = state.body.position + jnp.array([0.0, 0.0, 0.3])
    state = state.replace(body=state.body.replace(position=position))
    for number in range(1, 4):
        state = world().play(state, **CALM)[1]
        assert not state.touched.any()
        np.testing.assert_allclose(state.air_time, number * CONTROL, rtol=1e-5)


# How episodes end.


def with_body(state, **changes):
    fields = {
        name: jnp.broadcast_to(jnp.asarray(x, jnp.float32), getattr(state.body, name).shape)
        for name, x in changes.items()
    }
    return state.replace(body=state.body.replace(**fields))


def moved(state, x=0.0, y=0.0, z=0.0):
    """The robots somewhere else, as high above the ground as they were at their start."""
    ground = world().params.terrain.ground
    place = np.asarray(state.body.position) + np.array([x, y, 0.0], np.float32)
    below = np.asarray(ground_height(ground, place.T)) - np.asarray(state.origin)[:, 2]
    place[:, 2] += below + z
    return with_body(state, position=place)


def ends(state, **changes):
    """Whether all of a batch fall, run out of time or tiles, and succeed, in one step."""
    changes = {**CALM, **changes}
    _, after, _, fell, info = world().play(state, **changes)
    truncated = jax.vmap(world().env.is_truncated, (0, None))(after, world().changed(**changes))
    told = tuple(np.asarray(x) for x in (fell, truncated, info["success"]))
    assert all((x == x[0]).all() for x in told)
    np.testing.assert_array_equal(info["metrics"]["falls"], told[0])
    return tuple(bool(x[0]) for x in told)


def at(state, time):
    return state.replace(time=jnp.full(BATCH, time))


def test_an_episode_goes_on():
    for kind in ("flat", "gaps", "stairs_down"):
        assert ends(world().start(kind, **CALM)) == (False, False, False)


def test_the_time_limit_is_a_truncation():
    for kind in ("flat", "gaps"):
        state = world().start(kind, **CALM)
        assert ends(at(state, LAST - 1)) == (False, False, False)
        assert ends(at(state, LAST)) == (False, True, False)  # not through


def test_who_gets_far_enough_in_time_succeeds():
    state = world().start("flat", **CALM)
    assert ends(at(moved(state, 0.0, -3.9), LAST)) == (False, True, False)
    assert ends(at(moved(state, 0.0, -4.1), LAST)) == (False, True, True)
    assert ends(at(moved(state, 3.0, 3.0), LAST)) == (False, True, True)
    # Open ground has no end: it goes on.
    assert ends(moved(state, 0.0, -4.1)) == (False, False, True)


def test_the_end_of_a_course_ends_the_episode():
    state = world().start("hurdles", **CALM)
    finish = float(np.asarray(world().params.terrain.finish)[column_of(world().params, "hurdles")])
    assert ends(moved(state, finish - 0.1)) == (False, False, False)
    assert ends(moved(state, finish + 0.1)) == (False, True, True)
    # Aside or backwards is not along it.
    assert ends(moved(state, 0.0, 9.0)) == (False, False, False)


def test_success_may_take_tracking_too():
    state = at(moved(world().start("flat", **CALM), 0.0, 4.1), LAST)
    for share, succeeds in ((0.6, True), (0.4, False)):
        tracked = state.replace(tracked=jnp.full(BATCH, share * (LAST + 1)))
        assert ends(tracked, track_for_success=0.5) == (False, True, succeeds)


def lying(state, tilt):
    """The robots turned about their own x axis."""
    half = tilt / 2
    return with_body(state, quaternion=[np.cos(half), np.sin(half), 0.0, 0.0])


def test_a_tilt_is_a_fall():
    state = moved(world().start("flat", **CALM), z=0.3)
    for tilt, falls in ((0.5, False), (1.0, False), (1.1, True), (np.pi, True)):
        assert ends(lying(state, tilt)) == (falls, False, False), tilt
    assert ends(lying(state, 1.1), fall_tilt=0.3) == (False, False, False)


def legs_up(state):
    """The robots with their feet above their trunks."""
    return with_body(state, angles=[0.0, 3.6, -0.9])


def test_a_trunk_near_the_ground_is_a_fall():
    state = legs_up(world().start("stairs_up", **CALM))
    height = float(world().params.robot.height)
    assert ends(moved(state, z=0.16 - height)) == (False, False, False)
    assert ends(moved(state, z=0.12 - height)) == (True, False, False)
    # It is the height above the ground that counts: five steps up and low is as low as that.
    assert ends(moved(state, 3.0, z=0.12 - height)) == (True, False, False)
    assert ends(moved(state, 3.0, z=0.2 - height))[0] is False


def test_off_a_course_is_a_fall_and_down_stairs_is_not():
    params, low = world().params, {"level": 2, "fall_height": -1.0}
    course = world().start("gaps", **CALM, **low)
    column, start = column_of(params, "gaps"), np.asarray(course.origin)[0]
    ground = params.terrain.ground
    ahead = np.arange(0.0, 6.0, 0.1)
    heights = np.asarray(ground_height(ground, np.stack([start[0] + ahead, 0 * ahead + start[1]])))
    pit = float(ahead[np.argmin(heights)])
    assert heights.min() < -0.9, "the map has a gap"
    assert ends(moved(course, pit), **low) == (True, False, False)
    assert ends(moved(course, pit), **low, fall_depth=2.0)[0] is False
    stairs = world().start("stairs_down", **CALM, **low)
    far = moved(stairs, 3.9)
    assert (np.asarray(far.body.position - far.origin)[:, 2] < -0.5).all()
    assert ends(far, **low) == (False, False, False)
    assert column != column_of(params, "stairs_down")


def test_a_pushed_trunk_is_a_fall_where_that_counts():
    state = legs_up(world().start("flat", **CALM))
    state = moved(state, z=0.05 - float(world().params.robot.height))
    low = {"fall_height": 0.0}
    assert ends(state, **low) == (False, False, False)
    assert ends(state, **low, fall_push=1.0) == (True, False, False)


def test_who_falls_at_the_end_has_not_succeeded():
    state = lying(moved(world().start("flat", **CALM), 0.0, -4.1, 0.3), 2.0)
    assert ends(at(state, LAST)) == (True, True, False)


def test_numbers_that_are_none_end_the_episode_without_a_reward():
    state = world().start("flat", **CALM)
    body = state.body.replace(speeds=state.body.speeds.at[:, 2, 1].set(jnp.nan))
    _, _, reward, fell, info = world().play(state.replace(body=body), **CALM)
    assert fell.all() and not reward.any() and not info["success"].any()


# Episode after episode.


def test_a_restart_keeps_the_column():
    state = world().reset(keys(), world().params)[1]
    assert len(set(np.asarray(state.column).tolist())) > 3
    seen, after = world().restart(keys(1), state, world().changed(level=1))
    np.testing.assert_array_equal(after.column, state.column)
    assert (after.level == 1).all() and (after.time == 0).all()
    assert (np.asarray(after.drawn.friction) != np.asarray(state.drawn.friction)).all()
    np.testing.assert_array_equal(
        after.origin, np.asarray(world().params.terrain.starts)[1, np.asarray(state.column)]
    )
    assert jax.tree.map(jnp.shape, seen) == jax.tree.map(
        jnp.shape, world().reset(keys(), world().params)[0]
    )


@pytest.mark.parametrize("rule", ["legged_gym", "extreme_parkour"])
def test_levels_to_move_by(rule):
    """8 m were asked for, of which 0.5, 0.4 and 0.8 count; open ground ends after 4 m."""
    env = Quadruped(**SMALL, promotion=rule)
    moves = jax.vmap(env.stage_move, (0, None))
    asked = {"command": jnp.tile(jnp.array([0.4, 0.0, 0.9]), (BATCH, 1))}

    def by(kind, x, y=0.0):
        state = world().start(kind, **CALM).replace(**asked)
        found = np.asarray(moves(moved(state, x, y), world().params))
        assert (found == found[0]).all() and found.dtype == np.int32
        return found[0]

    if rule == "legged_gym":
        assert [by("stairs_up", 0.0, y) for y in (0.5, -3.9, -4.1)] == [-1, -1, 1]
        assert [by("gaps", x) for x in (-5.0, 3.9, 4.1, 6.6)] == [-1, -1, 0, 1]
    else:
        assert [by("stairs_up", 0.0, y) for y in (0.5, -1.9, -2.1, -4.1)] == [-1, -1, 0, 1]
        assert [by("gaps", x) for x in (-5.0, 3.1, 3.3, 6.3, 6.45)] == [-1, -1, 0, 0, 1]
    assert by("gaps", 0.0, 9.0) == -1


@pytest.fixture(scope="module")
def staged():
    """Levels as stages, each environment on its own, reset automatically; compiled."""
    env = Quadruped(**SMALL)
    params = strong(env.default_params.replace(**CALM))
    stages = WithStages(env, params, [{"level": level} for level in range(3)], moves="own")
    auto = AutoReset(stages)

    @jax.jit
    def run(keys, state, actions, params):
        def step(state, action):
            state, told = auto.step(keys, state, action, params)
            return state, told

        return jax.lax.scan(step, state, actions)

    return auto, strong(stages.default_params), run


def test_an_environment_moves_up_and_down_its_column(staged):
    auto, params, run = staged
    state, seen = jax.jit(auto.init)(keys(5), params)
    stage = jnp.array([0, 1, 1, 1, 2, 0, 1, 2], jnp.int32)
    level = strong(world().start("stairs_up", **CALM))
    own = state.world.world
    starts = jnp.asarray(world().params.terrain.starts)
    column = jnp.full(BATCH, column_of(world().params, "stairs_up"), jnp.int32)
    origin = starts[stage, column]
    # These end now: through, through, nowhere, halfway, through, nowhere; the last two go on.
    time = jnp.array([LAST] * 6 + [10, 10], jnp.int32)
    gone = jnp.array([4.5, 4.5, 0.2, 3.0, 4.5, 0.2, 4.5, 0.2])
    place = origin.at[:, 1].add(-gone)
    ground = world().params.terrain.ground
    height = ground_height(ground, place.T) + world().params.robot.height
    body = level.body.replace(position=place.at[:, 2].set(height))
    command = jnp.tile(jnp.array([0.2, 0.0, 0.0]), (BATCH, 1))  # 4 m in an episode
    own = own.replace(
        body=body, command=command, column=column, origin=origin, level=stage, time=time
    )
    before = AutoResetState(strong(state.world.replace(world=own, stage=stage)), None)
    actions = jnp.zeros((2, BATCH, 12))
    after, told = run(keys(), before, actions, params)
    told = jax.tree.map(np.asarray, told)
    over = np.array([True] * 6 + [False] * 2)
    np.testing.assert_array_equal(told.truncated, [over, ~over & False])
    assert not told.terminated.any()
    np.testing.assert_array_equal(told.success[0, :6], [True, True, False, False, True, False])
    # The stage of the episode that was stepped, and then the next one's.
    np.testing.assert_array_equal(told.stage[0], stage)
    expected = np.array([1, 2, 0, 1, -1, 0, 1, 2])
    is_told = expected >= 0  # from beyond the last it is any
    np.testing.assert_array_equal(told.stage[1][is_told], expected[is_told])
    np.testing.assert_array_equal(told.metrics["level"][0], stage)
    np.testing.assert_array_equal(told.metrics["level"][1], told.stage[1])
    new = after.world.world
    np.testing.assert_array_equal(new.column, column)
    np.testing.assert_array_equal(new.level, told.stage[1])
    np.testing.assert_array_equal(new.origin, starts[new.level, column])
    np.testing.assert_array_equal(new.time, np.where(over, 1, 12))
    assert (told.group == list(KINDS).index("stairs_up")).all()
    # What ended is seen as it was, what follows begins anew.
    last, first = (x["proprioception"][0] for x in (told.final_observation, told.observation))
    assert (last != first)[over].any(-1).all() and (last == first)[~over].all()


def test_states_and_stages_keep_their_types(staged):
    auto, params, run = staged
    state, seen = jax.jit(auto.init)(keys(), params)
    after, told = run(keys(), state, jnp.zeros((2, BATCH, 12)), params)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    same = jax.tree.map(lambda a, b: (a.dtype, a.weak_type) == (b.dtype, b.weak_type), after, state)
    assert all(jax.tree.leaves(same))
    assert told.reward.dtype == jnp.float32 and set(told.metrics) >= {"falls", "level"}


# Pictures.


@pytest.mark.parametrize("kind", [None, "stairs_up"])
def test_it_can_be_filmed(kind):
    env = world().env if kind else Quadruped()
    state = jax.tree.map(lambda x: x[0], world().start(kind or "flat", seed=1))
    frame = env.render(state, world().params if kind else env.default_params)
    assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[-1] == 3
    assert min(frame.shape[:2]) > 100 and frame.std() > 5
    closer = with_body(state, angles=np.asarray(state.body.angles) + 0.3)
    other = env.render(closer, world().params if kind else env.default_params)
    assert (other != frame).any()
