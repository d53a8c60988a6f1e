"""Which points of a level are solid: tile shapes as masks, in NumPy on the host.

For pictures, path distances and whatever else does not need the exact outline of
:mod:`envs_jax.platformer.tiles`.
"""

import functools

import numpy as np

from envs_jax.platformer.maps import CELL, TILES

__all__ = ["solid_raster", "tile_masks"]

_HALVES = (2, 3, 4, 5)  # top, right, bottom, left
_CORNERS = (6, 10, 14, 18, 22, 26, 30)  # first of the four, in the order below


@functools.cache
def tile_masks(size: int = CELL) -> np.ndarray:
    """Which of a tile's pixels are solid, bool ``[34, size, size]``, rows from the top.

    Args:
        size: pixels along a tile's side; each is judged by its centre.
    """
    y, x = (np.mgrid[:size, :size] + 0.5) * (CELL / size)
    masks = np.zeros((TILES, size, size), bool)
    masks[1] = True
    for tile, mask in zip(_HALVES, (y < 12, x > 12, y > 12, x < 12), strict=True):
        masks[tile] = mask
    shapes = (  # those in the top left corner
        x + y < CELL,
        np.hypot(x, y) < CELL,
        np.hypot(CELL - x, CELL - y) > CELL,
        y < 12 - x / 2,
        y < CELL - x / 2,
        x < 12 - y / 2,
        x < CELL - y / 2,
    )
    for first, shape in zip(_CORNERS, shapes, strict=True):
        masks[first] = shape  # top left, then top right, bottom right, bottom left
        masks[first + 1] = shape[:, ::-1]
        masks[first + 2] = shape[::-1, ::-1]
        masks[first + 3] = shape[::-1]
    return masks


def solid_raster(tiles: np.ndarray, size: int) -> np.ndarray:
    """Which pixels of a level are solid, bool ``[rows size, columns size]``.

    Args:
        tiles: ids, integers ``[rows, columns]``.
        size: pixels along a tile's side.
    """
    cells = tile_masks(size)[tiles]
    rows, columns = tiles.shape
    return cells.transpose(0, 2, 1, 3).reshape(rows * size, columns * size)
