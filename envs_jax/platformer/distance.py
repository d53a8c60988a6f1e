"""How far the next objective is, along paths that the ninja's body fits through.

The objectives of a level are put in order once, as a player with a map would: the exit switch, then
the exit door, and before either of them the switches of those locked doors that stand in the way.
For each objective a field over a lattice of points tells the length of the shortest path to it,
with the doors open that are open by then, and which way that path goes on. Gravity plays no part.

Everything here is NumPy and SciPy on the host; the fields are data in a bank of levels.
"""

import dataclasses

import numpy as np

from envs_jax.platformer.maps import CELL, COLUMNS, ROWS
from envs_jax.platformer.raster import solid_raster

__all__ = ["DIRECTIONS", "PITCH", "SHAPE", "Plan", "make_plan"]

PITCH = 12
"""Distance of lattice points, px. A tile's centre and corners are lattice points."""
SHAPE = ((ROWS + 2) * CELL // PITCH + 1, (COLUMNS + 2) * CELL // PITCH + 1)
"""Lattice points (down, across), the frame included."""
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 0))
"""Steps on the lattice (down, across), clockwise from the right; the last is "arrived"."""

_FINE = 12  # raster pixels along a tile
_BODY = 8.5  # px between the ninja's centre and what is solid; 10, less what rasterising may err
_MINE = 15.0  # px within which a mine is touched, and a little more
_DANGER = 20.0  # times as long is a path where a deadly mine is touched


@dataclasses.dataclass(frozen=True)
class Plan:
    """Objectives of one level in their order, `n` of them.

    Attributes:
        goal: int ``[n]``: which switch of a locked door, or -1 for the exit switch and -2 for the
            exit door, which is the last one.
        position: float32 ``[n, 2]``, px.
        distance: float32 ``[n, *SHAPE]``, px, to the objective. Points that the ninja cannot be at
            have the value of the nearest that it can.
        direction: uint8 ``[n, *SHAPE]``, index into `DIRECTIONS`: where the shortest path goes on.
        leg: float32 ``[n]``, px from each objective to the next one; the last is 0.
        total: px from the spawn through all objectives.
        is_connected: whether a path through all of them exists.
    """

    goal: np.ndarray
    position: np.ndarray
    distance: np.ndarray
    direction: np.ndarray
    leg: np.ndarray
    total: float
    is_connected: bool


def make_plan(
    tiles: np.ndarray,
    spawn: np.ndarray,
    switch: np.ndarray,
    exit_door: np.ndarray,
    mines: np.ndarray,
    lock_switches: np.ndarray,
    lock_doors: np.ndarray,
) -> Plan:
    """Order a level's objectives and measure the ways to them.

    Args:
        tiles: with the frame, integers ``[25, 44]``.
        spawn: px ``[2]``, as all positions.
        switch: of the exit, ``[2]``.
        exit_door: ``[2]``.
        mines: that are deadly at the start, ``[m, 2]``; paths make a long detour to avoid them.
        lock_switches: of locked doors, ``[d, 2]``.
        lock_doors: their ends ``[d, 2, 2]``.
    """
    lattice = _Lattice(tiles, mines)
    closed = set(range(len(lock_doors)))
    goal: list[int] = []
    position: list[np.ndarray] = []
    fields: list[tuple[np.ndarray, np.ndarray]] = []
    leg: list[float] = []
    here, is_connected = np.asarray(spawn, float), True
    for final, place in ((-1, switch), (-2, exit_door)):
        while True:
            free = lattice.without(lock_doors[sorted(closed)])
            field = lattice.field(place, free)
            near = lattice.at(here)
            if np.isfinite(field[0][near]) or not closed:
                break
            # Behind a locked door: open the nearest that can be opened.
            ways = {door: lattice.field(lock_switches[door], free) for door in closed}
            door = min(ways, key=lambda door: ways[door][0][near])
            if not np.isfinite(ways[door][0][near]):
                break
            goal.append(door)
            position.append(lock_switches[door])
            fields.append(ways[door])
            leg.append(float(ways[door][0][near]))
            closed.remove(door)
            here = np.asarray(lock_switches[door], float)
        is_connected &= bool(np.isfinite(field[0][near]))
        goal.append(final)
        position.append(np.asarray(place, float))
        fields.append(field)
        leg.append(float(field[0][near]))
        here = np.asarray(place, float)
    filled = [lattice.filled(*field) for field in fields]
    legs = np.nan_to_num(np.array(leg), posinf=0.0)
    return Plan(
        goal=np.array(goal),
        position=np.array(position, np.float32),
        distance=np.stack([distance for distance, _ in filled]).astype(np.float32),
        direction=np.stack([direction for _, direction in filled]).astype(np.uint8),
        leg=np.append(legs[1:], 0.0).astype(np.float32),
        total=float(legs.sum()),
        is_connected=is_connected,
    )


