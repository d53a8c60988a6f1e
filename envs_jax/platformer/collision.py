"""The ninja, a circle, against the surfaces of tiles and doors.

All is for any number of ninjas at once, whose axes come last: the surfaces round them have an axis
before these, so that the innermost loops of the compiled program are long and plain.

A ninja that is wedged in is pushed to and fro by ever less, and by how often decides what counts as
its floor: distances must be right to 1e-8 px, of which float32 knows nothing. So a position is the
sum of a coarse part, a multiple of 1/16 px, and a small rest. Products of coarse parts are exact,
and so is what they differ by from the square of the ninja's radius.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.platformer.levels import GRID, Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.tiles import KIND_AT, MIRROR_AT, NONE, SLOPE, SLOPE_AT, SOLID_DISC

__all__ = [
    "RADIUS",
    "Body",
    "Coordinate",
    "Surroundings",
    "batch_last",
    "coordinate",
    "pushed_out",
    "surroundings",
    "wall_in_reach",
]

RADIUS = 10.0  # px
_WALL_REACH = 0.1  # px from the ninja's rim
_LEVEL = 1e-5  # px, how little a wall's nearest point may be above or below the ninja's centre
_FRONT = 0.1  # px^2, what a surface that faces the ninja has ahead of one that it is behind
_CEILING = -1e-4  # px: a push upwards by less than this is not off a floor
_TINY = 1e-7  # px
_NOWHERE = 1e9  # px^2
_GRID = 16.0  # coarse parts of positions, in 1 / px
_ARC = float(CELL)  # px, radius of arcs


class Coordinate(NamedTuple):
    """A length in px: the sum of a multiple of 1/16 px and a rest of 1/32 px at most."""

    coarse: jax.Array
    rest: jax.Array

    @property
    def value(self) -> jax.Array:
        """The sum, rounded."""
        return self.coarse + self.rest

    def plus(self, other: jax.Array) -> Coordinate:
        """The sum with what is not too large (a few px)."""
        rest = self.rest + other
        coarse = jnp.round(rest * _GRID) / _GRID
        return Coordinate(self.coarse + coarse, rest - coarse)

    def minus(self, coarse: jax.Array | float) -> Coordinate:
        """The difference to a whole number of px."""
        return Coordinate(self.coarse - coarse, self.rest)

    def where(self, condition: jax.Array) -> Coordinate:
        """Zero where the condition does not hold."""
        return Coordinate(
            jnp.where(condition, self.coarse, 0.0), jnp.where(condition, self.rest, 0.0)
        )

    def mirrored(self, condition: jax.Array) -> Coordinate:
        """Counted from the other side of a cell where the condition holds."""
        return Coordinate(
            jnp.where(condition, CELL - self.coarse, self.coarse),
            jnp.where(condition, -self.rest, self.rest),
        )


def coordinate(coarse: jax.Array, rest: jax.Array) -> Coordinate:
    """From any number of px and a rest."""
    rounded = jnp.round(coarse * _GRID) / _GRID
    return Coordinate(rounded, coarse - rounded).plus(rest)


class Surroundings(NamedTuple):
    """Where a ninja is, as far as collisions go.

    Attributes:
        cells: int32 ``[L * 44 * 25]``.
        base: int32, where the level's cells begin.
        column: int32, of the cell from whose top left corner all positions count.
        row: the same.
        door_ends: left, top, right and bottom ends of locked doors, px, each ``[D]``.
        door_cell: column and row of their cells, int32, each ``[D]``.
        door_closed: bool ``[D]``.
    """

    cells: jax.Array
    base: jax.Array
    column: jax.Array
    row: jax.Array
    door_ends: list[jax.Array]
    door_cell: list[jax.Array]
    door_closed: jax.Array


class Body(NamedTuple):
    """A ninja in the midst of being pushed out of what it is in.

    Attributes:
        x: from the left of a cell near by, see `Surroundings`.
        y: from its top.
        vx: px a frame.
        vy: px a frame.
        floor_x: sum of the unit vectors of pushes off floors.
        floor_y: the same.
        ceiling_x: the same of pushes off ceilings and walls.
        ceiling_y: the same.
        on_floor: whether there was a push off a floor.
        on_ceiling: whether there was one off a ceiling or a wall.
        moved: whether the last look found something to be pushed out of.
    """

    x: Coordinate
    y: Coordinate
    vx: jax.Array
    vy: jax.Array
    floor_x: jax.Array
    floor_y: jax.Array
    ceiling_x: jax.Array
    ceiling_y: jax.Array
    on_floor: jax.Array
    on_ceiling: jax.Array
    moved: jax.Array


class _Surface(NamedTuple):
    """The nearest point of a surface.

    Attributes:
        dx: from it to the ninja, px.
        dy: the same, downwards.
        excess: square of the distance less that of the ninja's radius, px^2.
        is_behind: whether the ninja is at the side of it that is solid.
        exists: whether there is such a surface.
    """

    dx: jax.Array
    dy: jax.Array
    excess: jax.Array
    is_behind: jax.Array
    exists: jax.Array


def surroundings(
    levels: Levels,
    level: jax.Array,
    door_closed: jax.Array,
    column: jax.Array,
    row: jax.Array,
) -> Surroundings:
    """Of a ninja in a level.

    Args:
        levels: the bank.
        level: int32, index into it.
        door_closed: bool ``[D]``.
        column: int32, of the cell from whose top left corner positions count.
        row: the same.
    """
    corner = jnp.stack([column, row, column, row]) * CELL
    ends, cell = levels.lock_door[level] - corner, levels.lock_cell[level]
    return Surroundings(
        levels.cells.reshape(-1),
        level * levels.cells.shape[-1],
        column,
        row,
        [ends[:, i] for i in range(4)],
        [cell[:, i] for i in range(2)],
        door_closed,
    )


def batch_last(function: Callable[[Any, Surroundings], Any]) -> Callable[[Any, Surroundings], Any]:
    """A function of ninjas and where they are, that under `jax.vmap` gets whole batches.

    `jax.vmap` alone would put the axis of the batch before those of surfaces and doors. The result
    must have no other axes.
    """
    whole = jax.custom_batching.custom_vmap(function)

    @whole.def_vmap
    def _(size: int, is_batched: Any, ninjas: Any, around: Surroundings) -> tuple[Any, Any]:
        def spread(leaf: jax.Array, has_batch: bool) -> jax.Array:
            if has_batch:
                return jnp.moveaxis(leaf, 0, -1)
            return jnp.broadcast_to(leaf[..., None], (*leaf.shape, size))

        ninjas_batched, around_batched = is_batched
        if around_batched.cells:
            raise ValueError("levels cannot be batched: share one bank, and batch the index")
        ninjas = jax.tree.map(spread, ninjas, ninjas_batched)
        cells = around.cells
        around = jax.tree.map(spread, around, around_batched)._replace(cells=cells)
        result = function(ninjas, around)
        return result, jax.tree.map(lambda _: True, result)

    return whole


def pushed_out(body: Body, around: Surroundings) -> Body:
    """One push away from the nearest surface, if the ninja overlaps it.

    The speed towards the surface is lost.
    """
    point = _nearest(_surfaces(body.x, body.y, RADIUS, around))
    length = jnp.sqrt(jnp.maximum(point.excess + RADIUS * RADIUS, 0.0))
    depth = jnp.where(point.is_behind, RADIUS + length, -point.excess / (RADIUS + length))
    moved = point.exists & (length > 0.0) & (depth >= _TINY)
    length = jnp.where(moved, length, 1.0)
    nx, ny = jnp.where(moved, point.dx / length, 0.0), jnp.where(moved, point.dy / length, 0.0)
    depth = jnp.where(moved, depth, 0.0)
    is_approaching = body.vx * nx + body.vy * ny < 0.0
    along = body.vx * ny - body.vy * nx
    is_floor = moved & (point.dy < _CEILING)
    is_ceiling = moved & ~is_floor
    return Body(
        x=body.x.plus(nx * depth),
        y=body.y.plus(ny * depth),
        vx=jnp.where(is_approaching, along * ny, body.vx),
        vy=jnp.where(is_approaching, -along * nx, body.vy),
        floor_x=body.floor_x + jnp.where(is_floor, nx, 0.0),
        floor_y=body.floor_y + jnp.where(is_floor, ny, 0.0),
        ceiling_x=body.ceiling_x + jnp.where(is_ceiling, nx, 0.0),
        ceiling_y=body.ceiling_y + jnp.where(is_ceiling, ny, 0.0),
        on_floor=body.on_floor | is_floor,
        on_ceiling=body.on_ceiling | is_ceiling,
        moved=moved,
    )


def wall_in_reach(place: tuple[Coordinate, Coordinate], around: Surroundings) -> jax.Array:
    """-1.0 or 1.0, away from a wall at the height of the ninja's centre; 0.0 if there is none."""
    x, y = place
    normal, reach = jnp.zeros_like(x.rest), RADIUS + _WALL_REACH
    for point in _surfaces(x, y, reach, around):
        is_wall = (jnp.abs(point.dy) < _LEVEL) & (jnp.abs(point.dx) <= reach) & point.exists
        is_right, is_left = is_wall & (point.dx > 0.0), is_wall & (point.dx < 0.0)
        # With walls at both sides that counts which comes first, and it is further left.
        found = jnp.where(is_right.any(0), 1.0, jnp.where(is_left.any(0), -1.0, 0.0))
        normal = jnp.where(normal == 0.0, found, normal)
    return normal


