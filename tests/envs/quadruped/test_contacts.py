"""Robots on the ground: friction, rest as MuJoCo's (stored), falls, and no energy from nowhere."""

import jax
import numpy as np
import pytest

import quadruped_oracle as oracle
from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.robot import ROBOTS, corners, make_robot
from mujoco_robot import REFERENCE, random_bodies, standing
from quadruped_runs import BATCH, batched, flat, program, run, slope, stack, surface

FIELDS = tuple(Body.__dataclass_fields__)
NONE = np.zeros(3, np.float32)


ANGLE = np.radians(20.0)
FRICTIONS = np.array([0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5], np.float32)
HELD = np.tan(ANGLE) < 0.9 * FRICTIONS
SLIDES = np.tan(ANGLE) > 1.1 * FRICTIONS
STIFF = {
    "stiffness": np.full(3, 400.0),
    "damping": np.full(3, 10.0),
    "torque_limit": np.full(3, 300.0),
}


@pytest.fixture(scope="module")
def on_slope():
    """Stiff robots of several frictions that stand on a slope which falls along x."""
    robot = make_robot("a1", **STIFF)
    robots = batched(robot)
    robots = robots.replace(ground=robots.ground.replace(friction=FRICTIONS))
    half = ANGLE / 2
    normal = np.array([np.sin(ANGLE), 0.0, np.cos(ANGLE)])
    body = standing(robot).replace(
        quaternion=np.array([np.cos(half), 0.0, np.sin(half), 0.0], np.float32),
        position=((robot.height - 0.003) * normal).astype(np.float32),
    )
    return robots, run(body, robots, 0.8, ground=slope(ANGLE))


def test_a_robot_stands_on_a_slope_below_the_angle_of_friction(on_slope):
    robots, happened = on_slope
    along = np.array([np.cos(ANGLE), 0.0, -np.sin(ANGLE)])
    creep = happened.bodies.velocity[10:] @ along  # from 0.4 s on
    # Below `slip` friction is viscous: what holds it, creeps at this fraction of it.
    expected = robots.ground.slip * np.tan(ANGLE) / FRICTIONS
    assert (np.abs(creep.mean(0) - expected)[HELD] < 0.5 * robots.ground.slip[HELD]).all()


def test_a_robot_slides_on_a_slope_above_the_angle_of_friction(on_slope):
    _, happened = on_slope
    along = np.array([np.cos(ANGLE), 0.0, -np.sin(ANGLE)])
    speed = happened.bodies.velocity @ along
    gained = (speed[-1] - speed[10]) / 0.4
    expected = oracle.GRAVITY * (np.sin(ANGLE) - FRICTIONS * np.cos(ANGLE))
    np.testing.assert_allclose(gained[SLIDES], expected[SLIDES], atol=0.1)


def test_forces_are_within_the_cone_of_friction(on_slope):
    _, happened = on_slope
    normal = np.array([np.sin(ANGLE), 0.0, np.cos(ANGLE)])
    push = happened.forces.feet @ normal
    across = np.linalg.norm(happened.forces.feet - push[..., None] * normal, axis=-1)
    assert (across <= FRICTIONS[:, None] * push + 0.02 * push + 0.5).all()


def test_robots_come_to_rest_where_mujocos_do():
    stored, robots = np.load(REFERENCE), [make_robot(name) for name in ROBOTS]
    bodies = [standing(robot) for robot in robots]
    happened = run(stack(bodies * 2), stack(robots * 2), 3.0, target=stack(robots * 2).home)
    for i, (name, robot) in enumerate(zip(ROBOTS, robots, strict=True)):
        theirs = Body(**{field: stored[f"{name}_rest_{field}"] for field in FIELDS})
        ours = happened.at(-1, i)
        # Over their soles: how far these sink into the ground is a choice of either engine.
        heights = [b.position[2] - oracle.feet(b, robot)[:, 2].mean() for b in (ours, theirs)]
        assert abs(heights[0] - heights[1]) < 0.01 * robot.height
        np.testing.assert_allclose(ours.angles, theirs.angles, atol=0.03)


