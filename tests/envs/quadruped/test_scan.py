from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.scan import SCAN_GRIDS, ScanGrid, scan, scan_grid


def sloped() -> HeightMap:
    """Height x / 10 + y / 100 over [0, 10) x [0, 8), known every 0.05 m."""
    x, y = np.meshgrid(np.arange(200) * 0.05, np.arange(160) * 0.05, indexing="ij")
    return HeightMap(jnp.asarray(x / 10 + y / 100, jnp.float32), jnp.float32(0.05), jnp.zeros(2))


def turned(yaw: float, pitch: float = 0.0) -> jax.Array:
    c, s, d, t = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return jnp.asarray([[c * d, -s, c * t], [s * d, c, s * t], [-t, 0, d]], jnp.float32)


def test_grids_are_those_of_their_sources() -> None:
    parkour, rough = scan_grid("parkour"), scan_grid("rough")
    assert (len(parkour.x), len(parkour.y), parkour.size) == (12, 11, 132)
    assert (parkour.x[0], parkour.x[-1], parkour.y[0], parkour.y[-1]) == (-0.45, 1.2, -0.75, 0.75)
    assert np.allclose(np.diff(parkour.x), 0.15) and np.allclose(np.diff(parkour.y), 0.15)
    assert (len(rough.x), len(rough.y), rough.size) == (17, 11, 187)
    assert (rough.x[0], rough.x[-1], rough.y[0], rough.y[-1]) == (-0.8, 0.8, -0.5, 0.5)
    assert np.allclose(np.diff(rough.x), 0.1) and np.allclose(np.diff(rough.y), 0.1)
    assert (parkour.offset, parkour.scale) == (0.3, 1.0)
    assert (rough.offset, rough.scale) == (0.5, 5.0)


@pytest.mark.parametrize("name", SCAN_GRIDS)
@pytest.mark.parametrize("yaw", [0.0, np.pi / 2, -2.0])
def test_points_turn_with_the_heading_alone(name: str, yaw: float) -> None:
    grid = SCAN_GRIDS[name]
    position = jnp.asarray([5.0, 4.0, 1.0])
    seen = scan(sloped(), position, turned(yaw, pitch=0.4), grid)
    x, y = np.meshgrid(grid.x, grid.y, indexing="ij")
    at_x = 5 + np.cos(yaw) * x - np.sin(yaw) * y
    at_y = 4 + np.sin(yaw) * x + np.cos(yaw) * y
    expected = np.clip(1.0 - grid.offset - at_x / 10 - at_y / 100, -1, 1).ravel()
    assert seen.shape == (grid.size,) and seen.dtype == jnp.float32
    expected *= grid.scale
    np.testing.assert_allclose(seen, expected, atol=0.0028 * grid.scale)  # half a cell, both axes


def test_values_are_less_by_the_offset_clipped_and_scaled() -> None:
    ground, level, rough = sloped(), turned(0.0), scan_grid("rough")
    for height, value in ((9.0, 5.0), (-9.0, -5.0)):
        seen = scan(ground, jnp.asarray([5.0, 4.0, height]), level, rough)
        np.testing.assert_array_equal(seen, np.full(187, value, np.float32))
    here = jnp.asarray([5.0, 4.0, 0.8])
    lower = dataclasses.replace(rough, offset=rough.offset + 0.05)
    drop = scan(ground, here, level, rough) - scan(ground, here, level, lower)
    np.testing.assert_allclose(drop, 5 * 0.05, atol=1e-5)


def test_beyond_the_map_is_its_edge() -> None:
    point = ScanGrid((0.0,), (0.0,), 0.0)
    seen = scan(sloped(), jnp.asarray([-50.0, 4.0, 0.5]), turned(0.0), point)
    np.testing.assert_allclose(seen, 0.5 - 0.04, atol=1e-6)


def test_noise_is_uniform() -> None:
    args = (sloped(), jnp.asarray([5.0, 4.0, 0.8]), turned(0.3), scan_grid("rough"))
    off = np.stack([scan(*args, noise=0.2, key=jax.random.key(i)) - scan(*args) for i in range(9)])
    off /= 5.0
    assert -0.2001 <= off.min() < -0.199 and 0.199 < off.max() <= 0.2001
    np.testing.assert_allclose(off.std(), 0.2 / 3**0.5, rtol=0.05)
    assert np.abs(np.corrcoef(off) - np.eye(9)).max() < 0.3
    np.testing.assert_array_equal(scan(*args, noise=0.2), scan(*args))


def test_rows_are_robots_alone() -> None:
    ground, grid = sloped(), scan_grid("parkour")
    positions = jnp.asarray([[2.0, 3.0, 0.6], [7.0, 5.0, 1.1]])
    rotations = jnp.stack([turned(0.2), turned(2.5, -0.2)])
    rows = jax.jit(jax.vmap(lambda p, r: scan(ground, p, r, grid)))(positions, rotations)
    for row, position, rotation in zip(rows, positions, rotations, strict=True):
        np.testing.assert_allclose(row, scan(ground, position, rotation, grid), atol=1e-6)


def test_a_grid_of_points_from_a_file() -> None:
    made = scan_grid({"x": [0.2, 0.4, 1.2], "y": 0.5, "offset": 0.25})
    assert made == ScanGrid((0.2, 0.4, 1.2), (0.5,), 0.25)
    assert made.size == 3 and made.reach == pytest.approx(1.3)
    assert scan_grid({"x": 0, "y": 0, "offset": 0, "scale": 5}).scale == 5.0
    assert all(scan_grid(name).reach < 1.42 for name in SCAN_GRIDS)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: scan_grid("parkor"), "scan grid 'parkor'.*nearest is 'parkour'"),
        (
            lambda: scan_grid({"x": [0.0], "y": [0.0]}),
            r"scan grid's offset \(\): expected one number",
        ),
        (lambda: scan_grid({"x": ["a"], "y": 0, "offset": 0}), "scan grid's x .*expected numbers"),
        (lambda: scan_grid(5), "scan grid 5: expected one of"),
        (
            lambda: scan_grid({"z": [0.0]}),
            "scan grid's field 'z': expected one of x, y, offset,",
        ),
        (lambda: scan_grid({"x": [0.0], "y": 0.0, "offset": (0, 1)}), "scan grid's offset"),
        (lambda: ScanGrid((), (0.0,), 0.0), "scan grid's x"),
        (lambda: ScanGrid((0.0,), (0.0, float("nan")), 0.0), "scan grid's y"),
        (lambda: ScanGrid((0.0,), (0.0,), float("inf")), "scan grid's offset"),
    ],
)
def test_bad_grids_are_refused_in_one_line(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