def _nearest(kinds: list[_Surface]) -> _Surface:
    """Of all surfaces, those that face the ninja first by a little."""
    best, *others = map(_nearest_of_kind, kinds)
    for points, rank in others:
        is_nearer = rank < best[1]
        best = jax.tree.map(partial(jnp.where, is_nearer), (points, rank), best)
    return best[0]


def _nearest_of_kind(points: _Surface) -> tuple[_Surface, jax.Array]:
    """The nearest of surfaces, leaves without the first axis, and its rank."""
    rank = points.excess + jnp.where(points.is_behind, _FRONT, 0.0)
    rank = jnp.where(points.exists, rank, _NOWHERE)
    if rank.shape[0] == 1:
        return jax.tree.map(lambda leaf: leaf[0], (points, rank))

    best = rank.min(0)
    number = jax.lax.broadcasted_iota(jnp.int32, rank.shape, 0)
    chosen = jnp.where(rank == best, number, rank.shape[0] - 1).min(0, keepdims=True)

    def pick(values: jax.Array) -> jax.Array:
        values = jnp.broadcast_to(values, rank.shape)
        return jnp.take_along_axis(values, chosen, 0, mode="promise_in_bounds")[0]

    return jax.tree.map(pick, points), best


def _surfaces(x: Coordinate, y: Coordinate, reach: float, around: Surroundings) -> list[_Surface]:
    """Nearest points of all surfaces in the cells that a square round the ninja overlaps.

    These are two by two cells at most; where they are fewer, one comes twice, which is harmless. A
    surface of a cell further away must not count: the ninja would be pushed through it if it is
    behind it.

    Returns:
        Slopes and arcs, edges, and doors; leaves have a first axis for the surfaces of a kind.
    """
    low_x, high_x = (_cell(x.value + side, around.column, GRID[0]) for side in (-reach, reach))
    low_y, high_y = (_cell(y.value + side, around.row, GRID[1]) for side in (-reach, reach))
    columns = jnp.stack([low_x, low_x, high_x, high_x])
    rows = jnp.stack([low_y, high_y, low_y, high_y])
    places = around.base + columns * GRID[1] + rows
    codes = around.cells.at[places].get(mode="promise_in_bounds")
    left = x.minus(((columns - around.column) * CELL).astype(x.rest.dtype))
    top = y.minus(((rows - around.row) * CELL).astype(y.rest.dtype))
    kinds = [_slopes(left, top, codes), _edges(left, top, codes)]
    if around.door_closed.shape[0]:
        kinds.append(_doors(x, y, around, (low_x, high_x), (low_y, high_y)))
    return kinds