def test_a_standing_robot_weighs_on_its_feet_and_sinks_in_by_that():
    robot = make_robot("anymal_c")
    happened = run(standing(robot), robot, 2.0)
    weight = oracle.mass(robot) * oracle.GRAVITY
    push = happened.forces.feet[-1, 0]
    np.testing.assert_allclose(push.sum(0), [0.0, 0.0, weight], atol=0.01 * weight)
    soles = oracle.feet(happened.at(-1, 0), robot)[:, 2] - robot.foot_radius
    np.testing.assert_allclose(soles, -push[:, 2] / robot.ground.stiffness, rtol=0.02)
    assert (happened.forces.knees[-1] == 0).all() and (happened.forces.corners[-1] == 0).all()


@pytest.fixture(scope="module")
def collapse():
    """Robots without motors, dropped in all orientations from over a metre."""
    robot = make_robot(stiffness=NONE, damping=NONE, joint_friction=NONE)
    thrown = random_bodies(BATCH, 0)
    body = standing(robot, 1.0)
    bodies = batched(body).replace(quaternion=thrown.quaternion, spin=thrown.spin)
    return robot, run(bodies, robot, 4.0)


def test_contacts_and_limits_make_no_energy(collapse):
    robot, happened = collapse
    energy = np.array(
        [
            [oracle.energy(happened.at(at, which), robot) for which in range(BATCH)]
            for at in range(len(happened.bodies.position))
        ]
    )
    assert np.isfinite(energy).all()
    # Springs hold energy for some hundredths of a second, so peaks of 0.2 s are compared.
    peaks = energy[1:].reshape(-1, 5, BATCH).max(1)
    assert np.diff(peaks, axis=0).max() < 0.05
    assert peaks[0].max() < energy[0].max() + 0.05
    assert (peaks[-1] < 0.2 * energy[0]).all()


def test_a_collapsed_robot_lies_on_the_ground(collapse):
    robot, happened = collapse
    weight = oracle.mass(robot) * oracle.GRAVITY
    forces = happened.forces
    pushes = forces.feet[-5:, ..., 2].sum(-1) + forces.knees[-5:].sum(-1)
    pushes = pushes + forces.corners[-5:].sum(-1)
    np.testing.assert_allclose(pushes.mean(0), weight, rtol=0.1)
    assert (forces.knees[-1] + forces.corners[-1]).max() > 10
    assert np.median(np.linalg.norm(happened.end.velocity, axis=-1)) < 0.02
    assert (happened.end.position[:, 2] > 0.0).all()
    np.testing.assert_allclose(np.linalg.norm(happened.end.quaternion, axis=-1), 1.0, atol=1e-6)


def test_robots_dropped_from_two_metres_stay_above_ground():
    robot, rng = make_robot(), np.random.default_rng(0)
    bodies = batched(standing(robot, 2.0))
    bodies = bodies.replace(spin=rng.normal(0.0, 0.3, (BATCH, 3)).astype(np.float32))
    happened = run(bodies, robot, 3.0)
    heights = happened.bodies.position[..., 2]
    assert heights.min() > 0.02
    soles = np.array(
        [
            [oracle.feet(happened.at(at, which), robot)[:, 2].min() for which in range(BATCH)]
            for at in range(len(heights))
        ]
    )
    soles -= robot.foot_radius
    assert soles.min() > -0.06  # at 6 m/s, as the spring's force is limited
    assert soles[-10:].min() > -0.02
    assert heights[25:].max() < 0.8  # nor are they shot up again
    assert np.linalg.norm(happened.end.velocity, axis=-1).max() < 1.0


