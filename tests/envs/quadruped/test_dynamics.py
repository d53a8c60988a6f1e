"""Dynamics against MuJoCo's numbers (stored) and against energy and momenta in slow NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quadruped_oracle as oracle
from envs_jax.quadruped import dynamics
from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.robot import ROBOTS, make_robot
from mujoco_robot import FLIGHT_TIME, REFERENCE, free, random_bodies, row
from quadruped_runs import BATCH, accelerations, inverse_dynamics, mass_matrix, run

FIELDS = tuple(Body.__dataclass_fields__)


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(REFERENCE))


def stored(reference, name: str, prefix: str = "") -> Body:
    return Body(**{field: reference[f"{name}_{prefix}{field}"] for field in FIELDS})


@pytest.mark.parametrize("name", ROBOTS)
def test_the_mass_matrix_is_mujocos(reference, name):
    robot, bodies = free(make_robot(name)), stored(reference, name)
    at_rest = {"velocity": 0 * bodies.velocity, "spin": 0 * bodies.spin}
    still = bodies.replace(**at_rest, speeds=0 * bodies.speeds)
    for i in range(len(bodies.position)):
        ours = mass_matrix(row(still, i), robot)
        np.testing.assert_allclose(ours, ours.T, atol=1e-5 * np.abs(ours).max())
        theirs = reference[f"{name}_mass"][i]
        worst = np.abs(ours[np.tril_indices(18)] - theirs).max()
        assert worst < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("name", ROBOTS)
def test_unconstrained_accelerations_are_mujocos(reference, name):
    robot, bodies = free(make_robot(name)), stored(reference, name)
    theirs = reference[f"{name}_acceleration"]
    ours = accelerations(bodies, robot)
    worst = np.abs(ours - theirs).max(1) / np.abs(theirs).max(1)
    assert worst.max() < 1e-4


@pytest.mark.parametrize("name", ROBOTS)
def test_inverse_dynamics_undo_the_engine(name):
    # The forces of the motion that the engine makes without motors are none.
    robot, bodies = free(make_robot(name)), random_bodies(BATCH, 5)
    made = accelerations(bodies, robot)
    for i in range(BATCH):
        turned = oracle.rotation(np.float64(bodies.quaternion[i])).T
        made[i, :3] = turned @ made[i, :3] - np.cross(bodies.spin[i], turned @ bodies.velocity[i])
    ours = np.concatenate([made[:, 3:6], made[:, :3], made[:, 6:]], 1).astype(np.float32)
    forces = inverse_dynamics()(bodies, ours, robot)
    assert np.abs(forces).max() < 2e-3 * oracle.mass(robot) * oracle.GRAVITY


@pytest.mark.parametrize("name", ROBOTS)
def test_free_motions_are_mujocos_and_twice_as_near_with_half_the_time_step(reference, name):
    robot, count = free(make_robot(name)), len(reference[f"{name}_position"])
    rows = np.arange(BATCH) % count
    body = jax.tree.map(lambda x: x[rows], stored(reference, name))
    there = jax.tree.map(lambda x: x[rows], stored(reference, name, "after_"))
    errors = []
    for dt in (1e-3, 5e-4):
        end = run(body, robot, FLIGHT_TIME, dt=dt).end
        errors.append([np.abs(getattr(end, f) - getattr(there, f)).max() for f in FIELDS])
    coarse, fine = np.array(errors)
    assert (coarse < BOUNDS).all()
    np.testing.assert_allclose(coarse / fine, 2.0, atol=0.2)


# Of position, quaternion, velocity, spin, angles and speeds, at steps of 1 ms.
BOUNDS = (2e-3, 1e-3, 2e-3, 5e-3, 5e-3, 2e-2)


@pytest.fixture(scope="module")
def flights():
    """The same flight with joints that swing freely, at two time steps."""
    robot = free(make_robot())
    body = random_bodies(BATCH, 1)
    return robot, [run(body, robot, 0.4, dt=dt) for dt in (2e-3, 1e-3)]


def test_energy_hardly_drifts_in_flight_and_half_as_much_with_half_the_time_step(flights):
    robot, runs = flights
    drifts = []
    for flight in runs:
        start, end = (
            np.array([oracle.energy(flight.at(at, i), robot) for i in range(BATCH)])
            for at in (0, -1)
        )
        drifts.append(np.abs(end - start))
    kinetic = 0.5 * oracle.mass(robot) * 4.0  # of the trunk's speed alone
    assert drifts[0].max() < 0.05 * kinetic
    assert 0.4 < drifts[1].sum() / drifts[0].sum() < 0.6


def test_momenta_are_kept_in_flight_and_better_with_half_the_time_step(flights):
    robot, runs = flights
    drifts = []
    for flight in runs:
        start, end = (
            np.array([oracle.momentum(flight.at(at, i), robot) for i in range(BATCH)])
            for at in (0, -1)
        )
        lost = end - start
        lost[:, 2] += oracle.mass(robot) * oracle.GRAVITY * 0.4
        drifts.append((np.abs(lost[:, :3]).max(), np.abs(lost[:, 3:]).max()))
        assert drifts[-1][0] < 1e-3 * np.abs(end[:, :3]).max()
        assert drifts[-1][1] < 1e-2 * np.abs(end[:, 3:]).max()
    np.testing.assert_allclose(np.divide(drifts[1], drifts[0]), 0.5, atol=0.1)


def test_the_centre_of_mass_falls_as_a_stone(flights):
    robot, runs = flights
    flight, time = runs[1], 0.4
    for i in range(BATCH):
        start, end = flight.at(0, i), flight.at(-1, i)
        speed = oracle.momentum(start, robot)[:3] / oracle.mass(robot)
        fallen = oracle.centre(start, robot) + speed * time
        fallen[2] -= 0.5 * oracle.GRAVITY * time**2
        # Semi-implicit Euler falls half a step further each step: g dt t / 2.
        fallen[2] -= 0.5 * oracle.GRAVITY * 1e-3 * time
        np.testing.assert_allclose(oracle.centre(end, robot), fallen, atol=2e-4)


def test_poses_are_those_of_rotation_matrices():
    robot, bodies = make_robot("anymal_c"), random_bodies(BATCH, 2)

    def feet(body):
        pose = dynamics.pose_of(tuple(body.quaternion), tuple(body.angles.T), robot)
        v = dynamics.to_trunk(pose, (pose.foot, pose.foot))[0]
        return jnp.stack(dynamics.to_world(pose, v), -1) + body.position

    ours = jax.jit(jax.vmap(feet))(bodies)
    for i in range(BATCH):
        np.testing.assert_allclose(ours[i], oracle.feet(row(bodies, i), robot), atol=3e-6)


def test_the_unrolled_cholesky_solves():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 6, 6))
    matrix = matrix @ matrix.transpose(0, 2, 1) + 3 * np.eye(6)
    force = rng.normal(size=(5, 6))
    lower = [[jnp.asarray(matrix[:, i, j]) for j in range(i + 1)] for i in range(6)]
    solved = jnp.stack(dynamics.solve(lower, list(jnp.asarray(force).T)), -1)
    np.testing.assert_allclose(solved, np.linalg.solve(matrix, force[..., None])[..., 0], rtol=2e-4)