def _doors(
    x: Coordinate,
    y: Coordinate,
    around: Surroundings,
    columns: tuple[jax.Array, jax.Array],
    rows: tuple[jax.Array, jax.Array],
) -> _Surface:
    west, north, east, south = around.door_ends
    column, row = around.door_cell
    is_near = (columns[0] <= column) & (column <= columns[1])
    is_near &= (rows[0] <= row) & (row <= rows[1])
    dx, dy = _past(x, west, east), _past(y, north, south)
    closed = around.door_closed
    return _point(dx, dy, jnp.zeros_like(closed), closed & is_near)


def _cell(place: jax.Array, origin: jax.Array, cells: int) -> jax.Array:
    return jnp.clip(jnp.floor(place / CELL).astype(jnp.int32) + origin, 0, cells - 1)


def _bit(code: jax.Array, at: int) -> jax.Array:
    return (code & (1 << at)) != 0


def _past(place: Coordinate, low: jax.Array, high: jax.Array) -> Coordinate:
    """How far a place is before the low or past the high end of a range; zero within."""
    value = place.value
    end = jnp.where(value < low, low, high)
    return place.minus(end).where((value < low) | (value > high))


def _square(x: Coordinate, y: Coordinate, other: jax.Array | float) -> jax.Array:
    """The square of a distance less another square."""
    coarse = x.coarse * x.coarse + y.coarse * y.coarse - other
    return coarse + (x.rest * (x.coarse + x.value) + y.rest * (y.coarse + y.value))


