"""How an episode starts, what it is asked for, and what disturbs it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.measures import ground_height, places_of_feet, wrapped
from envs_jax.quadruped.world import draw_command, start, targets
from quadruped_worlds import BATCH, CALM, keys, world

MANY = 2048
COURSE = 0.3  # rad, about how far off a course's direction a robot may start


@functools.cache
def starter():
    def one(key, params):
        state = start(key, params, None)
        return state, places_of_feet(state.body, params.robot)

    return jax.jit(jax.vmap(one, (0, None)))


def starts(seed=0, **changes):
    """Starts of many episodes, numpy: states and places of feet."""
    params = world().changed(**changes)
    return jax.device_get(starter()(keys(seed, MANY), params))


@pytest.fixture(scope="module")
def many():
    return starts(
        delay=(1, 4),
        link_mass=(0.8, 1.1),
        armature=(1.0, 1.05),
        joint_friction=(0.9, 1.1),
        joint_offset=(-0.05, 0.03),
    )


def yaw_of(body):
    w, x, y, z = np.moveaxis(np.asarray(body.quaternion), -1, 0)
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def fills(values, low, high):
    """Whether numbers are within a range and come near both of its ends, and are even in it."""
    values = np.asarray(values)
    span = high - low
    inside = (values >= low - 1e-6).all() and (values <= high + 1e-6).all()
    ends = values.min() < low + 0.02 * span and values.max() > high - 0.02 * span
    return inside and ends and abs(values.mean() - (low + high) / 2) < 0.05 * span


def is_directed(state):
    return np.asarray(world().params.terrain.directed)[state.column]


# Starts.


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("friction", 0.5, 1.25),
        ("added_mass", -1.0, 1.0),
        ("strength", 0.9, 1.1),
        ("shift", -0.03, 0.03),
        ("link_mass", 0.8, 1.1),
        ("armature", 1.0, 1.05),
        ("joint_friction", 0.9, 1.1),
        ("joint_offset", -0.05, 0.03),
    ],
)
def test_what_is_random_fills_its_range(many, name, low, high):
    values = getattr(many[0].drawn, name)
    assert fills(values.reshape(MANY, -1)[:, 0], low, high)
    assert fills(values.reshape(MANY, -1)[:, -1], low, high)


def test_what_is_random_is_so_independently(many):
    state = many[0]
    body = state.body
    off_home = body.angles - state.drawn.joint_offset
    columns = [x for leaf in jax.tree.leaves(state.drawn) for x in leaf.reshape(MANY, -1).T]
    columns += [*body.velocity.T, *body.spin.T, *off_home.reshape(MANY, 12).T]
    columns += [*(body.position - state.origin)[:, :2].T, state.level, state.column]
    off = np.abs(np.corrcoef(np.stack(columns)) - np.eye(len(columns)))
    # Columns of one key would be 1; 55 * 54 / 2 of 2048 independent ones stay below 0.1.
    assert off.max() < 0.1


def test_delay_is_a_whole_number_below_its_end(many):
    delay = many[0].drawn.delay
    assert delay.dtype == np.int32
    np.testing.assert_allclose(np.bincount(delay) / MANY, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.04)
    assert (starts()[0].drawn.delay == 0).all()


def test_the_trunk_starts_anywhere_near_the_start_of_its_tile(many):
    state = many[0]
    terrain = world().params.terrain
    np.testing.assert_array_equal(
        state.origin, np.asarray(terrain.starts)[state.level, state.column]
    )
    off = (state.body.position - state.origin)[:, :2]
    assert fills(off[:, 0], -0.3, 0.3) and fills(off[:, 1], -0.3, 0.3)
    assert fills(state.body.velocity, -0.3, 0.3) and fills(state.body.spin, -0.3, 0.3)
    home = np.asarray(world().params.robot.home) + state.drawn.joint_offset
    assert fills(state.body.angles - home, -0.2, 0.2)
    assert not state.body.speeds.any()
    np.testing.assert_allclose(np.linalg.norm(state.body.quaternion, axis=-1), 1, atol=1e-6)
    yaw, directed = yaw_of(state.body), is_directed(state)
    assert fills(yaw[~directed], -np.pi, np.pi)
    assert fills(yaw[directed], -0.1 * np.pi, 0.1 * np.pi)


def test_no_foot_starts_inside_the_ground_and_one_is_on_it(many):
    state, feet = many
    ground, radius = world().params.terrain.ground, world().params.robot.foot_radius
    below = jax.vmap(lambda place: ground_height(ground, place))(np.moveaxis(feet, 2, 1))
    above = feet[..., 2] - radius - below
    np.testing.assert_allclose(above.min(-1), 0.0, atol=1e-5)
    assert above.max() > 0.02  # legs are not alike
    # Where joints are at home, the robot stands.
    state, feet = starts(spawn_joints=0.0)
    height = (state.body.position - state.origin)[:, 2]
    np.testing.assert_allclose(height, world().params.robot.height, atol=1e-5)


def test_joints_start_within_their_limits():
    robot = world().params.robot
    angles = starts(spawn_joints=5.0)[0].body.angles
    assert (angles >= robot.lower).all() and (angles <= robot.upper).all()
    assert (angles == robot.lower).any() and (angles == robot.upper).any()


def test_nobody_is_thrown_up_at_the_start():
    state = world().start(seed=3, noise=0.0)
    for number in range(10):
        state = world().play(state, seed=number)[1]
        assert np.abs(state.body.velocity[:, 2]).max() < 1.0, number


def test_levels_are_any_or_the_one_that_is_asked_for(many):
    np.testing.assert_allclose(np.bincount(many[0].level) / MANY, 1 / 3, atol=0.04)
    for level, expected in ((0, 0), (2, 2), (99, 2)):
        assert (starts(level=level)[0].level == expected).all()


def test_columns_are_as_likely_as_their_kinds(many):
    kinds = np.asarray(world().params.terrain.kinds)
    met = np.bincount(kinds[many[0].column], minlength=len(KINDS)) / MANY
    np.testing.assert_allclose(met, np.bincount(kinds) / len(kinds), atol=0.03)
    weights = np.zeros(len(KINDS), np.float32)
    weights[[list(KINDS).index("gaps"), list(KINDS).index("stairs_up")]] = 1.0, 3.0
    column = starts(group_probabilities=weights)[0].column
    met = np.bincount(kinds[column], minlength=len(KINDS)) / MANY
    np.testing.assert_allclose(met, weights / 4, atol=0.03)
    assert len(set(column)) == (kinds == list(KINDS).index("stairs_up")).sum() + 2


# Commands.


@functools.cache
def drawer():
    return jax.jit(jax.vmap(draw_command, (0, 0, None, None, None)))


def commands(directed=False, yaw=None, course=0.0, **changes):
    shares = np.random.default_rng(1).random((MANY, 4), np.float32)
    yaws = np.zeros(MANY, np.float32) if yaw is None else yaw
    return jax.device_get(drawer()(shares, yaws, course, directed, world().changed(**changes)))


def test_commands_fill_their_ranges():
    command, heading = commands(stand_below=0.0)
    for values, ends in zip(command.T, ((-0.5, 1.0), (-0.3, 0.3), (-1.0, 1.0)), strict=True):
        assert fills(values, *ends)
    assert fills(heading, -np.pi, np.pi)
    assert np.abs(np.corrcoef(np.column_stack([command, heading]).T) - np.eye(4)).max() < 0.1


def test_a_slow_command_is_to_stand():
    free, _ = commands(stand_below=0.0)
    stands, _ = commands(stand_below=0.4)
    slow = np.linalg.norm(free[:, :2], axis=-1) < 0.4
    assert 100 < slow.sum() < MANY - 100
    assert not stands[slow, :2].any()
    np.testing.assert_array_equal(stands[~slow], free[~slow])
    np.testing.assert_array_equal(stands[:, 2], free[:, 2])  # it may still turn


def test_a_share_of_the_ranges_is_in_use():
    whole, _ = commands(stand_below=0.0)
    part, _ = commands(stand_below=0.0, command_scale=0.25)
    np.testing.assert_allclose(part, 0.25 * whole, rtol=1e-5, atol=1e-6)


def test_courses_too_can_begin_slowly():
    command, _ = commands(True, command_scale=0.5)
    assert fills(command[:, 0], 0.15, 0.4)


def test_on_a_course_it_goes_forward_and_is_steered():
    yaw = np.linspace(-3.1, 3.1, MANY, dtype=np.float32)
    command, heading = commands(True, yaw, 0.2)
    assert fills(command[:, 0], 0.3, 0.8) and not command[:, 1].any()
    assert (heading == np.float32(0.2)).all()
    turn = wrapped(0.2 - yaw)
    np.testing.assert_allclose(command[:, 2], np.clip(0.5 * turn, -1, 1), atol=1e-6)


def test_a_heading_is_turned_to_the_short_way():
    yaw = np.linspace(-3.1, 3.1, MANY, dtype=np.float32)
    command, heading = commands(yaw=yaw, follow_heading=True)
    turn = np.angle(np.exp(1j * (heading - yaw)))
    np.testing.assert_allclose(command[:, 2], np.clip(0.5 * turn, -1, 1), atol=1e-5)
    assert (np.abs(command[:, 2]) == 1).any()
    free, _ = commands(yaw=yaw)
    np.testing.assert_array_equal(command[:, :2], free[:, :2])


def test_what_is_asked_for_points_to_the_heading_from_first_to_last():
    """Also in the first step of an episode, and when a command is new."""
    changes = {**CALM, "command_steps": 3, "follow_heading": True, "spawn_speed": 1.0}
    state = world().start("smooth_slope", seed=2, **changes)
    headings = []
    for number in range(8):
        turn = wrapped(np.asarray(state.heading) - yaw_of(state.body))
        np.testing.assert_allclose(state.command[:, 2], np.clip(0.5 * turn, -1, 1), atol=1e-4)
        headings.append(np.asarray(state.heading))
        state = world().play(state, seed=number, **changes)[1]
    changed = (np.diff(headings, axis=0) != 0).all(-1)
    np.testing.assert_array_equal(changed, np.arange(1, 8) % 3 == 0)


def test_a_course_is_asked_for_from_first_to_last():
    """Towards a point on its middle line 1 m ahead, also when a command is new."""
    for steps in (1, 500):
        changes = {**CALM, "command_steps": steps, "spawn_radius": 0.3, "spawn_speed": 1.0}
        state = world().start("gaps", seed=2, **changes)
        for number in range(3):
            off = np.asarray(state.body.position - state.origin)[:, 1]
            assert off.min() < -0.1 and off.max() > 0.1
            np.testing.assert_allclose(state.heading, np.arctan(-off), atol=1e-5)
            turn = np.asarray(state.heading) - yaw_of(state.body)
            np.testing.assert_allclose(state.command[:, 2], 0.5 * turn, atol=1e-4)
            before = np.asarray(state.command)
            state = world().play(state, seed=number, **changes)[1]
            is_new = np.asarray(state.command)[:, 0] != before[:, 0]
            assert is_new.all() if steps == 1 else not is_new.any()
            assert not state.command[:, 1].any()


def test_a_command_lasts():
    state = world().start("flat", seed=1)
    assert len(np.unique(np.asarray(state.command), axis=0)) == BATCH
    for time in (498, 499, 500, 999):
        after = world().play(state.replace(time=jnp.full(BATCH, time)))[1]
        is_new = (np.asarray(after.command) != np.asarray(state.command)).any()
        assert is_new == (time == 499), time  # not in the last step, which judges the old one


# Disturbances.


def test_pushes_come_at_their_times():
    state = world().start("flat", seed=1)
    for time in (398, 399, 400, 799):
        now = state.replace(time=jnp.full(BATCH, time))
        pushed = world().play(now, push_speed=0.7)[1]
        calm = world().play(now, push_speed=0.0)[1]
        push = np.asarray(pushed.body.velocity - calm.body.velocity)
        if (time + 1) % 400:
            assert not push.any()
        else:
            assert (np.abs(push[:, :2]) <= 0.7).all() and np.abs(push[:, :2]).max() > 0.35
            assert (push[:, :2] < 0).any() and (push[:, :2] > 0).any() and not push[:, 2].any()
        np.testing.assert_array_equal(pushed.body.position, calm.body.position)


def test_an_action_arrives_late():
    rng = np.random.default_rng(0)
    old, new = rng.uniform(-1, 1, (2, BATCH, 12)).astype(np.float32)
    state = world().start("flat", **CALM)
    home = np.asarray(world().params.robot.home)
    state = state.replace(target=home + 0.3 * old.reshape(BATCH, 4, 3))

    def after(action, delay):
        drawn = state.drawn.replace(delay=jnp.full(BATCH, delay))
        return world().play(state.replace(drawn=drawn), action, **CALM)[1]

    at_once, never = after(new, 0), after(new, 5)
    jax.tree.map(np.testing.assert_array_equal, never.body, after(old, 0).body)
    speeds = [np.asarray(after(new, delay).body.speeds) for delay in range(6)]
    assert all((np.abs(np.diff(speeds, axis=0)) > 1e-4).any((1, 2, 3)))
    # The action is seen, and kept for the next step, all the same.
    np.testing.assert_array_equal(never.target, at_once.target)
    np.testing.assert_array_equal(never.action.reshape(BATCH, 12), new)


# Actions.


def test_an_action_is_a_distance_from_home_within_limits():
    params = world().params.replace(action_scale=0.5, action_limit=2.0)
    action = np.linspace(-3, 3, 12, dtype=np.float32)
    home = np.asarray(params.robot.home) + 0.1
    taken, target = targets(action, home, params)
    np.testing.assert_allclose(taken.ravel(), np.clip(action, -2, 2))
    np.testing.assert_allclose(target - home, 0.5 * taken, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (11,), (13,), (4, 3), (1, 12)])
def test_an_action_of_another_size_is_refused_in_one_line(shape):
    with pytest.raises(ValueError, match="action of shape .*: expected \\(12,\\)") as error:
        targets(np.zeros(shape), world().params.robot.home, world().params)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_no_action_breaks_the_world(bad):
    state = world().start("flat", **CALM)
    action = np.zeros(12, np.float32)
    action[5] = bad
    told = world().play(state, action, **CALM)
    for leaf in jax.tree.leaves((told[0], told[1].body, told[2], told[4])):
        assert np.isfinite(leaf).all()
    if np.isnan(bad):
        jax.tree.map(np.testing.assert_array_equal, told[1], world().play(state, 0.0, **CALM)[1])
