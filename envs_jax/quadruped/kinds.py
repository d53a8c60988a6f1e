"""The kinds of tiles by name, and one tile of a kind."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from envs_jax.quadruped import courses, tiles
from envs_jax.quadruped.tiles import Grid, Heights

__all__ = ["KINDS", "Kind", "Roughness", "tile_heights"]


class Roughness(NamedTuple):
    """Random heights, uniform in +-a at points of a square lattice and bilinear between them.

    Attributes:
        least, most: between which a is drawn, once for a tile, m.
        spacing: of the lattice, m.
    """

    least: float
    most: float
    spacing: float


class Kind(NamedTuple):
    """One kind of tile.

    Attributes:
        build: of a random generator, a difficulty and a grid, the heights.
        smallest: side of a tile that holds what the kind is about, m.
        directed: whether it is a course along +x; else it is left in whatever direction.
        roughness: over all but the start's platform; None for none.
    """

    build: Callable[[np.random.Generator, float, Grid], Heights]
    smallest: float
    directed: bool = False
    roughness: Roughness | None = None


_PARKOUR_GROUND = Roughness(0.02, 0.06, 0.075)

KINDS = {
    "flat": Kind(tiles.flat, 2.0),
    "smooth_slope": Kind(tiles.slope, 4.0),
    "rough_slope": Kind(tiles.slope, 4.0, roughness=Roughness(0.05, 0.05, 0.2)),
    "stairs_up": Kind(functools.partial(tiles.stairs, way=1), 4.0),
    "stairs_down": Kind(functools.partial(tiles.stairs, way=-1), 4.0),
    "blocks": Kind(tiles.blocks, 5.0),
    "gaps": Kind(courses.gaps, 5.0, True, _PARKOUR_GROUND),
    "hurdles": Kind(courses.hurdles, 5.0, True, _PARKOUR_GROUND),
    "steps": Kind(courses.steps, 5.0, True, _PARKOUR_GROUND),
    "parkour": Kind(courses.parkour, 5.0, True, _PARKOUR_GROUND),
}
"""All kinds; a kind's number is its place in this table."""


def tile_heights(
    kind: Kind,
    rng: np.random.Generator,
    difficulty: float,
    grid: Grid,
    roughness: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Draw a tile.

    Args:
        kind: what is drawn.
        rng: random generator.
        difficulty: in [0, 1].
        grid: of the tile, not smaller than the kind's smallest.
        roughness: factor on the kind's own.

    Returns:
        float32 ``[size, size]``, m. The platform around the start is level.
    """
    heights = kind.build(rng, difficulty, grid)
    if kind.roughness is not None:
        if kind.directed:
            is_platform = np.arange(grid.size)[:, None] < grid.cells(courses.RUN_UP)
        else:
            is_platform = grid.rings() >= grid.margin
        heights = heights + roughness * np.where(
            is_platform, 0.0, _rough(rng, kind.roughness, grid)
        )
    return heights.astype(np.float32)


def _rough(rng: np.random.Generator, roughness: Roughness, grid: Grid) -> Heights:
    side = grid.size * grid.cell
    places = (np.arange(grid.size) + 0.5) * grid.cell
    knots = np.arange(0.0, side + roughness.spacing, roughness.spacing)
    share = np.maximum(0.0, 1.0 - np.abs(places[:, None] - knots) / roughness.spacing)
    most = rng.uniform(roughness.least, roughness.most)
    return share @ rng.uniform(-most, most, (len(knots), len(knots))) @ share.T
