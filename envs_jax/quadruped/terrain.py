"""One map of many tiles: rows of tiles are levels of difficulty, columns are kinds.

All tiles are of one size, 8 x 8 m unless told otherwise: that is legged_gym's, whose kinds need it
for the half tile that a robot has to walk; a course of extreme-parkour holds two to six obstacles
on it instead of eight on 18 m. Levels rise along x, the way that courses go, so a robot that gets
through goes on to the same kind's next level. The map is made once, on the host.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import struct

from envs_jax.quadruped.courses import RUN_OUT, START
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.kinds import KINDS, tile_heights
from envs_jax.quadruped.tiles import Grid
from envs_jax.words import check_word

__all__ = ["BORDER", "COLUMNS", "GROUNDS", "Terrain", "kinds_of", "make_terrain"]

COLUMNS = {
    "flat": 2,
    "smooth_slope": 1,
    "rough_slope": 1,
    "stairs_up": 3,
    "stairs_down": 3,
    "blocks": 2,
    "gaps": 2,
    "hurdles": 2,
    "steps": 2,
    "parkour": 2,
}
"""Columns of each kind by default: half are legged_gym's, in its proportions as far as ten columns
go, half are extreme-parkour's five kinds, of which level ground is one."""

GROUNDS = {
    "rough": ("smooth_slope", "rough_slope", "stairs_up", "stairs_down", "blocks"),
    "parkour": ("flat", "gaps", "hurdles", "steps", "parkour"),
    "all": tuple(COLUMNS),
}
"""Words for several kinds: those of legged_gym, of extreme-parkour, and all."""

BORDER = 2.0
"""Level ground around the tiles, m, by default."""

_COARSEST = 0.2  # m, a cell; the least gap and hurdle are 0.1 m


class Terrain(struct.PyTreeNode):
    """The ground, and where on it robots start; L levels, C columns.

    Attributes:
        ground: the map; tile ``[l, c]`` is from ``tile * (l, c)`` to ``tile * (l + 1, c + 1)``.
        starts: float32 ``[L, C, 3]``, x, y and height of the ground where a robot starts, m. The
            ground is level for 1 m all around.
        directed: bool ``[C]``: whether a column is of courses, which go along +x (yaw 0); on the
            others a robot may walk in any direction.
        finish: float32 ``[C]``, how far from its start a robot is through, m: half a tile, on a
            course beyond the last obstacle.
        kinds: int32 ``[C]``, the place of the column's kind in
            :data:`~envs_jax.quadruped.kinds.KINDS`.
    """

    ground: HeightMap
    starts: jax.Array
    directed: jax.Array
    finish: jax.Array
    kinds: jax.Array


def kinds_of(ground: str) -> tuple[str, ...]:
    """Kinds that a text names, joined by "+": none for "flat", which is level ground without end.

    Raises:
        ValueError: for an unknown word.
    """
    if ground == "flat":
        return ()
    names: list[str] = []
    for word in ground.split("+"):
        check_word("ground", word, (*GROUNDS, *KINDS))
        names += GROUNDS.get(word, (word,))
    return tuple(dict.fromkeys(names))


def make_terrain(
    columns: Mapping[str, int] = COLUMNS,
    *,
    levels: int = 10,
    difficulty: tuple[float, float] = (0.0, 1.0),
    roughness: float = 1.0,
    tile: float = 8.0,
    cell: float = 0.05,
    border: float = BORDER,
    seed: int = 0,
) -> Terrain:
    """Draw a map; the same arguments give the same map. NumPy arrays, on the host.

    A tile depends on nothing but its kind, difficulty, column, level and the seed.

    Args:
        columns: how many columns there are of each kind, in the order of the map.
        levels: rows of tiles.
        difficulty: of the first and the last level, each in [0, 1]; evenly between them.
        roughness: factor on the random heights of rough kinds.
        tile: side of a tile, m.
        cell: from node to node of the height map, m.
        border: of level ground around the tiles, m, at least a cell; it goes on for ever.
        seed: of everything random, a whole number from 0.

    Raises:
        ValueError: for no or an unknown kind, fewer than 1 of something, a tile too small for its
            kind, a cell that does not divide the tile, or a number outside its range.
    """
    names, grid = _names(columns, tile), _grid(tile, cell)
    _check_whole("levels", levels, 1)
    _check_whole("seed", seed, 0)
    if len(difficulty) != 2 or not all(0.0 <= d <= 1.0 for d in difficulty):
        raise ValueError(f"difficulty {difficulty}: expected two numbers from 0 to 1")
    for what, value in (("roughness", roughness), ("border", border)):
        if not value >= 0.0:
            raise ValueError(f"{what} {value:g}: expected 0 or more")
    edge = grid.cells(border)
    heights = np.zeros((levels * grid.size + 2 * edge, len(names) * grid.size + 2 * edge), "f4")
    directed = np.array([KINDS[name].directed for name in names])
    starts = np.zeros((levels, len(names), 3), np.float32)
    starts[..., 0] = tile * np.arange(levels)[:, None] + np.where(directed, START, tile / 2)
    starts[..., 1] = tile * (np.arange(len(names)) + 0.5)
    for level, hardness in enumerate(np.linspace(*difficulty, levels)):
        for column, name in enumerate(names):
            rng = np.random.default_rng([seed, level, column])
            drawn = tile_heights(KINDS[name], rng, hardness, grid, roughness)
            i, j = edge + level * grid.size, edge + column * grid.size
            heights[i : i + grid.size, j : j + grid.size] = drawn
            at = grid.cells(START) if directed[column] else grid.size // 2
            starts[level, column, 2] = drawn[at, grid.size // 2]
    leaves: dict[str, Any] = {
        "starts": starts,
        "directed": directed,
        "finish": np.where(directed, tile - START - RUN_OUT, tile / 2).astype(np.float32),
        "kinds": np.array([list(KINDS).index(name) for name in names], np.int32),
    }
    corner = (0.5 - edge) * grid.cell  # the first node is in the middle of the first cell
    lattice: dict[str, Any] = {
        "heights": heights,
        "cell": np.float32(grid.cell),
        "origin": np.full(2, corner, np.float32),
    }
    return Terrain(ground=HeightMap(**lattice), **leaves)


def _names(columns: Mapping[str, int], tile: float) -> list[str]:
    """The kind of every column."""
    if not columns:
        raise ValueError(f"columns: no kind given, expected one or more of {', '.join(KINDS)}")
    for name, count in columns.items():
        check_word("kind", name, KINDS)
        _check_whole(f"columns of {name!r}", count, 1)
        smallest = KINDS[name].smallest
        if not tile >= smallest:
            raise ValueError(f"tile {tile:g} m: {name!r} needs at least {smallest:g} m")
    return [name for name, count in columns.items() for _ in range(count)]


def _grid(tile: float, cell: float) -> Grid:
    if not 0.0 < cell <= _COARSEST:
        raise ValueError(f"cell {cell:g} m: expected more than 0, at most {_COARSEST:g} m")
    size = round(tile / cell)
    if abs(tile / size - cell) > 1e-4 * cell:
        raise ValueError(
            f"cell {cell:g} m does not divide the tile of {tile:g} m: nearest is {tile / size:g} m"
        )
    return Grid(size, tile / size)


def _check_whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} {value!r}: expected a whole number of at least {least}")