class _Lattice:
    """The points of one level that the ninja's centre can be at."""

    def __init__(self, tiles: np.ndarray, mines: np.ndarray) -> None:
        from scipy import ndimage

        solid = solid_raster(tiles, _FINE)
        clearance = ndimage.distance_transform_edt(~solid) * (CELL / _FINE)
        # A lattice point is a corner of raster pixels; the least of the four counts.
        padded = np.pad(clearance, 1)
        step = _FINE * PITCH // CELL
        corners = [padded[dy:, dx:][::step, ::step] for dy in (0, 1) for dx in (0, 1)]
        least = np.minimum.reduce([corner[: SHAPE[0], : SHAPE[1]] for corner in corners])
        self._free: np.ndarray = least >= _BODY
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] * float(PITCH)
        self._points = np.stack([x, y], -1)
        self._cost = np.ones(SHAPE)
        for mine in mines:
            near = np.hypot(x - mine[0], y - mine[1]) < _MINE
            self._cost[near] = _DANGER

    def at(self, place: np.ndarray) -> tuple[int, int]:
        """Index of the free point that is nearest to `place`, px."""
        apart = np.where(self._free, np.linalg.norm(self._points - place, axis=-1), np.inf)
        row, column = np.unravel_index(np.argmin(apart), SHAPE)
        return int(row), int(column)

    def without(self, doors: np.ndarray) -> np.ndarray:
        """Points that are free with these doors, ``[k, 2, 2]``, closed: bool `SHAPE`."""
        free = self._free.copy()
        for start, end in doors:
            along = np.asarray(end, float) - start
            share = ((self._points - start) @ along) / max(float(along @ along), 1e-9)
            foot = start + np.clip(share, 0.0, 1.0)[..., None] * along
            free &= np.linalg.norm(self._points - foot, axis=-1) >= _BODY
        return free

    def field(self, place: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Length of the way to `place` and its first step, over the points in `free`."""
        from scipy.sparse import csgraph, csr_array

        number = np.arange(free.size).reshape(SHAPE)
        rows, columns, lengths = [], [], []
        for (dy, dx), (here, there) in zip(_HALF, map(_slices, _HALF), strict=True):
            both = free[here] & free[there]
            if dy and dx:  # no cutting of corners
                both &= free[_slices((dy, 0), (dy, dx))[1]] & free[_slices((0, dx), (dy, dx))[1]]
            cost = 0.5 * (self._cost[here] + self._cost[there])
            rows.append(number[here][both])
            columns.append(number[there][both])
            lengths.append((np.hypot(dy, dx) * PITCH * cost)[both])
        edges = (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns)))
        graph = csr_array(edges, shape=(free.size, free.size))
        goal = number[self.at(place)]
        distance, before = csgraph.dijkstra(
            graph, directed=False, indices=goal, return_predecessors=True
        )
        step = np.where(before >= 0, before - number.ravel(), 0)
        offsets = [dy * SHAPE[1] + dx for dy, dx in DIRECTIONS]
        direction = np.full(free.size, len(DIRECTIONS) - 1)
        for index, offset in enumerate(offsets[:-1]):
            direction[step == offset] = index
        return distance.reshape(SHAPE), direction.reshape(SHAPE)

    def filled(self, distance: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same with a value everywhere: that of the nearest point which has one."""
        from scipy import ndimage

        missing = ~np.isfinite(distance)
        row, column = ndimage.distance_transform_edt(
            missing, return_distances=False, return_indices=True
        )
        return distance[row, column], direction[row, column]


_HALF = ((0, 1), (1, 1), (1, 0), (1, -1))  # one of each pair of opposite steps


def _slices(
    step: tuple[int, int], within: tuple[int, int] | None = None
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of a lattice that pair each point with the one a `step` further.

    Only points are paired from which the longer step `within` stays on the lattice, too.
    """
    pairs = []
    for size, longest, each in zip(SHAPE, within or step, step, strict=True):
        start, stop = max(0, -longest), size - max(0, longest)
        pairs.append((slice(start, stop), slice(start + each, stop + each)))
    (here_y, there_y), (here_x, there_x) = pairs
    return (here_y, here_x), (there_y, there_x)
