"""The engine beside MuJoCo itself; needs the extra ``mujoco``."""

import jax
import numpy as np
import pytest

import quadruped_oracle as oracle
from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.mjcf import walk_in_mujoco
from envs_jax.quadruped.robot import ROBOTS, make_robot
from mujoco_robot import (
    FLIGHT_TIME,
    REFERENCE,
    body_of,
    free,
    model_of,
    place,
    random_bodies,
    reference,
    rest,
    row,
    standing,
)
from mujoco_robot import mass_matrix as mujocos_mass_matrix
from quadruped_runs import BATCH, accelerations, mass_matrix, run, slope, surface

mujoco = pytest.importorskip("mujoco")
FIELDS = tuple(Body.__dataclass_fields__)


def test_the_stored_reference_is_what_mujoco_says():
    stored = np.load(REFERENCE)
    for field, value in reference("go1").items():
        np.testing.assert_allclose(stored[f"go1_{field}"], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ROBOTS)
def test_mass_matrices_and_accelerations(name):
    robot, bodies = free(make_robot(name)), random_bodies(2 * BATCH, 11)
    model, ours = model_of(robot), accelerations(bodies, robot)
    for i in range(2 * BATCH):
        body = row(bodies, i)
        data = place(model, body)
        worst = np.abs(ours[i] - data.qacc).max()
        assert worst < 1e-4 * np.abs(data.qacc).max()
        still = body.replace(velocity=0 * body.velocity, spin=0 * body.spin, speeds=0 * body.speeds)
        theirs = mujocos_mass_matrix(model, data)
        assert np.abs(mass_matrix(still, robot) - theirs).max() < 1e-5 * np.abs(theirs).max()


def flown(robot, bodies, targets, seconds, dt=2e-4):
    """Where MuJoCo's robots are then, [BATCH, ...]."""
    model = model_of(robot, dt=dt)
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_RK4
    ends = []
    for i in range(BATCH):
        data = place(model, row(bodies, i))
        data.ctrl[:] = np.ravel(targets[i])
        for _ in range(round(seconds / dt)):
            mujoco.mj_step(model, data)
        ends.append(body_of(data))
    return jax.tree.map(lambda *x: np.stack(x), *ends)


def errors(ours, theirs):
    return np.array([np.abs(getattr(ours, f) - getattr(theirs, f)).max() for f in FIELDS])


@pytest.mark.parametrize("name", ROBOTS)
def test_free_motions(name):
    robot, bodies = free(make_robot(name)), random_bodies(BATCH, 12)
    theirs = flown(robot, bodies, bodies.angles, FLIGHT_TIME, 1e-3)
    coarse, fine = (
        errors(run(bodies, robot, FLIGHT_TIME, dt=dt).end, theirs) for dt in (1e-3, 5e-4)
    )
    assert (coarse < [2e-3, 1e-3, 2e-3, 1e-2, 1e-2, 5e-2]).all()
    np.testing.assert_allclose(coarse / fine, 2.0, atol=0.25)


@pytest.mark.parametrize("name", ["go1", "anymal_c"])
def test_motors_with_clipped_torques_and_damped_joints_in_flight(name):
    robot = make_robot(name, joint_friction=np.zeros(3), joint_damping=np.full(3, 0.1))
    wide = np.full((4, 3), 100.0, np.float32)
    robot = robot.replace(lower=-wide, upper=wide)
    bodies = random_bodies(BATCH, 13)
    targets = bodies.angles + np.random.default_rng(1).uniform(-1.5, 1.5, (BATCH, 4, 3))
    targets = targets.astype(np.float32)
    clipped = np.abs(robot.stiffness * (targets - bodies.angles)) > robot.torque_limit
    assert 0.1 < clipped.mean() < 0.9
    theirs = flown(robot, bodies, targets, 0.1)
    coarse, fine = (
        errors(run(bodies, robot, 0.1, dt=dt, target=targets).end, theirs) for dt in (1e-3, 5e-4)
    )
    assert (coarse[[1, 4]] < [0.02, 0.1]).all()
    assert (fine < 0.65 * coarse).all()


