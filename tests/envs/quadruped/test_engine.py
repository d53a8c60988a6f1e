"""The engine: symmetries, motors and joint limits, batches and how it is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quadruped_oracle as oracle
from envs_jax.quadruped.engine import Body, simulate
from envs_jax.quadruped.robot import make_robot
from mujoco_robot import standing
from quadruped_runs import BATCH, STEPS, batched, flat, program, run, slope, stack

NONE = np.zeros(3, np.float32)


def one_of(tree, which):
    return jax.tree.map(lambda x: x[which], tree)


def assert_alike(a, b, atol):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=atol)


# Motions that are images of each other.


def mirrored_vector(v, axis):
    return v * np.where(np.arange(3) == axis, -1, 1)


def mirrored_turn(v, axis):
    return v * np.where(np.arange(3) == axis, 1, -1)


def swapped(legs, axis):
    """Legs front right, front left, rear right, rear left in a mirror across x or y."""
    return legs[[2, 3, 0, 1]] if axis == 0 else legs[[1, 0, 3, 2]]


def joint_signs(axis):
    """Angles about x and y turn the other way unless the mirror is across that axis."""
    return np.array([1, -1, -1]) if axis == 0 else np.array([-1, 1, 1])


def mirrored_body(body, axis):
    w, v = body.quaternion[:1], body.quaternion[1:]
    return Body(
        position=mirrored_vector(body.position, axis),
        quaternion=np.concatenate([w, mirrored_turn(v, axis)]),
        velocity=mirrored_vector(body.velocity, axis),
        spin=mirrored_turn(body.spin, axis),
        angles=swapped(body.angles, axis) * joint_signs(axis),
        speeds=swapped(body.speeds, axis) * joint_signs(axis),
    )


def mirrored_robot(robot, axis):
    signs = np.where(np.arange(3) == axis, -1, 1)
    products = np.array([signs[i] * signs[j] for i, j in ((0, 1), (0, 2), (1, 2))])
    inertia = np.concatenate([np.ones(3), products])
    legs = {
        field: swapped(getattr(robot, field), axis) * signs
        for field in ("hip", "thigh", "knee", "foot", "link_com")
    }
    ends = np.stack([robot.lower, robot.upper], -1)
    ends = swapped(ends, axis) * joint_signs(axis)[:, None]
    return robot.replace(
        **legs,
        trunk_com=robot.trunk_com * signs,
        trunk_inertia=robot.trunk_inertia * inertia,
        link_mass=swapped(robot.link_mass, axis),
        link_inertia=swapped(robot.link_inertia, axis) * inertia,
        lower=ends.min(-1),
        upper=ends.max(-1),
        home=swapped(robot.home, axis) * joint_signs(axis),
    )


def moved_body(body, yaw, by):
    turn = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    rotation = oracle.rotation(turn)
    return body.replace(
        position=rotation @ body.position + [*by, 0.0],
        quaternion=oracle.product(turn, body.quaternion),
        velocity=rotation @ body.velocity,
    )


@pytest.fixture(scope="module")
def images():
    """A stumble on flat ground, its mirror images and itself seen from another place."""
    robot = make_robot("go2", trunk_com=[0.03, 0.02, 0.01])
    body = standing(robot).replace(
        quaternion=np.array([0.99, 0.08, -0.1, 0.06]) / np.sqrt(0.99**2 + 0.02),
        velocity=np.array([0.5, 0.3, -0.2]),
        spin=np.array([1.0, -0.5, 0.7]),
        speeds=np.linspace(-2.0, 2.0, 12).reshape(4, 3),
    )
    body = body.replace(position=body.position + [0.1, -0.2, 0.02])
    target = robot.home + 0.1 * np.cos(np.arange(12)).reshape(4, 3)
    bodies = [body, mirrored_body(body, 1), mirrored_body(body, 0), moved_body(body, 1.1, (0.3, 0))]
    robots = [robot, mirrored_robot(robot, 1), mirrored_robot(robot, 0), robot]
    targets = [target, *(swapped(target, axis) * joint_signs(axis) for axis in (1, 0)), target]
    float32 = lambda tree: jax.tree.map(lambda x: np.asarray(x, np.float32), tree)
    happened = run(
        float32(stack(bodies * 2)), float32(stack(robots * 2)), 0.4, target=stack(targets * 2)
    )
    assert happened.forces.feet[:, 0, :, 2].max() > 50  # it does touch the ground
    return [happened.at(-1, which) for which in range(4)]


def test_left_and_right_are_mirror_images(images):
    assert_alike(mirrored_body(images[0], 1), images[1], 1e-3)


def test_front_and_rear_are_mirror_images(images):
    assert_alike(mirrored_body(images[0], 0), images[2], 1e-3)


def test_a_motion_is_the_same_from_another_place_and_heading(images):
    expected, found = moved_body(images[0], 1.1, (0.3, 0)), images[3]
    sign = np.sign(expected.quaternion @ found.quaternion)
    assert_alike(expected.replace(quaternion=sign * expected.quaternion), found, 1e-3)


# Joints.


@pytest.fixture(scope="module")
def at_limits():
    """In free fall, every motor steering far beyond one limit or the other."""
    robot = make_robot(joint_friction=NONE)
    beyond = np.where(np.arange(BATCH)[:, None, None] % 2, robot.upper + 5, robot.lower - 5)
    return robot, run(standing(robot, 50.0), robot, 1.0, target=beyond)


def test_joint_limits_hold(at_limits):
    robot, happened = at_limits
    give = robot.torque_limit / robot.limit_stiffness  # of the spring under all of the torque
    angles = happened.bodies.angles
    assert (angles < robot.upper + 0.5).all() and (angles > robot.lower - 0.5).all()
    upward = np.arange(BATCH)[:, None, None] % 2 == 1
    expected = np.where(upward, robot.upper + give, robot.lower - give)
    np.testing.assert_allclose(happened.end.angles, expected, atol=0.01)


def test_torque_limits_bind(at_limits):
    robot, happened = at_limits
    torques = np.abs(happened.forces.torques)
    assert (torques <= robot.torque_limit * (1 + 1e-6)).all()
    np.testing.assert_allclose(
        torques[-1], np.broadcast_to(robot.torque_limit, torques[-1].shape), rtol=1e-6
    )


def test_motors_are_a_spring_and_a_damper():
    robot = make_robot(joint_friction=NONE)
    body = standing(robot, 5.0).replace(speeds=np.full((4, 3), 0.5, np.float32))
    target = robot.home + np.float32(0.1)
    step = program(1)
    _, forces = step(
        batched(body), batched(target), batched(target), 0, batched(robot), flat(), 1e-3
    )
    expected = robot.stiffness * 0.1 - robot.damping * 0.5
    np.testing.assert_allclose(forces.torques[0], np.tile(expected, (4, 1)), rtol=1e-4)


def test_the_first_steps_follow_the_target_before():
    robot, ground = batched(make_robot()), flat()
    body = jax.tree.map(jnp.asarray, batched(standing(make_robot())))
    before, target = robot.home, robot.home + np.float32(0.2)
    for delay in (0, 3, STEPS + 5):
        at_once, _ = program(STEPS)(body, target, before, delay, robot, ground, 0.004)
        stepwise = body
        for i in range(STEPS):
            wanted = before if i < delay else target
            stepwise, _ = program(1)(stepwise, wanted, wanted, 0, robot, ground, 0.004)
        assert_alike(at_once, stepwise, 2e-5)
    late, _ = program(STEPS)(body, target, before, 3, robot, ground, 0.004)
    assert np.abs(late.angles - stepwise.angles).max() > 0.01


# Batches and programs.


@pytest.fixture(scope="module")
def start():
    """Robots about to land, each with masses, friction and gains of its own."""
    rng = np.random.default_rng(3)
    one = make_robot()
    robots = batched(one)
    scale = rng.uniform(0.8, 1.2, BATCH).astype(np.float32)
    robots = robots.replace(
        trunk_mass=one.trunk_mass * scale,
        stiffness=one.stiffness * scale[::-1, None],
        ground=robots.ground.replace(friction=rng.uniform(0.3, 1.2, BATCH).astype(np.float32)),
    )
    bodies = batched(standing(one, 0.01))
    bodies = bodies.replace(
        velocity=rng.normal(0.0, 0.5, (BATCH, 3)).astype(np.float32),
        spin=rng.normal(0.0, 0.5, (BATCH, 3)).astype(np.float32),
    )
    target = (one.home + rng.normal(0.0, 0.2, (BATCH, 4, 3))).astype(np.float32)
    return bodies, target, robots


@pytest.fixture(scope="module")
def landed(start):
    """What the program of most tests makes of them."""
    bodies, target, robots = start
    result = program(STEPS)(bodies, target, target, 0, robots, flat(), 0.004)
    assert result[1].feet[..., 2].max() > 50
    return result


def test_robots_of_a_batch_are_their_own(start, landed):
    bodies, target, robots = start
    for which in (0, 5):
        alike = batched(one_of(robots, which))
        after, _ = program(STEPS)(bodies, target, target, 0, alike, flat(), 0.004)
        assert_alike(one_of(after, which), one_of(landed[0], which), 1e-6)
        assert np.abs(after.velocity[3] - landed[0].velocity[3]).max() > 1e-3


@pytest.mark.parametrize("apart", [True, False])
def test_phases_apart_or_in_one_graph_make_the_same_motion(start, landed, apart):
    bodies, target, robots = start
    after, forces = program(STEPS, apart=apart)(bodies, target, target, 0, robots, flat(), 0.004)
    assert_alike(after, landed[0], 1e-4)
    np.testing.assert_allclose(forces.feet, landed[1].feet, atol=0.5)


def test_no_map_is_flat_ground(start, landed):
    bodies, target, robots = start
    after, _ = program(STEPS)(bodies, target, target, 0, robots, None, 0.004)
    assert_alike(after, landed[0], 1e-4)


def test_one_robot_without_a_batch(start, landed):
    bodies, target, robots = start
    single = jax.jit(
        lambda body, target, robot, ground: simulate(body, target, robot, ground, 0.004, STEPS)
    )
    for which in (0, 6):
        alone, forces = single(one_of(bodies, which), target[which], one_of(robots, which), flat())
        assert_alike(alone, one_of(landed[0], which), 1e-4)
        np.testing.assert_allclose(forces.feet, landed[1].feet[which], atol=0.5)


def test_batches_of_batches_in_a_scan(start):
    bodies, target, robots = start
    robot = one_of(robots, 0)  # for all
    shape = lambda tree: jax.tree.map(lambda x: x.reshape(2, BATCH // 2, *x.shape[1:]), tree)

    @jax.jit
    def nested(bodies, target, robot, ground):
        step = lambda b, t: simulate(b, t, robot, ground, 0.004, STEPS)[0]
        both = jax.vmap(jax.vmap(step))
        return jax.lax.scan(lambda b, _: (both(b, target), None), bodies, None, length=2)[0]

    found = nested(shape(bodies), shape(target), robot, flat())
    expected = bodies
    for _ in range(2):
        expected, _ = program(STEPS)(expected, target, target, 0, batched(robot), flat(), 0.004)
    assert_alike(jax.tree.map(lambda x: x.reshape(BATCH, *x.shape[2:]), found), expected, 3e-4)


def test_each_robot_on_a_map_of_its_own(start):
    bodies, target, robots = start
    angles = np.linspace(-0.2, 0.2, BATCH)
    grounds = stack([slope(angle) for angle in angles])

    @jax.jit
    def each(bodies, target, robots, grounds):
        one = lambda b, t, r, g: simulate(b, t, r, g, 0.004, STEPS)[0]
        return jax.vmap(one)(bodies, target, robots, grounds)

    found = each(bodies, target, robots, grounds)
    for which in (0, 7):
        expected, _ = program(STEPS)(bodies, target, target, 0, robots, slope(angles[which]), 0.004)
        assert_alike(one_of(found, which), one_of(expected, which), 1e-4)
    assert np.abs(found.velocity[0] - found.velocity[7]).max() > 1e-2


def test_feet_alone_may_touch_the_ground(start, landed):
    bodies, target, robots = start
    feet_only = program(STEPS, whole_body=False)
    after, forces = feet_only(bodies, target, target, 0, robots, flat(), 0.004)
    assert_alike(after, landed[0], 1e-4)
    assert (forces.knees == 0).all() and (forces.corners == 0).all()
    # Lying on its belly with its feet up, a robot falls through.
    belly = batched(standing(make_robot())).replace(
        position=np.tile(np.float32([0.0, 0.0, 0.05]), (BATCH, 1)),
        angles=np.tile(np.float32([0.0, 3.0, -1.0]), (BATCH, 4, 1)),
    )
    through, _ = feet_only(belly, belly.angles, belly.angles, 0, robots, flat(), 0.004)
    held, lying = program(STEPS)(belly, belly.angles, belly.angles, 0, robots, flat(), 0.004)
    assert (lying.corners.sum(-1) > 50).all()
    assert (held.velocity[:, 2] > through.velocity[:, 2] + 0.1).all()