def _point(dx: Coordinate, dy: Coordinate, is_behind: jax.Array, exists: jax.Array) -> _Surface:
    return _Surface(dx.value, dy.value, _square(dx, dy, RADIUS * RADIUS), is_behind, exists)


def _edges(x: Coordinate, y: Coordinate, codes: jax.Array) -> _Surface:
    """Of cells' edges along their sides and middle lines, cell by cell.

    Args:
        x: from the cells' left sides, the coarse part ``[4, ...]``.
        y: from their tops, the same.
        codes: of the cells, ``[4, ...]``.
    """
    shape = (4, 4) + (1,) * (codes.ndim - 1)
    kind = jax.lax.broadcasted_iota(jnp.int32, shape, 1)
    is_upright, faces_on = kind >= 2, (kind & 1) == 1
    code = codes[:, None] >> (3 * kind)
    first, second = _bit(code, 0), _bit(code, 1)
    x, y = (Coordinate(place.coarse[:, None], place.rest) for place in (x, y))
    along = jax.tree.map(partial(jnp.where, is_upright), y, x)
    across = jax.tree.map(partial(jnp.where, is_upright), x, y)
    dtype = x.rest.dtype
    low = jnp.where(first, 0.0, CELL / 2).astype(dtype)
    high = jnp.where(second, CELL, CELL / 2).astype(dtype)
    side = jnp.where(_bit(code, 2), CELL / 2, jnp.where(faces_on, CELL, 0.0)).astype(dtype)
    away, past = across.minus(side), _past(along, low, high)
    is_behind = jnp.where(faces_on, away.value < 0.0, away.value > 0.0)
    points = _Surface(
        jnp.where(is_upright, away.value, past.value),
        jnp.where(is_upright, past.value, away.value),
        _square(past, away, RADIUS * RADIUS),
        is_behind,
        first | second,
    )
    return jax.tree.map(lambda leaf: leaf.reshape(16, *codes.shape[1:]), points)


