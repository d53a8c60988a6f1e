"""A sliding object against closed forms and a fine integration of its equation of motion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.pushing.friction import Ground, slide
from envs_jax.pushing.geometry import Vector

AWAY = [(9, 9, 0), (-9, 9, 0)]
STILL = np.zeros((2, 3))
MASS, INERTIA, RADIUS, FRICTION, GRAVITY, DT = 4.0, 0.25, 0.6, 0.325, 9.81, 0.02


def ground(friction=FRICTION, radius=RADIUS, dt=DT):
    return Ground(jnp.float32(friction * MASS * GRAVITY * dt), jnp.float32(radius), MASS, INERTIA)


@pytest.mark.parametrize("direction", [0.0, 0.7, 2.5])
def test_stopping_distance(params, scene, simulate, direction):
    velocity = 0.5 * np.array([np.cos(direction), np.sin(direction)])
    path = simulate(scene(AWAY, thing=(0, 0, 1.1), motion=(*velocity, 0)), STILL, params)
    end = np.array([path.object.position.x[-1], path.object.position.y[-1]])
    np.testing.assert_allclose(end, velocity * 0.5 / (2 * FRICTION * GRAVITY), rtol=0.02, atol=1e-6)
    speed = np.hypot(path.object.velocity.x, path.object.velocity.y)
    assert (speed[8:] == 0.0).all() and speed[6] > 0.0  # after 0.157 s
    np.testing.assert_allclose(path.object.yaw, 1.1, rtol=1e-6)


def test_spin_decays_uniformly(params, scene, simulate):
    path = simulate(scene(AWAY, motion=(0, 0, 8.0), radius=0.2), STILL, params)
    decay = FRICTION * MASS * GRAVITY * 0.2 / INERTIA
    expected = np.maximum(8.0 - decay * DT * np.arange(1, len(path.object.spin) + 1), 0.0)
    np.testing.assert_allclose(path.object.spin, expected, atol=1e-5)
    assert path.object.yaw[-1] == pytest.approx(8.0**2 / (2 * decay), rel=0.01)
    assert path.object.position.x[-1] == 0.0


def test_slide_and_spin_together_match_a_fine_integration(params, scene, simulate):
    path = simulate(scene(AWAY, motion=(0.6, 0.0, 3.0), radius=0.3), STILL, params)
    force, fine = FRICTION * MASS * GRAVITY, 1e-5
    v, w, x, yaw = 0.6, 3.0, 0.0, 0.0
    while v > 1e-4 or w > 1e-3:
        x, yaw = x + v * fine, yaw + w * fine
        s = np.hypot(v, 0.3 * w)
        v, w = v - fine * force * v / s / MASS, w - fine * force * 0.09 * w / s / INERTIA
    assert path.object.position.x[-1] == pytest.approx(x, rel=0.02)
    assert path.object.yaw[-1] == pytest.approx(yaw, rel=0.02)


def test_slide_solves_its_equations():
    key = jax.random.key(0)
    vx, vy, spin = 0.06 * jax.random.normal(key, (3, 400)) * jnp.array([[1], [1], [9]])
    radius = jnp.linspace(0.1, 1.0, 400)
    at = ground()._replace(radius=radius)
    velocity, after = jax.jit(slide)(Vector(vx, vy), spin, at)
    lost = np.array([vx - velocity.x, vy - velocity.y]) * MASS
    moment = np.asarray((spin - after) * INERTIA / radius)
    used = np.sqrt((lost**2).sum(0) + moment**2)
    limit = float(at.impulse)
    s = np.sqrt(velocity.x**2 + velocity.y**2 + (radius * after) ** 2)
    moves = np.asarray(s) > 1e-6
    assert 50 < moves.sum() < 350
    np.testing.assert_allclose(used[moves], limit, rtol=0.015)
    assert (used[~moves] <= limit * 1.005).all()  # less is enough to stop it
    along = (lost[0] * velocity.x + lost[1] * velocity.y + moment * radius * after) / used / s
    np.testing.assert_allclose(along[moves], 1.0, atol=1e-4)  # straight against the motion


def test_friction_never_reverses_nor_drives():
    grid = jnp.linspace(-1.0, 1.0, 9)
    vx, vy, spin = (axis.ravel() for axis in jnp.meshgrid(grid, grid, 5 * grid))
    for friction in (0.0, 0.01, 0.3, 50.0):
        velocity, after = jax.jit(slide)(Vector(vx, vy), spin, ground(friction))
        for old, new in ((vx, velocity.x), (vy, velocity.y), (spin, after)):
            assert bool((old * new >= 0).all() & (abs(new) <= abs(old) * (1 + 1e-6)).all())
        if friction == 0.0:
            np.testing.assert_allclose(after, spin, rtol=1e-5)
        if friction == 50.0:
            assert not velocity.x.any() and not velocity.y.any() and not after.any()
