"""The ninja, a circle, against the surfaces of tiles and doors.

Everything is elementwise: one number per ninja and quantity, whatever the leading axes. The few
surfaces of the two by two cells round the ninja are written out one by one, so that the compiler
sees plain arithmetic over a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.platformer.levels import GRID, Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.tiles import KIND_AT, MIRROR_AT, NONE, SLOPE, SLOPE_AT, SOLID_DISC

__all__ = ["RADIUS", "Body", "Surroundings", "pushed_out", "surroundings", "wall_in_reach"]

RADIUS = 10.0  # px
_WALL_REACH = 0.1  # px from the ninja's rim
_LEVEL = 1e-5  # px, how little a wall's nearest point may be above or below the ninja's centre
_FRONT = 0.1  # px^2, what a surface that faces the ninja has ahead of one that it is behind
_CEILING = -1e-4  # px: a push upwards by less than this is not off a floor
_TINY = 1e-7  # px
_NOWHERE = 1e9  # px^2


class Surroundings(NamedTuple):
    """Where a ninja is, as far as collisions go.

    Attributes:
        cells: int32 ``[L * 44 * 25]``.
        base: int32, where the level's cells begin.
        door: of each locked door left, top, right, bottom end (px), column and row of its cell.
        closed: of each locked door.
    """

    cells: jax.Array
    base: jax.Array
    door: list[tuple[jax.Array, ...]]
    closed: list[jax.Array]


class Body(NamedTuple):
    """A ninja in the midst of being pushed out of what it is in.

    Attributes:
        x: px.
        y: px.
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

    x: jax.Array
    y: jax.Array
    vx: jax.Array
    vy: jax.Array
    floor_x: jax.Array
    floor_y: jax.Array
    ceiling_x: jax.Array
    ceiling_y: jax.Array
    on_floor: jax.Array
    on_ceiling: jax.Array
    moved: jax.Array


class _Nearest(NamedTuple):
    """From the nearest point of a surface to the ninja, px, and whether the ninja is behind it."""

    dx: jax.Array
    dy: jax.Array
    is_behind: jax.Array | bool
    exists: jax.Array


def surroundings(levels: Levels, level: jax.Array, door_closed: jax.Array) -> Surroundings:
    """Of a ninja in a level.

    Args:
        levels: the bank.
        level: int32, index into it.
        door_closed: bool ``[D]``.
    """
    doors = range(levels.lock_mask.shape[-1])
    sides, cell = levels.lock_door[level], levels.lock_cell[level]
    return Surroundings(
        levels.cells.reshape(-1),
        level * levels.cells.shape[-1],
        [(*(sides[d, i] for i in range(4)), cell[d, 0], cell[d, 1]) for d in doors],
        [door_closed[d] for d in doors],
    )


