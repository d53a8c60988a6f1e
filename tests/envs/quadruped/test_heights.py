"""The height map against SciPy's interpolation, finite differences and a search for the nearest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from envs_jax.quadruped.heights import HeightMap, height_at, surface_at

SHAPE, CELL, ORIGIN = (23, 17), 0.25, np.array([-1.5, 2.0])
X, Y = (ORIGIN[axis] + CELL * np.arange(SHAPE[axis]) for axis in (0, 1))


@pytest.fixture(scope="module")
def heights():
    return np.random.default_rng(0).normal(0.0, 0.3, SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def ground(heights):
    return HeightMap(
        jnp.asarray(heights), jnp.float32(CELL), jnp.asarray(ORIGIN, dtype=jnp.float32)
    )


def points(beyond: float, count: int = 2000):
    rng = np.random.default_rng(1)
    x = rng.uniform(X[0] - beyond, X[-1] + beyond, count).astype(np.float32)
    y = rng.uniform(Y[0] - beyond, Y[-1] + beyond, count).astype(np.float32)
    return x, y


def oracle(heights):
    """Height of float64 places, level beyond the edge."""
    inside = RegularGridInterpolator((X, Y), heights.astype(np.float64))
    return lambda x, y: inside(np.stack([np.clip(x, X[0], X[-1]), np.clip(y, Y[0], Y[-1])], -1))


@pytest.mark.parametrize("beyond", [0.0, 3.0])
def test_the_surface_is_bilinear_and_level_beyond_the_edge(ground, heights, beyond):
    x, y = points(beyond)
    height, _ = jax.jit(surface_at)(ground, x, y)
    np.testing.assert_allclose(height, oracle(heights)(x, y), atol=3e-6)


@pytest.mark.parametrize("beyond", [0.0, 3.0])
def test_normals_are_those_of_finite_differences(ground, heights, beyond):
    x, y = points(beyond)
    step = 1e-3
    # Differences across the line between two cells would mix their slopes.
    within = [
        np.abs((at - low) / CELL - np.round((at - low) / CELL))
        for at, low in ((x, X[0]), (y, Y[0]))
    ]
    clear = (within[0] > 0.02) & (within[1] > 0.02)
    assert clear.sum() > 1000
    x, y = x[clear].astype(np.float64), y[clear].astype(np.float64)
    at = oracle(heights)
    slope_x = (at(x + step, y) - at(x - step, y)) / (2 * step)
    slope_y = (at(x, y + step) - at(x, y - step)) / (2 * step)
    expected = np.stack([-slope_x, -slope_y, np.ones_like(x)])
    expected /= np.linalg.norm(expected, axis=0)
    _, normal = surface_at(ground, jnp.float32(x), jnp.float32(y))
    np.testing.assert_allclose(jnp.stack(normal), expected, atol=2e-4)


def test_the_surface_meets_the_nodes(ground, heights):
    x, y = np.meshgrid(X, Y, indexing="ij")
    np.testing.assert_allclose(surface_at(ground, x, y)[0], heights, atol=1e-6)
    np.testing.assert_array_equal(height_at(ground, x, y), heights)


@pytest.mark.parametrize("beyond", [0.0, 3.0])
def test_the_height_of_a_scan_is_the_nearest_nodes(ground, heights, beyond):
    x, y = points(beyond)
    i, j = np.abs(x[:, None] - X).argmin(1), np.abs(y[:, None] - Y).argmin(1)
    np.testing.assert_array_equal(height_at(ground, x, y), heights[i, j])


def test_any_shape_of_places_is_taken(ground):
    x, y = points(1.0, 12)
    height, normal = surface_at(ground, x, y)
    again, normal_again = surface_at(ground, x.reshape(3, 4), y.reshape(3, 4))
    np.testing.assert_array_equal(again.ravel(), height)
    np.testing.assert_array_equal(jnp.stack(normal_again).reshape(3, 12), jnp.stack(normal))
    assert height_at(ground, x[0], y[0]).shape == ()
