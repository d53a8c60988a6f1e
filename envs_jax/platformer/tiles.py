"""What a tile's surface is, and which parts of it are left beside its neighbours.

The boundary of a tile's solid region consists of half edges (12 px, along the cell's sides and its
two middle lines) and of at most one slope or arc. Half edges of two neighbours that lie on each
other vanish, so that the ninja glides over seams. What is left of a cell fits into one number,
which is all that the device holds of it:

====== ==============================================================================
bits   meaning
====== ==============================================================================
0-2    surface that faces up: first half there, second half there, on the middle line
3-5    the same of the surface that faces down
6-8    the same of the surface that faces left
9-11   the same of the surface that faces right
12-13  slope or arc: 0 none, 1 slope, 2 arc with its disc solid, 3 arc with its disc empty
14-15  its picture is mirrored in x, in y
16-19  slope from (12 a, 24 - 12 b) to (24 - 12 c, 12 d), if not mirrored: a, b, c, d
====== ==============================================================================

An arc has its centre in the cell's top left corner, if not mirrored. Halves go from left to right
and from top to bottom.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

__all__ = ["NONE", "SLOPE", "SOLID_DISC", "cell_codes"]

NONE, SLOPE, SOLID_DISC, EMPTY_DISC = range(4)
KIND_AT, MIRROR_AT, SLOPE_AT = 12, 14, 16

_FULL, _FIRST_HALF, _FIRST_CORNER = 1, 2, 6
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))  # mirrors in x and y of top left, top right, ...
# Solid regions in the top left corner, in units of 12 px: the corner's vertices without the slope's
# two ends, and those, clockwise; in the order of the tile ids.
_TRIANGLE = ((2, 0), (0, 2))
_CORNER_SHAPES = (
    (SLOPE, _TRIANGLE),
    (SOLID_DISC, _TRIANGLE),
    (EMPTY_DISC, _TRIANGLE),
    (SLOPE, ((2, 0), (0, 1))),
    (SLOPE, ((2, 1), (0, 2))),
    (SLOPE, ((1, 0), (0, 2))),
    (SLOPE, ((2, 0), (1, 2))),
)


class _Tables(NamedTuple):
    """Of all tiles.

    Attributes:
        level: int8 ``[34, 3, 2]``, half edges along x at 0, 12 and 24 px: -1 faces up, 1 down.
        upright: the same along y, -1 faces left, 1 right.
        slope: int32 ``[34]``, bits 12 to 19 of a cell's code.
    """

    level: np.ndarray
    upright: np.ndarray
    slope: np.ndarray


@functools.cache
def _tables() -> _Tables:
    level, upright = np.zeros((2, 34, 3, 2), np.int8)
    slope = np.zeros(34, np.int32)
    solid = np.ones((2, 2), bool)  # quarters of a cell, [y, x]
    for tile, region in [(_FULL, solid), *_halves()]:
        level[tile] = np.diff(np.pad(region, ((1, 1), (0, 0))).astype(np.int8), axis=0) * -1
        upright[tile] = np.diff(np.pad(region, ((0, 0), (1, 1))).astype(np.int8), axis=1).T * -1
    for shape, (kind, ends) in enumerate(_CORNER_SHAPES):
        (right, down), (left, bottom) = ends
        for corner, (mirror_x, mirror_y) in enumerate(_CORNERS):
            tile = _FIRST_CORNER + 4 * shape + corner
            # Solid reaches from the corner to `right` at the top and to `bottom` at the left; a
            # slope that ends lower or further right leaves parts of the far sides solid.
            edges = np.zeros((2, 3, 2), np.int8)
            edges[0, 0, :right] = -1
            edges[1, 0, :bottom] = -1
            edges[0, 2, :left] = 1
            edges[1, 2, :down] = 1
            for axis, mirrored in enumerate((mirror_x, mirror_y)):
                if mirrored:  # halves change places along the axis, sides and their faces across it
                    edges[axis] = edges[axis, :, ::-1]
                    edges[1 - axis] = -edges[1 - axis, ::-1]
            level[tile], upright[tile] = edges
            slope[tile] = _slope_bits(kind, ends, mirror_x, mirror_y)
    return _Tables(level, upright, slope)


def _halves() -> list[tuple[int, np.ndarray]]:
    top = np.array([[True, True], [False, False]])
    return [(_FIRST_HALF + turn, np.rot90(top, -turn)) for turn in range(4)]


def _slope_bits(kind: int, ends: tuple[tuple[int, int], ...], mirror_x: int, mirror_y: int) -> int:
    (right, down), (left, bottom) = ends
    if kind == EMPTY_DISC:  # its centre is in the corner across
        mirror_x, mirror_y = 1 - mirror_x, 1 - mirror_y
    number = left | (2 - bottom) << 1 | (2 - right) << 2 | down << 3 if kind == SLOPE else 0
    return kind << KIND_AT | (mirror_x | mirror_y << 1) << MIRROR_AT | number << SLOPE_AT


def cell_codes(tiles: np.ndarray) -> np.ndarray:
    """What the ninja can touch of each cell.

    Args:
        tiles: uint8 ``[25, 44]``, the frame included.

    Returns:
        int32 ``[44, 25]``; see the head of this module.
    """
    tables, (rows, columns) = _tables(), tiles.shape
    level = np.zeros((2 * rows + 1, 2 * columns), np.int8)  # [y, x]
    upright = np.zeros((2 * rows, 2 * columns + 1), np.int8)
    for line in range(3):
        for half in range(2):
            level[line::2, half::2][:rows] += tables.level[tiles, line, half]
            upright[half::2, line::2][:, :columns] += tables.upright[tiles, line, half]
    level[0] = level[-1] = upright[:, 0] = upright[:, -1] = 0  # outside of the frame
    codes = tables.slope[tiles]
    for half in range(2):
        across, down = level[:, half::2], upright[half::2].T
        for at, lines, side in ((0, across, -1), (3, across, 1), (6, down, -1), (9, down, 1)):
            # A cell owns what bounds its own solid region: its middle line, and of its two sides
            # the first if it faces back, the second if it faces on.
            own = lines[:-1:2] if side < 0 else lines[2::2]
            middle = lines[1::2] == side
            found, middle = (
                ((own == side) | middle, middle)
                if at < 6
                else (((own == side) | middle).T, middle.T)
            )
            codes = codes | found << (at + half) | middle << (at + 2)
    return codes.T.astype(np.int32)
