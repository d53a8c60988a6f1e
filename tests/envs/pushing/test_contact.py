"""Robots that push, alone and together, against closed forms and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.pushing.impulses import coulomb

REACH = 0.275  # half the length of a robot
FAR = (9, 9, 0)
FORWARD = (2, 0, 0)
REST = (0, 0, 0)
DT = 0.02


def test_coulombs_law_in_closed_form():
    keys = jax.random.split(jax.random.key(0), 7)
    n = 2000
    along, across = (jax.random.uniform(key, (n,), minval=0.1, maxval=2.0) for key in keys[:2])
    mixed = 0.6 * jnp.sqrt(along * across) * jax.random.uniform(keys[2], (n,), minval=-1)
    friction = jax.random.uniform(keys[3], (n,))
    push = jax.random.uniform(keys[4], (n,))
    rub = friction * push * jax.random.uniform(keys[5], (n,), minval=-1)
    closing, slip = jax.random.normal(keys[6], (2, n))
    new, new_rub = jax.jit(coulomb)(push, rub, closing, slip, (along, across, mixed), friction)
    closing_left = closing - along * (new - push) + mixed * (new_rub - rub)
    slip_left = slip + mixed * (new - push) - across * (new_rub - rub)
    assert bool((new >= 0).all() & (jnp.abs(new_rub) <= friction * new + 1e-6).all())
    jams = along - friction * jnp.abs(mixed) < 0.1 * along
    holds, touches = jnp.abs(new_rub) < friction * new - 1e-5, new > 1e-6
    assert 100 < holds.sum() < touches.sum() < n - 100 and jams.sum() < 0.2 * n
    np.testing.assert_allclose(jnp.where(touches & ~jams, closing_left, 0.0), 0.0, atol=1e-4)
    np.testing.assert_allclose(jnp.where(holds, slip_left, 0.0), 0.0, atol=1e-4)
    assert bool((closing_left <= 1e-5)[~touches].all())
    slides = touches & ~holds & ~jams
    assert bool((slip_left * new_rub >= -1e-5)[slides].all())  # it rubs the way it slips


def test_a_robot_follows_its_command_with_its_lag(params, scene, simulate):
    still, moving = (0, 0, 0), (0.3, -0.2, 0.5)
    state = scene([(-5, 0, 0.4), (5, 0, 0)], [still, moving])
    state = state.replace(lag=jnp.float32([0.2, 0.35]))
    path = simulate(state, [(1.0, -0.5, 0.6), (0, 0, 0)], params)
    time = DT * np.arange(1, len(path.time) + 1)
    rise = 1 - np.exp(-time / 0.2)
    np.testing.assert_allclose(path.agents.velocity.x[:, 0], 0.25 * rise, atol=1e-5)
    np.testing.assert_allclose(path.agents.velocity.y[:, 0], -0.125 * rise, atol=1e-5)
    np.testing.assert_allclose(path.agents.spin[:, 0], 0.15 * rise, atol=1e-5)
    np.testing.assert_allclose(path.agents.yaw[:, 0], 0.4 + np.cumsum(0.15 * rise) * DT, atol=1e-5)
    np.testing.assert_allclose(path.agents.velocity.x[:, 1], 0.3 * np.exp(-time / 0.35), atol=1e-5)


def test_actions_saturate_at_each_robots_own_speed(params, scene, simulate):
    limits = jnp.float32([[0.5, 0.4, 0.3], [1.5, 0.1, 2.0]])
    params = params.replace(speed_limit=limits)
    path = simulate(scene([(-5, 0, 0), (5, 0, 0)]), [(9, -9, 2), (2, 2, -50)], params)
    speeds = np.stack([path.agents.velocity.x, path.agents.velocity.y, path.agents.spin], -1)
    signs = np.array([[1, -1, 1], [1, 1, -1]])
    np.testing.assert_allclose(speeds[-1], signs * limits, rtol=1e-4)
    assert (np.abs(speeds) <= limits).all()


@pytest.mark.parametrize("yaw", [0.0, 0.5])
def test_a_centred_push_does_not_turn_the_object(params, scene, simulate, yaw):
    c, s = np.cos(yaw), np.sin(yaw)
    away = -0.6 - REACH
    path = simulate(
        scene([(away * c, away * s, yaw), FAR], thing=(0, 0, yaw)), [FORWARD, REST], params
    )
    np.testing.assert_allclose(path.object.yaw, yaw, atol=1e-5)
    np.testing.assert_allclose(path.object.spin, 0.0, atol=1e-4)
    forward = c * path.object.position.x + s * path.object.position.y
    np.testing.assert_allclose(
        c * path.object.position.y - s * path.object.position.x, 0, atol=1e-5
    )
    robot = c * path.agents.position.x[:, 0] + s * path.agents.position.y[:, 0]
    np.testing.assert_allclose(forward - robot, 0.6 + REACH, atol=1e-5)  # they stay in touch
    assert path.object.velocity.x[-1] == pytest.approx(0.5 * c, rel=1e-3)


def quasi_static(at, speed, radius):
    """Lynch, Maekawa and Tanie (1992): motion of an object pushed at a point that sticks."""
    (px, py), (ux, uy) = at, speed
    scale = radius**2 + px**2 + py**2
    vx = ((radius**2 + px**2) * ux + px * py * uy) / scale
    vy = (px * py * ux + (radius**2 + py**2) * uy) / scale
    return np.array([vx, vy, (px * vy - py * vx) / radius**2])


@pytest.mark.parametrize(
    ("height", "yaw", "radius"),
    [(0.2, 0.0, 0.6), (0.4, 0.0, 0.459), (-0.3, 0.2, 0.6), (0.1, 0.2, 0.849)],
)
def test_a_sticking_push_is_quasi_static(params, scene, simulate, height, yaw, radius):
    start = (-0.6 - 0.13 - 0.145 * np.cos(yaw), height - 0.145 * np.sin(yaw), yaw)
    sticky = params.replace(contact_friction=jnp.full(2, 3.0))
    path = simulate(scene([start, FAR], radius=radius), [FORWARD, REST], sticky)
    for t in (40, 50):
        thing, robot = (
            jax.tree.map(lambda leaf, t=t: leaf[t], body) for body in (path.object, path.agents)
        )
        c, s = np.cos(thing.yaw), np.sin(thing.yaw)
        into = np.array([[c, s], [-s, c]])  # the object's frame
        ca, sa = np.cos(robot.yaw[0]), np.sin(robot.yaw[0])
        centre = np.array(
            [robot.position.x[0] - thing.position.x, robot.position.y[0] - thing.position.y]
        )
        nose = into @ (centre + 0.145 * np.array([ca, sa]))
        assert nose[0] == pytest.approx(-0.6 - 0.13, abs=1e-4)  # in touch
        at = np.array([-0.6, nose[1]])
        arm = at - into @ centre
        vx, vy = robot.velocity.x[0], robot.velocity.y[0]
        speed = into @ np.array([ca * vx - sa * vy, sa * vx + ca * vy])
        speed += robot.spin[0] * np.array([-arm[1], arm[0]])
        expected = quasi_static(at, speed, radius)
        found = np.array([*(into @ [thing.velocity.x, thing.velocity.y]), thing.spin])
        assert abs(expected[2]) > 0.02
        np.testing.assert_allclose(found, expected, atol=0.03 * np.linalg.norm(speed))


def test_a_push_outside_the_friction_cone_slides(params, scene, simulate):
    """Walking along the box drags it with no more than the friction there is."""
    start = (-0.6 - REACH + 0.01, 0.0, 0.0)
    slippery = params.replace(contact_friction=jnp.full(2, 0.1), object_mass=20.0)
    path = simulate(scene([start, FAR]), [(1.0, 2.0, 0.0), REST], slippery)
    push, rub = path.impulse[:60, 0, 0].T
    np.testing.assert_allclose(rub[10:], -0.1 * push[10:], atol=1e-5)
    assert push[10:].min() > 0.1 and path.agents.position.y[60, 0] > 0.2
    assert abs(path.object.position.y[60]) < 0.01


def test_a_heavy_object_takes_two(params, scene, simulate):
    """Its friction is 95.7 N; the traction of a robot is 61.0 N, of a lighter one 32.4 N."""
    heavy = params.replace(object_mass=30.0, object_inertia=7.2)
    pair = scene([(-0.6 - REACH, 0.3, 0), (-0.6 - REACH, -0.3, 0)])
    both = simulate(pair, [FORWARD, FORWARD], heavy)
    assert both.object.position.x[-1] > 0.8
    assert both.object.yaw[-1] == pytest.approx(0.0, abs=0.01)
    one = simulate(scene([(-0.6 - REACH, 0, 0), FAR]), [FORWARD, REST], heavy)
    assert abs(one.object.position.x).max() < 1e-4
    np.testing.assert_allclose(one.agents.position.x[:, 0], -0.6 - REACH, atol=1e-4)
    traction = 0.55 * 11.31 * 9.81 * DT
    assert one.impulse[-1, 0, 0, 0] == pytest.approx(traction, rel=0.02)
    light = heavy.replace(agent_mass=jnp.float32([11.31, 6.0]))
    assert simulate(pair, [FORWARD, FORWARD], light).object.position.x[-1] < 0.01


@pytest.mark.parametrize("mass", [1.0, 4.0, 10.0])
def test_robots_that_push_against_each_other_sink_in_less_than_a_millimetre(
    params, scene, simulate, mass
):
    params = params.replace(object_mass=mass)
    state = scene([(-0.6 - REACH, 0, 0), (0.6 + REACH, 0, np.pi)])
    path = simulate(state, [FORWARD, FORWARD], params)
    left = path.object.position.x - path.agents.position.x[:, 0] - 0.6 - REACH
    right = path.agents.position.x[:, 1] - path.object.position.x - 0.6 - REACH
    assert min(left.min(), right.min()) > -1e-3
    assert abs(path.object.position.x).max() < 0.01
    np.testing.assert_allclose(path.object.velocity.x[60:], 0.0, atol=1e-4)


def test_two_on_one_side_keep_the_object_straight_at_their_speed(params, scene, simulate):
    state = scene([(-0.6 - REACH, 0.45, 0), (-0.6 - REACH, -0.45, 0)])
    path = simulate(state, [FORWARD, FORWARD], params)
    assert path.object.velocity.x[-1] == pytest.approx(0.5, rel=2e-3)
    np.testing.assert_allclose(path.object.yaw, 0.0, atol=2e-3)


def test_robots_do_not_walk_through_each_other(params, scene, simulate):
    head_on = simulate(scene([(-3, 5, 0), (-2, 5, np.pi)]), [FORWARD, FORWARD], params)
    gap = np.hypot(np.diff(head_on.agents.position.x), np.diff(head_on.agents.position.y))
    assert gap.min() > 2 * REACH - 1e-3 and head_on.agents.velocity.x[60, 0] < 0.1
    pushed = simulate(scene([(-3, 5, 0), (-2.2, 5, np.pi / 2)]), [FORWARD, REST], params)
    assert pushed.agents.position.x[-1, 1] > -2.1  # one that stands gives way by its share
    masses = params.replace(agent_mass=jnp.float32([11.31, 1e6]))
    wall = simulate(scene([(-3, 5, 0), (-2.2, 5, np.pi / 2)]), [FORWARD, REST], masses)
    assert wall.agents.position.x[-1, 1] == pytest.approx(-2.2, abs=0.01)
    assert wall.agents.position.x[-1, 0] == pytest.approx(-2.2 - 0.13 - REACH, abs=0.01)