def pushed_out(body: Body, around: Surroundings) -> Body:
    """One push away from the nearest surface, if the ninja overlaps it.

    The speed towards the surface is lost.
    """
    dx, dy = jnp.zeros_like(body.x), jnp.zeros_like(body.x)
    is_behind, best = jnp.zeros_like(body.moved), jnp.full_like(body.x, _NOWHERE)
    for point in _surfaces(body.x, body.y, RADIUS, around):
        distance = point.dx * point.dx + point.dy * point.dy
        distance -= jnp.where(point.is_behind, 0.0, _FRONT)
        is_nearer = point.exists & (distance < best)
        best = jnp.where(is_nearer, distance, best)
        dx = jnp.where(is_nearer, point.dx, dx)
        dy = jnp.where(is_nearer, point.dy, dy)
        is_behind = jnp.where(is_nearer, point.is_behind, is_behind)
    length = jnp.sqrt(dx * dx + dy * dy)
    depth = RADIUS - jnp.where(is_behind, -length, length)
    moved = (best < _NOWHERE) & (length > 0.0) & (depth >= _TINY)
    length = jnp.where(moved, length, 1.0)
    nx, ny = jnp.where(moved, dx / length, 0.0), jnp.where(moved, dy / length, 0.0)
    depth = jnp.where(moved, depth, 0.0)
    is_approaching = body.vx * nx + body.vy * ny < 0.0
    along = body.vx * ny - body.vy * nx
    is_floor = dy < _CEILING
    is_ceiling = moved & ~is_floor
    is_floor &= moved
    return Body(
        x=body.x + nx * depth,
        y=body.y + ny * depth,
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


def wall_in_reach(x: jax.Array, y: jax.Array, around: Surroundings) -> jax.Array:
    """-1.0 or 1.0, away from a wall at the height of the ninja's centre; 0.0 if there is none."""
    normal, reach = jnp.zeros_like(x), RADIUS + _WALL_REACH
    for point in _surfaces(x, y, reach, around):
        is_wall = (jnp.abs(point.dy) < _LEVEL) & (jnp.abs(point.dx) <= reach)
        is_wall &= point.exists & (normal == 0.0)
        normal = jnp.where(is_wall, jnp.sign(point.dx), normal)
    return normal


def _surfaces(x: jax.Array, y: jax.Array, reach: float, around: Surroundings) -> Iterator[_Nearest]:
    """Nearest points of all surfaces in the cells that a square round the ninja overlaps.

    These are two by two cells at most; where they are fewer, one comes twice, which is harmless. A
    surface of a cell further away must not count: the ninja would be pushed through it if it is
    behind it.
    """
    columns = [_cell(x + side, GRID[0]) for side in (-reach, reach)]
    rows = [_cell(y + side, GRID[1]) for side in (-reach, reach)]
    for column in columns:
        for row in rows:
            code = around.cells.at[around.base + column * GRID[1] + row].get(
                mode="promise_in_bounds"
            )
            left, top = x - (column * CELL).astype(x.dtype), y - (row * CELL).astype(y.dtype)
            yield _slope(left, top, code)
            yield from _edges(left, top, code)
    for (low_x, low_y, high_x, high_y, column, row), closed in zip(
        around.door, around.closed, strict=True
    ):
        is_near = (columns[0] <= column) & (column <= columns[1])
        is_near &= (rows[0] <= row) & (row <= rows[1])
        dx, dy = x - jnp.clip(x, low_x, high_x), y - jnp.clip(y, low_y, high_y)
        yield _Nearest(dx, dy, False, closed & is_near)


def _cell(place: jax.Array, cells: int) -> jax.Array:
    return jnp.clip(jnp.floor(place / CELL), 0, cells - 1).astype(jnp.int32)


def _bit(code: jax.Array, at: int) -> jax.Array:
    return (code & (1 << at)) != 0


def _edges(x: jax.Array, y: jax.Array, code: jax.Array) -> Iterator[_Nearest]:
    """Of a cell's edges along its sides and middle lines; x and y from its top left corner."""
    for at, along, across, side in ((0, x, y, 0), (3, x, y, 1), (6, y, x, 0), (9, y, x, 1)):
        first, second = _bit(code, at), _bit(code, at + 1)
        low = jnp.where(first, 0.0, CELL / 2)
        high = jnp.where(second, CELL, CELL / 2).astype(x.dtype)
        away = across - jnp.where(_bit(code, at + 2), CELL / 2, CELL * side).astype(x.dtype)
        past = along - jnp.clip(along, low, high)
        is_behind = away < 0.0 if side else away > 0.0
        dx, dy = (past, away) if at < 6 else (away, past)
        yield _Nearest(dx, dy, is_behind, first | second)


def _slope(x: jax.Array, y: jax.Array, code: jax.Array) -> _Nearest:
    """Of a cell's slope or arc; x and y from its top left corner.

    A code's tile is a mirrored picture of one with its slope from bottom left to top right.
    """
    kind = (code >> KIND_AT) & 3
    mirror_x, mirror_y = _bit(code, MIRROR_AT), _bit(code, MIRROR_AT + 1)
    x, y = jnp.where(mirror_x, CELL - x, x), jnp.where(mirror_y, CELL - y, y)

    half = [jnp.where(_bit(code, SLOPE_AT + i), CELL / 2, 0.0).astype(x.dtype) for i in range(4)]
    from_x, from_y = x - half[0], y - (CELL - half[1])
    along_x, along_y = CELL - half[2] - half[0], half[3] + half[1] - CELL
    length = along_x * along_x + along_y * along_y
    share = (from_x * along_x + from_y * along_y) / length
    height = (from_y * along_x - from_x * along_y) / length
    is_beside = (share > 0.0) & (share < 1.0)
    share = jnp.clip(share, 0.0, 1.0)
    # Beside the slope its normal is used, which is the same all along it.
    line_x = jnp.where(is_beside, -along_y * height, from_x - share * along_x)
    line_y = jnp.where(is_beside, along_x * height, from_y - share * along_y)

    distance = jnp.sqrt(x * x + y * y)
    is_inside = (x > 0.0) & (y > 0.0)
    shrink = 1.0 - CELL / jnp.where(is_inside, distance, CELL)
    ends_x, ends_y = jnp.where(x > y, CELL, 0.0), jnp.where(x > y, 0.0, CELL)
    arc_x = jnp.where(is_inside, x * shrink, x - ends_x)
    arc_y = jnp.where(is_inside, y * shrink, y - ends_y)
    is_behind_arc = is_inside & jnp.where(kind == SOLID_DISC, distance < CELL, distance > CELL)

    is_line = kind == SLOPE
    dx, dy = jnp.where(is_line, line_x, arc_x), jnp.where(is_line, line_y, arc_y)
    return _Nearest(
        jnp.where(mirror_x, -dx, dx),
        jnp.where(mirror_y, -dy, dy),
        jnp.where(is_line, height < 0.0, is_behind_arc),
        kind != NONE,
    )