def over_soles(body, robot):
    """Height of the trunk over the middle of its soles, m."""
    return body.position[2] - oracle.feet(body, robot)[:, 2].mean()


@pytest.mark.parametrize("name", ROBOTS)
def test_rest_on_flat_ground(name):
    robot = make_robot(name)
    body = standing(robot)
    ours, theirs = run(body, robot, 3.0).at(-1, 0), rest(robot, body)
    assert abs(over_soles(ours, robot) - over_soles(theirs, robot)) < 0.01 * robot.height
    if name == "go1":
        assert abs(ours.position[2] - theirs.position[2]) < 3e-3
    np.testing.assert_allclose(ours.angles, theirs.angles, atol=0.03)


def test_rest_on_a_slope():
    robot, angle = make_robot(), np.radians(12.0)
    ground = slope(angle)
    body = standing(robot, 0.05)
    ours, theirs = run(body, robot, 2.0, ground=ground).at(-1, 0), rest(robot, body, ground, 2.0)
    normal = np.array([np.sin(angle), 0.0, np.cos(angle)])
    assert abs((ours.position - theirs.position) @ normal) < 5e-3
    assert np.linalg.norm(ours.position - theirs.position) < 0.03
    tilts = [oracle.rotation(b.quaternion)[2] for b in (ours, theirs)]
    np.testing.assert_allclose(*tilts, atol=0.03)


def test_rest_on_a_height_field():
    robot = make_robot("go2")
    ground = surface(lambda x, y: 0.05 * np.cos(2 * x) + 0.05 * y)
    body = standing(robot, 0.06)
    ours, theirs = run(body, robot, 2.0, ground=ground).at(-1, 0), rest(robot, body, ground, 2.0)
    assert np.linalg.norm(ours.position - theirs.position) < 0.01
    tilts = [oracle.rotation(b.quaternion)[2] for b in (ours, theirs)]
    np.testing.assert_allclose(*tilts, atol=0.02)


@pytest.mark.parametrize("randomisation", ["own", "playground"])
def test_who_does_nothing_stands_in_mujoco(randomisation):
    """By all that a walking policy is measured by; nothing about its robot is random there."""
    env = Quadruped(whole_body=False, randomisation=randomisation)
    params = env.default_params.replace(command_scale=0.0, noise=1.0)
    seen = []

    def act(carry, observation, reset):
        seen.append(np.asarray(observation["proprioception"])[0])
        return carry + 1, np.zeros((1, 12), np.float32)

    walks = walk_in_mujoco(env, params, act, np.zeros(1), 2, 60, 30)
    assert not walks.fell.any() and (walks.steps == 60).all()
    assert (walks.means["velocity_error"] < 0.05).all()
    assert (walks.means["track_velocity"] > 0.99).all()
    off_home = np.stack(seen)[:, 9:21].reshape(2, 60, 12)
    assert 0.1 < np.abs(off_home[:, -1]).max() < 0.3, "knees give in to its weight"
    # Without noise: a robot at rest sees the same again.
    np.testing.assert_allclose(off_home[:, -1], off_home[:, -2], atol=1e-3)


def test_a_heading_is_followed_in_mujoco():
    env = Quadruped(whole_body=False)
    params = env.default_params.replace(follow_heading=True)
    asked = []

    def act(carry, observation, reset):
        asked.append(float(observation["proprioception"][0, 8]))
        # Legs on one side push on, on the other side back: it turns.
        action = np.zeros((1, 4, 3), np.float32)
        action[:, ::2, 1], action[:, 1::2, 1] = 0.8 * (-1) ** (len(asked) // 8), 0.0
        return carry, action.reshape(1, 12)

    walk_in_mujoco(env, params, act, np.zeros(1), 1, 40, 20)
    assert np.ptp(asked) > 1e-3


def test_a_terrain_is_refused():
    env = Quadruped(ground="gaps", cell=0.2, levels=1)
    with pytest.raises(ValueError, match="expected ground 'flat' for MuJoCo"):
        walk_in_mujoco(env, env.default_params, None, None, 1, 1, 0)
