"""The shape of every tile, against inequalities of its solid region."""

from __future__ import annotations

import numpy as np
import pytest

from envs_jax.platformer.tiles import cell_codes

C = 24.0
# Solid regions in the top left corner by the distance from there; others are mirrored.
CORNER_SHAPES = (
    lambda x, y: x + y < C,
    lambda x, y: x * x + y * y < C * C,
    lambda x, y: (C - x) ** 2 + (C - y) ** 2 > C * C,
    lambda x, y: x / 2 + y < C / 2,
    lambda x, y: x / 2 + y < C,
    lambda x, y: x + y / 2 < C / 2,
    lambda x, y: x + y / 2 < C,
)


def is_solid(tile: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if tile < 2:
        return np.full(x.shape, tile == 1)
    if tile < 6:
        return [y < C / 2, x > C / 2, y > C / 2, x < C / 2][tile - 2]
    shape, corner = divmod(tile - 6, 4)
    if corner in (1, 2):
        x = C - x
    if corner in (2, 3):
        y = C - y
    return CORNER_SHAPES[shape](x, y)


def grid(*tiles: tuple[int, int, int]) -> np.ndarray:
    """Tiles (column, row, id) in an empty level, the frame included."""
    cells = np.zeros((25, 44), np.uint8)
    cells[[0, -1]] = cells[:, [0, -1]] = 1
    for column, row, tile in tiles:
        cells[row, column] = tile
    return cells


@pytest.fixture(scope="module")
def nearest():
    """Nearest surfaces of tiles that stand alone: for tile ids and places in their cells."""
    import jax
    import jax.numpy as jnp

    from envs_jax.platformer.coordinate import coordinate
    from envs_jax.platformer.surfaces import Surroundings, surfaces

    cells = np.stack([cell_codes(grid((5, 5, tile))).ravel() for tile in range(34)])

    @jax.jit
    def look(tile, x, y):
        five = jnp.full(tile.shape, 5)
        none = [jnp.zeros((0, *tile.shape))] * 4
        around = Surroundings(
            jnp.asarray(cells).ravel(), tile * 1100, five, five, none, none[:2], none[0] > 0
        )
        place = coordinate(x, jnp.zeros_like(x)), coordinate(y, jnp.zeros_like(y))
        return surfaces(*place, 0.0, around)[:2]

    def go(tile, x, y):
        kinds = look(np.full(x.shape, tile, np.int32), np.float32(x), np.float32(y))
        points = jax.tree.map(lambda *leaves: np.concatenate(leaves), *kinds)
        # At a corner, which two faces share, the one that faces the place counts.
        rank = np.where(points.exists, points.excess + 0.1 * points.is_behind, np.inf)
        front, behind = (np.where(points.is_behind == at, rank, np.inf).min(0) for at in (0, 1))
        best = rank.argmin(0)[None]
        point = jax.tree.map(lambda leaf: np.take_along_axis(leaf, best, 0)[0], points)
        return point, ~(np.abs(np.minimum(front, 1e9) - np.minimum(behind, 1e9)) < 0.2)

    return go


@pytest.mark.parametrize("tile", range(2, 34))
def test_surface_bounds_the_solid_region(nearest, tile) -> None:
    x, y = np.random.default_rng(tile).uniform(0.5, C - 0.5, (2, 300))
    point, clear = nearest(tile, x, y)
    distance = np.hypot(point.dx, point.dy)
    clear &= distance > 0.05  # else rounding may decide
    np.testing.assert_array_equal(point.is_behind[clear], is_solid(tile, x, y)[clear])
    np.testing.assert_allclose(distance**2 - 100, point.excess, atol=1e-3)
    # The nearest point is on the boundary: solid lies to one side of it along the normal.
    inside = clear & (np.abs(x - point.dx - C / 2) < 11) & (np.abs(y - point.dy - C / 2) < 11)
    nx, ny = point.dx / distance, point.dy / distance
    for shift in (-0.05, 0.05):
        at = x - point.dx + shift * nx, y - point.dy + shift * ny
        sign = np.where(point.is_behind, -shift, shift)
        np.testing.assert_array_equal(is_solid(tile, *at)[inside], sign[inside] < 0)
    assert inside.any()


def test_neighbours_leave_no_seam() -> None:
    assert not cell_codes(np.ones((25, 44), np.uint8)).any()
    codes = cell_codes(grid((5, 5, 1), (6, 5, 1)))
    assert codes.shape == (44, 25)
    left, right = codes[5, 5], codes[6, 5]
    assert left == 0b000_011_011_011  # up, down and left
    assert right == 0b011_000_011_011
    # Of a full tile beside a half one, half a side is left.
    assert cell_codes(grid((5, 5, 1), (6, 5, 2)))[5, 5] == 0b010_011_011_011


def test_the_frame_faces_inwards() -> None:
    codes = cell_codes(grid())
    assert codes[0, 7] == 0b011_000_000_000
    assert codes[43, 7] == 0b000_011_000_000
    assert codes[9, 0] == 0b000_000_011_000
    assert codes[9, 24] == 0b000_000_000_011
    assert codes[9, 9] == codes[0, 0] == 0