def _slopes(x: Coordinate, y: Coordinate, codes: jax.Array) -> _Surface:
    """Of cells' slopes and arcs; see `_edges`.

    A code's tile is a mirrored picture of one with its slope from bottom left to top right.
    """
    kind = (codes >> KIND_AT) & 3
    mirror_x, mirror_y = _bit(codes, MIRROR_AT), _bit(codes, MIRROR_AT + 1)
    x, y = x.mirrored(mirror_x), y.mirrored(mirror_y)
    line, arc = _line(x, y, codes), _arc(x, y, kind == SOLID_DISC)
    point = jax.tree.map(partial(jnp.where, kind == SLOPE), line, arc)
    return _Surface(
        jnp.where(mirror_x, -point.dx, point.dx),
        jnp.where(mirror_y, -point.dy, point.dy),
        point.excess,
        point.is_behind,
        kind != NONE,
    )


def _line(x: Coordinate, y: Coordinate, code: jax.Array) -> _Surface:
    half = [
        jnp.where(_bit(code, SLOPE_AT + i), CELL / 2, 0.0).astype(x.rest.dtype) for i in range(4)
    ]
    along_x, along_y = CELL - half[2] - half[0], half[3] + half[1] - CELL
    length = along_x * along_x + along_y * along_y
    from_x, from_y = x.minus(half[0]), y.minus(CELL - half[1])
    to_x, to_y = from_x.minus(along_x), from_y.minus(along_y)
    share = from_x.value * along_x + from_y.value * along_y
    before, after = share <= 0.0, share >= length
    # Beside the line its normal is used, which is the same all along it.
    coarse = from_y.coarse * along_x - from_x.coarse * along_y
    rest = from_y.rest * along_x - from_x.rest * along_y
    height = (coarse + rest) / length
    square = coarse * coarse - RADIUS * RADIUS * length + rest * (coarse + (coarse + rest))
    end_x, end_y = (
        Coordinate(jnp.where(before, a.coarse, b.coarse), a.rest)
        for a, b in ((from_x, to_x), (from_y, to_y))
    )
    is_end = before | after
    return _Surface(
        jnp.where(is_end, end_x.value, -along_y * height),
        jnp.where(is_end, end_y.value, along_x * height),
        jnp.where(is_end, _square(end_x, end_y, RADIUS * RADIUS), square / length),
        height < 0.0,
        jnp.ones_like(is_end),
    )


def _arc(x: Coordinate, y: Coordinate, is_solid: jax.Array) -> _Surface:
    """Of a quarter circle round the cell's corner."""
    distance = jnp.sqrt(x.value * x.value + y.value * y.value)
    is_outside = distance > _ARC
    # The ninja touches the arc at this distance from its centre.
    touching = jnp.where(is_outside, _ARC + RADIUS, _ARC - RADIUS)
    gap = _square(x, y, touching * touching) / (distance + touching)
    gap = jnp.where(is_outside, gap, -gap)
    is_beside = (x.value > 0.0) & (y.value > 0.0)
    shrink = 1.0 - _ARC / jnp.where(is_beside, distance, _ARC)
    is_right = x.value > y.value
    end_x = x.minus(jnp.where(is_right, _ARC, 0.0).astype(x.rest.dtype))
    end_y = y.minus(jnp.where(is_right, 0.0, _ARC).astype(x.rest.dtype))
    return _Surface(
        jnp.where(is_beside, x.value * shrink, end_x.value),
        jnp.where(is_beside, y.value * shrink, end_y.value),
        jnp.where(is_beside, gap * (gap + 2 * RADIUS), _square(end_x, end_y, RADIUS * RADIUS)),
        is_beside & (is_outside ^ is_solid),
        jnp.ones_like(is_beside),
    )
