"""Roughly how many frames a level still takes from anywhere: what a search is guided by.

Unlike a path distance this knows gravity: who is in the air rises as far as is left of the jump,
then glides, then falls, until a floor or a wall gives a new jump. So a place counts as near only if
there is something to climb it by. A state of this simplified ninja is a lattice point, a *lift*
(how far up it can still go) and a *stage* (which doors are closed, whether the exit is open).

NumPy and SciPy on the host.
"""

import numpy as np

from envs_jax.platformer.maps import CELL, COLUMNS, ROWS, Entity, Map
from envs_jax.platformer.raster import solid_raster

__all__ = ["lift_of", "make_estimate"]

_PITCH = 12  # px between lattice points
_SHAPE = ((ROWS + 2) * CELL // _PITCH + 1, (COLUMNS + 2) * CELL // _PITCH + 1)
_FINE = 12  # raster pixels along a tile
_BODY = 8.5  # px between the ninja's centre and what is solid; 10, less what rasterising may err
_TOUCH = 16.0  # px within which the exit's switch is touched

_FALL, _GLIDE = 0, 1  # lifts: only down; not up any more; from 2 on one step up more each
_WALL, _FLOOR = 4, 7  # a wall jump rises 3 steps, a floor jump 6
_LIFTS = _FLOOR + 1

# Steps: (down, across), frames. Speeds are 10/3 across, about 3 falling and 1.5 rising, px a frame.
_STEPS = (
    (0, 1, 3.6),
    (0, -1, 3.6),
    (1, 0, 4.0),
    (1, 1, 4.5),
    (1, -1, 4.5),
    (-1, 0, 8.0),
    (-1, 1, 8.0),
    (-1, -1, 8.0),
)
_CLIMB = 1.7  # how much longer it takes to rise along a wall
_DEADLY, _HARMLESS = 20.0, 2.0  # factors near mines
_STRANDED = 500.0  # frames added where the simplified ninja would find no way


def lift_of(
    vy: np.ndarray, airborne: np.ndarray, walled: np.ndarray, held: np.ndarray
) -> np.ndarray:
    """The lift of real ninjas, from their vertical speed (px a frame) and what they touch."""
    rise = np.where(held, 19.0, 7.5) * np.square(np.minimum(vy, 0.0)) / _PITCH
    lift = np.where(vy > 1.0, _FALL, _GLIDE + np.minimum(np.round(rise), 6))
    lift = np.where(walled, np.maximum(lift, _WALL), lift)
    return np.where(airborne, lift, _FLOOR).astype(np.int32)


def make_estimate(level: Map) -> np.ndarray:
    """Estimate one level; takes some hundredths of a second.

    Returns:
        Frames to the end, float32 ``[stages, lifts, *lattice]``. The stage is ``2 closed +
        active``: `closed` has a bit for each closed door, `active` tells whether the exit's switch
        has been touched. Lattice points are 12 px apart.
    """
    lattice = _Lattice(level)
    doors = [entity for entity in level.entities if entity.type == 6]
    exit_door = next(entity for entity in level.entities if entity.type == 3)
    stages = 2 << len(doors)
    frames = np.full((stages, _LIFTS, *_SHAPE), np.inf, np.float32)
    for closed in sorted(range(1 << len(doors)), key=int.bit_count):
        shut = [door for bit, door in enumerate(doors) if closed >> bit & 1]
        graph = lattice.graph(shut)
        for active in (1, 0):
            goals = [(exit_door.x, exit_door.y) if active else exit_door.switch]
            after: list[np.ndarray | None] = [None if active else frames[2 * closed + 1]]
            for bit, door in enumerate(doors):
                if closed >> bit & 1:
                    goals.append(door.switch)
                    after.append(frames[2 * (closed ^ 1 << bit) + active])
            frames[2 * closed + active] = graph.solve(goals, after)
    return frames


class _Lattice:
    """Where the ninja's centre can be, and what it costs to pass there."""

    def __init__(self, level: Map) -> None:
        from scipy import ndimage

        solid = solid_raster(np.pad(level.tiles, 1, constant_values=1), _FINE)
        clearance = np.pad(ndimage.distance_transform_edt(~solid) * (CELL / _FINE), 1)
        step = _FINE * _PITCH // CELL
        # A lattice point is a corner of raster pixels; the least of the four counts.
        corners = [clearance[dy:, dx:][::step, ::step] for dy in (0, 1) for dx in (0, 1)]
        least = np.minimum.reduce([corner[: _SHAPE[0], : _SHAPE[1]] for corner in corners])
        self.free: np.ndarray = least >= _BODY
        self.y, self.x = np.mgrid[: _SHAPE[0], : _SHAPE[1]] * float(_PITCH)
        self.cost = np.ones(_SHAPE)
        for entity in level.entities:
            if entity.type in (1, 21):
                near = np.hypot(self.x - 6 * entity.x, self.y - 6 * entity.y) < _TOUCH - 1.0
                self.cost[near] = _DEADLY if entity.type == 1 else _HARMLESS

    def graph(self, shut: list[Entity]) -> "_Graph":
        """What can be reached from where with these doors shut."""
        free = self.free.copy()
        for door in shut:
            upright = door.orientation % 4 == 0
            across = np.abs(self.x - 6 * door.x) - (0 if upright else 12)
            along = np.abs(self.y - 6 * door.y) - (12 if upright else 0)
            free &= np.hypot(np.maximum(across, 0), np.maximum(along, 0)) >= _BODY
        return _Graph(self, free)


class _Graph:
    """The simplified ninja's moves, backwards: from where a place can be reached."""

    def __init__(self, lattice: _Lattice, free: np.ndarray) -> None:
        from scipy import ndimage
        from scipy.sparse import csr_array

        self._lattice = lattice
        inner = np.pad(free, 1)
        around = {
            (dy, dx): inner[1 + dy :, 1 + dx :][: _SHAPE[0], : _SHAPE[1]]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        }
        is_floor = free & ~around[1, 0]
        is_wall = free & ~(around[0, 1] & around[0, -1])
        self._rest = np.where(is_floor, _FLOOR, np.where(is_wall, _WALL, _FALL))
        self._number = np.full(_SHAPE, -1)
        self._number[free] = np.arange(free.sum())
        self._size = int(free.sum()) * _LIFTS
        rows, columns = np.nonzero(free)
        sources, targets, weights = [], [], []
        for dy, dx, frames in _STEPS:
            open_way = around[dy, dx][rows, columns]
            if dy and dx:  # no cutting of corners
                open_way &= around[dy, 0][rows, columns] & around[0, dx][rows, columns]
            row, column = rows[open_way], columns[open_way]
            cost = 0.5 * (lattice.cost[row, column] + lattice.cost[row + dy, column + dx])
            if dy < 0:
                cost = cost * np.where(is_wall[row, column] & ~is_floor[row, column], _CLIMB, 1.0)
            rest, arrival = self._rest[row, column], self._rest[row + dy, column + dx]
            here, there = self._number[row, column], self._number[row + dy, column + dx]
            for lift in range(_LIFTS):
                if (dy < 0 and lift <= _GLIDE) or (dy == 0 and lift == _FALL):
                    continue
                after = _FALL if dy > 0 else lift + min(dy, 0)
                able = lift >= rest
                sources.append((here * _LIFTS + lift)[able])
                targets.append((there * _LIFTS + np.maximum(after, arrival))[able])
                weights.append((frames * cost)[able])
        self._edges = [np.concatenate(each) for each in (targets, sources, weights)]
        self._matrix = csr_array
        missing = ~free
        self._nearest = ndimage.distance_transform_edt(
            missing, return_distances=False, return_indices=True
        )

    def solve(
        self, goals: list[tuple[int, int] | None], after: list[np.ndarray | None]
    ) -> np.ndarray:
        """Frames from everywhere to the end over the best of these goals.

        Args:
            goals: places in units of 6 px.
            after: for each what is still to do from there, ``[lifts, *lattice]``, or None.
        """
        from scipy.sparse import csgraph

        lattice = self._lattice
        targets, sources, weights = ([each] for each in self._edges)
        for goal, rest in zip(goals, after, strict=True):
            x, y = goal or (0, 0)
            apart = np.hypot(lattice.x - 6 * x, lattice.y - 6 * y)
            rows, columns = np.nonzero((apart < _TOUCH) & (self._number >= 0))
            for lift in range(_LIFTS):
                later = np.zeros(len(rows)) if rest is None else rest[lift, rows, columns]
                sources.append(self._number[rows, columns] * _LIFTS + lift)
                targets.append(np.full(len(rows), self._size))
                weights.append(later + 1e-3)
        edges = np.concatenate(weights), (np.concatenate(targets), np.concatenate(sources))
        matrix = self._matrix(edges, shape=(self._size + 1, self._size + 1))
        found = csgraph.dijkstra(matrix, indices=self._size)
        return self._everywhere(found[:-1].reshape(-1, _LIFTS))

    def _everywhere(self, found: np.ndarray) -> np.ndarray:
        """The same on the whole lattice; where nothing is known, of what is nearest."""
        grid = np.full((_LIFTS, *_SHAPE), np.inf)
        grid[:, self._number >= 0] = found.T
        rested = np.maximum(np.arange(_LIFTS)[:, None, None], self._rest)
        grid = np.take_along_axis(grid, rested, 0)
        finite = np.isfinite(grid)
        most = grid[finite].max() if finite.any() else 0.0
        grid[~finite] = most + _STRANDED
        row, column = self._nearest
        return grid[:, row, column].astype(np.float32)