def test_nobody_gets_into_a_wall():
    """Robots that are thrown at it at up to 5 m/s; the wall rises by 1 m from x = 0.9 to 1.0 m."""
    robot, speeds = make_robot(), np.linspace(1.5, 5.0, BATCH)
    bodies = batched(standing(robot))
    bodies.velocity[:, 0] = speeds
    bodies.position[:, 0] = 0.4
    happened = run(bodies, robot, 1.0, ground=surface(lambda x, y: x > 0.95))
    reached = np.array(
        [
            [balls(happened.at(at, which), robot)[:, 0].max() for which in range(BATCH)]
            for at in range(len(happened.bodies.position))
        ]
    ).max(0)
    assert (reached > 0.85).all() and reached.max() < 1.0
    assert happened.bodies.velocity[..., 2].max() < 2.0  # nor is anybody shot up


def balls(body, robot):
    """Foremost points of feet and of the balls in the trunk's corners, [8, 3], m."""
    middles, radius = corners(robot)
    turned = oracle.rotation(np.float64(body.quaternion))
    trunk = body.position + np.stack(middles, -1) @ turned.T
    ahead = np.array([1.0, 0.0, 0.0])
    feet = oracle.feet(body, robot)
    return np.concatenate([feet + robot.foot_radius * ahead, trunk + radius * ahead])


def points(body, robot):
    """Lowest points of feet, knees and of the balls in the trunk's corners, m."""
    links, turned = oracle.links(body, robot), oracle.rotation(np.float64(body.quaternion))
    feet = [link.end[2] - robot.foot_radius for link in links[3::3]]
    knees = [link.end[2] - robot.knee_radius for link in links[2::3]]
    radius = robot.trunk_size[2]
    inside = np.array([*(robot.trunk_size[:2] - radius), 0.0])
    balls = [body.position[2] + turned[2] @ (np.sign(hip) * inside) - radius for hip in robot.hip]
    return np.array([feet, knees, balls])


def test_feet_knees_and_corners_push_by_how_deep_they_are():
    robot, rng = make_robot(), np.random.default_rng(4)
    tilts = np.concatenate([np.ones((BATCH, 1)), rng.normal(0.0, 0.02, (BATCH, 3))], 1)
    tilts /= np.linalg.norm(tilts, axis=1, keepdims=True)
    tilts[1::2] = [oracle.product(tilt, np.array([0.0, 1.0, 0.0, 0.0])) for tilt in tilts[1::2]]
    angles = rng.uniform(-0.1, 0.1, (BATCH, 4, 3))
    angles[2::2, :, 1:] += [1.27, 1.87]  # kneeling, with feet in the air
    bodies = batched(standing(robot)).replace(
        quaternion=np.float32(tilts), angles=np.float32(angles)
    )
    depths = []
    for which in range(BATCH):
        body = jax.tree.map(lambda x: x[which], bodies)  # noqa: B023
        bodies.position[which, 2] -= points(body, robot).min() + 0.025
        body = body.replace(position=bodies.position[which])
        depths.append(-points(body, robot))
    _, forces = program(1)(bodies, bodies.angles, bodies.angles, 0, batched(robot), flat(), 1e-3)
    ours = np.stack([forces.feet[..., 2], forces.knees, forces.corners], 1)
    depths = np.stack(depths)
    assert ((depths > 0.001).sum((0, 2)) > 3).all()  # of feet, knees and corners
    pushes = robot.ground.stiffness * np.clip(depths, 0.0, robot.ground.depth)
    np.testing.assert_allclose(ours, pushes, atol=1e-3 * pushes.max())


def test_random_motors_on_rough_ground_make_no_explosion():
    rng = np.random.default_rng(0)
    robot = make_robot()
    heights = rng.uniform(0.0, 0.15, (41, 41))
    bodies = batched(standing(robot, 0.15))
    bodies.position[:, :2] = rng.uniform(-1.0, 1.0, (BATCH, 2))
    targets = rng.uniform(-3.0, 3.0, (75, BATCH, 4, 3))
    happened = run(bodies, robot, 3.0, target=targets, ground=surface(lambda x, y: heights))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(happened))
    assert happened.bodies.position[..., 2].min() > 0.0
    assert happened.bodies.position[..., 2].max() < 1.5
    assert np.abs(happened.bodies.velocity).max() < 8.0
