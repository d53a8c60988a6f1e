"""Courses: tiles that are crossed along +x, from a platform at the lower end to the upper end.

Builders are as in :mod:`envs_jax.quadruped.tiles`. What is to be crossed is as wide as the tile: a
robot that goes around it has left the tile. Along x as many obstacles follow each other as fit.

Source of the numbers: chengxuxin/extreme-parkour, ``legged_gym/legged_gym/utils/terrain.py``. There
a course is 18 m long and has eight obstacles, of which some can be passed by.
"""

import numpy as np

from envs_jax.quadruped.tiles import Grid, Heights

__all__ = ["RUN_OUT", "RUN_UP", "START", "gaps", "hurdles", "parkour", "pit_depth", "steps"]

RUN_UP = 2.0
"""Length of the platform at the lower end, m."""
START = 1.0
"""Where on it a robot starts, m from the lower end: so far it is level in every direction."""
RUN_OUT = 0.5
"""Level ground at the upper end, m: a robot whose middle gets there is through."""

_STONE_WIDTH = 1.0  # m


def pit_depth(difficulty: float) -> float:
    """Of gaps and of the pit around stones, m; extreme-parkour draws 0.2 to 1 m for each tile.

    A leg gets out of the shallow ones, so that there is something to be learnt before gaps are
    stepped over. Here the lowest levels have them, for a small map has few tiles of a kind.
    """
    return 0.2 + 0.8 * difficulty


def gaps(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """Gaps of 0.1 + 0.7 d m, or two cells if that is less, with 0.8 to 1.5 m of ground before."""
    # From edge to edge a gap is a cell wider than what lies deep, for its walls are ramps.
    width = 0.1 + 0.7 * difficulty - grid.cell
    heights = np.zeros((grid.size, grid.size))
    for span in _obstacles(rng, grid, (width, width), (0.8, 1.5)):
        heights[span] = -pit_depth(difficulty)
    return heights


def hurdles(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """Hurdles of 0.1 + 0.1 d to 0.15 + 0.25 d m, 0.1 + 0.3 d m long, each 1.2 to 2.2 m on."""
    length = 0.1 + 0.3 * difficulty
    heights = np.zeros((grid.size, grid.size))
    for span in _obstacles(rng, grid, (length, length), (1.2 - length, 2.2 - length)):
        heights[span] = rng.uniform(0.1 + 0.1 * difficulty, 0.15 + 0.25 * difficulty)
    return heights


def steps(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """Steps of h = 0.1 + 0.35 d m, up and then down; treads of 0.3 + h to 1.5 + h m."""
    height = 0.1 + 0.35 * difficulty
    spans = _obstacles(rng, grid, (0.3 + height, 1.5 + height), (0.0, 0.0))
    heights = np.zeros((grid.size, grid.size))
    for number, span in enumerate(spans):
        heights[span] = height * min(number + 1, len(spans) - number)
    return heights


def parkour(rng: np.random.Generator, difficulty: float, grid: Grid) -> Heights:
    """Stones in a pit, left and right by turns, tilted by up to a slope of 0.5 d.

    A stone is 1 m wide, 0.9 - 0.3 d to 1 - 0.2 d m long, 0 to 0.1 + 0.3 d m after the one before,
    0.2 to 0.3 + 0.1 d m off the middle and 0.25 d m high at its outer edge, as much too low at its
    inner edge. So the middle of the tile is on all stones.
    """
    length, clear = (0.9 - 0.3 * difficulty, 1.0 - 0.2 * difficulty), (0.0, 0.1 + 0.3 * difficulty)
    spans = _obstacles(rng, grid, length, clear)
    heights = np.zeros((grid.size, grid.size))
    heights[grid.cells(RUN_UP) : spans[-1].stop] = -pit_depth(difficulty)
    across = (np.arange(grid.size) - (grid.size - 1) / 2) * grid.cell
    side = rng.choice((-1.0, 1.0))
    for span in spans:
        outwards = across * side - rng.uniform(0.2, 0.3 + 0.1 * difficulty)
        is_stone = np.abs(outwards) <= _STONE_WIDTH / 2
        heights[span, is_stone] = 0.5 * difficulty * outwards[is_stone]
        side = -side
    return heights


def _obstacles(
    rng: np.random.Generator,
    grid: Grid,
    length: tuple[float, float],
    clear: tuple[float, float],
) -> list[slice]:
    """Rows of the grid that each obstacle takes.

    Args:
        rng: random generator.
        grid: of the tile.
        length: of an obstacle, least and most, m.
        clear: ground before each obstacle, least and most, m.
    """
    spans = list[slice]()
    stop, last = grid.cells(RUN_UP), grid.size - grid.cells(RUN_OUT)
    while True:
        start = stop + round(rng.uniform(*clear) / grid.cell)
        stop = start + grid.cells(rng.uniform(*length))
        if stop > last:
            return spans
        spans.append(slice(start, stop))
