"""What is round a ninja: nearest points of the surfaces of tiles and doors.

All is for any number of ninjas at once, whose axes come last: the surfaces round them have an axis
before these, so that the innermost loops of the compiled program are long and plain.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.platformer.coordinate import Coordinate
from envs_jax.platformer.levels import GRID, Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.tiles import KIND_AT, MIRROR_AT, NONE, SLOPE, SLOPE_AT, SOLID_DISC

__all__ = ["RADIUS", "Surface", "Surroundings", "surfaces", "surroundings"]

RADIUS = 10.0  # px, of the ninja
_ARC = float(CELL)  # px, radius of arcs


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


class Surface(NamedTuple):
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


def surfaces(x: Coordinate, y: Coordinate, reach: float, around: Surroundings) -> list[Surface]:
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
) -> Surface:
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


def _point(dx: Coordinate, dy: Coordinate, is_behind: jax.Array, exists: jax.Array) -> Surface:
    return Surface(dx.value, dy.value, _square(dx, dy, RADIUS * RADIUS), is_behind, exists)


def _edges(x: Coordinate, y: Coordinate, codes: jax.Array) -> Surface:
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
    points = Surface(
        jnp.where(is_upright, away.value, past.value),
        jnp.where(is_upright, past.value, away.value),
        _square(past, away, RADIUS * RADIUS),
        is_behind,
        first | second,
    )
    return jax.tree.map(lambda leaf: leaf.reshape(16, *codes.shape[1:]), points)


def _slopes(x: Coordinate, y: Coordinate, codes: jax.Array) -> Surface:
    """Of cells' slopes and arcs; see `_edges`.

    A code's tile is a mirrored picture of one with its slope from bottom left to top right.
    """
    kind = (codes >> KIND_AT) & 3
    mirror_x, mirror_y = _bit(codes, MIRROR_AT), _bit(codes, MIRROR_AT + 1)
    x, y = x.mirrored(mirror_x, CELL), y.mirrored(mirror_y, CELL)
    line, arc = _line(x, y, codes), _arc(x, y, kind == SOLID_DISC)
    point = jax.tree.map(partial(jnp.where, kind == SLOPE), line, arc)
    return Surface(
        jnp.where(mirror_x, -point.dx, point.dx),
        jnp.where(mirror_y, -point.dy, point.dy),
        point.excess,
        point.is_behind,
        kind != NONE,
    )


def _line(x: Coordinate, y: Coordinate, code: jax.Array) -> Surface:
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
    return Surface(
        jnp.where(is_end, end_x.value, -along_y * height),
        jnp.where(is_end, end_y.value, along_x * height),
        jnp.where(is_end, _square(end_x, end_y, RADIUS * RADIUS), square / length),
        height < 0.0,
        jnp.ones_like(is_end),
    )


def _arc(x: Coordinate, y: Coordinate, is_solid: jax.Array) -> Surface:
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
    return Surface(
        jnp.where(is_beside, x.value * shrink, end_x.value),
        jnp.where(is_beside, y.value * shrink, end_y.value),
        jnp.where(is_beside, gap * (gap + 2 * RADIUS), _square(end_x, end_y, RADIUS * RADIUS)),
        is_beside & (is_outside ^ is_solid),
        jnp.ones_like(is_beside),
    )
