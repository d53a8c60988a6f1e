"""Square tiles: a robot starts on a platform in the middle and leaves in whatever direction.

Every builder takes a random generator, a difficulty d in [0, 1] and the tile's :class:`Grid`, and
gives heights, float64 ``[size, size]``, m. Slopes and stairs are at height 0 along the edge, so
that any tile goes beside any other.

Source of the numbers: leggedrobotics/legged_gym, ``legged_gym/utils/terrain.py``. Its slopes are
products of two ramps, ours are true pyramids: equally steep all the way.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["PLATFORM", "Grid", "Heights", "blocks", "flat", "slope", "stairs"]

Heights = npt.NDArray[np.float64]

PLATFORM = 3.0
"""Least side of the platform in the middle of a tile, m."""

_TREAD = 0.31  # m
_BLOCKS_PER_AREA = 20 / 64  # 1/m^2: 20 on a tile of 8 x 8 m
_BLOCK_SIDE = (1.0, 2.0)  # m


class Grid(NamedTuple):
    """The nodes of a tile; node ``[i, j]`` is in the middle of the i-th and j-th cell.

    Attributes:
        size: cells along a side.
        cell: side of a cell, m.
    """

    size: int
    cell: float

    def cells(self, length: float) -> int:
        """How many cells are nearest to a length in m, but at least one."""
        return max(round(length / self.cell), 1)

    def rings(self) -> npt.NDArray[np.int64]:
        """Cells between each node's and the nearest edge, ``[size, size]``: 0 along the edge."""
        i = np.arange(self.size)
        from_edge = np.minimum(i, self.size - 1 - i)
        return np.minimum.outer(from_edge, from_edge)

    @property
    def margin(self) -> int:
        """The ring at which the platform in the middle begins."""
        return (self.size - self.cells(PLATFORM)) // 2


def flat(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """Level ground, however difficult."""
    return np.zeros((grid.size, grid.size))


def slope(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """A pyramid of slope 0.4 d, in half of the cases upside down, cut off at the platform."""
    steepness = 0.4 * difficulty * rng.choice((-1.0, 1.0))
    return steepness * grid.cell * (np.minimum(grid.rings(), grid.margin) + 0.5)


def stairs(rng: np.random.Generator, difficulty: float, grid: Grid, way: int) -> Heights:
    """Stairs of 0.05 + 0.18 d m a step all around, as many as fit beside the platform.

    Args:
        rng: not used.
        difficulty: d.
        grid: of the tile; a tread is as many cells as are nearest to 0.31 m.
        way: 1 if a robot that leaves the platform climbs, -1 if it descends.
    """
    tread = grid.cells(_TREAD)
    climbed = np.minimum(grid.rings() // tread, grid.margin // tread)
    return -way * (0.05 + 0.18 * difficulty) * climbed


def blocks(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """Boxes and hollows of 1 to 2 m a side, one over the other; 20 on 8 x 8 m.

    Each is h = 0.05 + 0.2 d or h / 2 high or deep. The platform is kept clear.
    """
    most = 0.05 + 0.2 * difficulty
    least_side, most_side = (grid.cells(side) for side in _BLOCK_SIDE)
    heights = np.zeros((grid.size, grid.size))
    for _ in range(round(_BLOCKS_PER_AREA * (grid.size * grid.cell) ** 2)):
        sides = rng.integers(least_side, most_side, size=2, endpoint=True)
        i, j = rng.integers(0, grid.size - sides, endpoint=True)
        height = rng.choice((-most, -most / 2, most / 2, most))
        heights[i : i + sides[0], j : j + sides[1]] = height
    heights[grid.rings() >= grid.margin] = 0.0
    return heights
