"""One frame of a level with a ninja in it; 60 frames are a second.

After the public reference simulation of N++, in its order: mines look at where the ninja was, the
ninja moves, surfaces push it out, it touches entities, and then it acts by what it touches.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from envs_jax.platformer.collision import Body, batch_last, pushed_out, wall_in_reach
from envs_jax.platformer.coordinate import coordinate
from envs_jax.platformer.levels import GRID, Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.ninja import DRAG, GRAVITY, GRAVITY_HELD, think
from envs_jax.platformer.state import DEAD, DYING, IMMOBILE, WON, Ninja, World
from envs_jax.platformer.surfaces import RADIUS, Surroundings, surroundings

__all__ = ["Precision", "start", "tick"]

Precision = Literal["fast", "safe", "reference"]
"""How far collisions are followed: pushes in a frame, and how often they start anew."""
_PUSHES: dict[str, tuple[int, int]] = {"fast": (1, 4), "safe": (1, 32), "reference": (4, 32)}

EXIT_RADIUS, SWITCH_RADIUS, LOCK_RADIUS = 12.0, 6.0, 5.0  # px
TOGGLED, UNTOGGLED, TOGGLING = range(3)
TOGGLED_RADIUS, UNTOGGLED_RADIUS, TOGGLING_RADIUS = 4.0, 3.5, 4.5  # px
HARDEST_IMPACT, FLAT_IMPACT = 6.0, 4 / 3  # px a frame, and what less of it on level ground


def start(levels: Levels, level: jax.Array) -> World:
    """A level before its first frame.

    Args:
        levels: the bank.
        level: int32, index into it.
    """
    x, y = levels.spawn[level, 0], levels.spawn[level, 1]
    zero, off, no = jnp.zeros_like(x), jnp.full(x.shape, -1), jnp.zeros(x.shape, bool)
    ninja = Ninja(
        x=x,
        y=y,
        x_rest=zero,
        y_rest=zero,
        vx=zero,
        vy=zero,
        state=jnp.full(x.shape, IMMOBILE),
        jump_held=no,
        jump_duration=off + 1,
        jump_buffer=off,
        floor_buffer=off,
        wall_buffer=off,
        airborne=no,
        walled=no,
        wall_normal=zero,
        floor_nx=zero,
        floor_ny=zero - 1.0,
    )
    return World(ninja, off + 1, levels.mine_start[level], no, levels.lock_mask[level])


def tick(
    world: World,
    horizontal: jax.Array,
    jump: jax.Array,
    levels: Levels,
    level: jax.Array,
    precision: Precision = "safe",
) -> World:
    """One frame of one ninja; `jax.vmap` it over all but `levels` and `precision`.

    A ninja that is dead or has won stays as it is, and so does all round it.

    Args:
        world: before.
        horizontal: int32, -1 left, 0, 1 right.
        jump: bool, whether the button is down.
        levels: the bank.
        level: int32, index into it.
        precision: static. `fast` follows 4 pushes a frame, `safe` up to 32, `reference` 4 times
            up to 32.

    Raises:
        ValueError: if the precision is unknown.
    """
    if precision not in _PUSHES:
        raise ValueError(f"precision {precision!r}: one of {', '.join(get_args(Precision))}")
    ninja = world.ninja
    # Within a frame positions count from the corner of the cell that the ninja was in: small
    # numbers, of which rounding takes little.
    column, row = (jnp.floor(place / CELL).astype(jnp.int32) for place in (ninja.x, ninja.y))
    corner = jnp.stack([column, row]).astype(ninja.x.dtype) * CELL
    x, y = ninja.x - corner[0], ninja.y - corner[1]
    mines = levels.mine_position[level] - corner
    mine_state = _mines_think(world.mine_state, mines, x, y)

    gravity = jnp.where(ninja.held_gravity, GRAVITY_HELD, GRAVITY)
    vx, vy = ninja.vx - ninja.vx * (1 - DRAG), ninja.vy + (gravity - ninja.vy * (1 - DRAG))
    around = surroundings(levels, level, world.door_closed, column, row)
    at_x, at_y = coordinate(x, ninja.x_rest).plus(vx), coordinate(y, ninja.y_rest).plus(vy)
    zero, no = jnp.zeros_like(vx), jnp.zeros(vx.shape, bool)
    body = Body(at_x, at_y, vx, vy, zero, zero, zero, zero, no, no, no)
    body = batch_last(partial(_collide, precision=precision))(body, around)

    after = world.replace(
        ninja=ninja.replace(
            x=body.x.coarse,
            y=body.y.coarse,
            x_rest=body.x.rest,
            y_rest=body.y.rest,
            vx=body.vx,
            vy=body.vy,
        ),
        frame=world.frame + 1,
        mine_state=mine_state,
    )
    after = _touch(after, mines, levels, level, corner)
    around = around._replace(door_closed=after.door_closed)
    normal = batch_last(wall_in_reach)((body.x, body.y), around)
    touched = _land(after.ninja, body, vx, vy, normal)
    after = after.replace(ninja=_placed(think(touched, horizontal, jump), corner))

    is_over = ninja.state >= DEAD
    return jax.tree.map(lambda old, new: jnp.where(is_over, old, new), world, after)


def _placed(ninja: Ninja, corner: jax.Array) -> Ninja:
    """The ninja with its position counted from the frame's corner again."""
    coarse_x, coarse_y = ninja.x + corner[0], ninja.y + corner[1]
    x, y = coarse_x + ninja.x_rest, coarse_y + ninja.y_rest
    return ninja.replace(
        x=x, y=y, x_rest=ninja.x_rest - (x - coarse_x), y_rest=ninja.y_rest - (y - coarse_y)
    )


def _mines_think(state: jax.Array, mines: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """An untoggled mine is toggled by a ninja that touches it and leaves."""
    radius = jnp.where(state == TOGGLING, TOGGLING_RADIUS, UNTOGGLED_RADIUS)
    touched = _overlaps(mines, radius, x, y)
    state = jnp.where((state == TOGGLING) & ~touched, TOGGLED, state)
    return jnp.where((state == UNTOGGLED) & touched, TOGGLING, state)


def _overlaps(place: jax.Array, radius: jax.Array | float, x: jax.Array, y: jax.Array) -> jax.Array:
    """Whether circles round places ``[..., 2]`` overlap the ninja."""
    dx, dy, reach = place[..., 0] - x, place[..., 1] - y, radius + RADIUS
    return dx * dx + dy * dy < reach * reach


def _collide(body: Body, around: Surroundings, precision: Precision) -> Body:
    rounds, pushes = _PUSHES[precision]

    def more(carry: tuple[jax.Array, Body]) -> jax.Array:
        count, body = carry
        return (count < pushes) & body.moved.any()

    def push(carry: tuple[jax.Array, Body]) -> tuple[jax.Array, Body]:
        count, body = carry
        return count + 1, pushed_out(body, around)

    for _ in range(rounds):
        carry = (jnp.int32(0), body._replace(moved=jnp.ones_like(body.moved)))
        body = jax.lax.while_loop(more, push, carry)[1]
    return body


def _touch(
    world: World, mines: jax.Array, levels: Levels, level: jax.Array, corner: jax.Array
) -> World:
    """Entities: deadly mines, the exit and its switch, switches of locked doors.

    The ninja and the mines count from the corner.
    """
    ninja = world.ninja
    x, y = ninja.x + ninja.x_rest, ninja.y + ninja.y_rest
    exit_place = levels.exit[level] - corner
    touched = (world.mine_state == TOGGLED) & _overlaps(mines, TOGGLED_RADIUS, x, y)
    # Of a mine and the exit, touched in one frame, that counts whose cell is further left, then
    # further up; in one cell the mine.
    first = touched & (_cell_number(mines) <= _cell_number(exit_place))
    wins = world.exit_active & _overlaps(exit_place, EXIT_RADIUS, x, y) & ~first.any()
    kills = touched & ~wins
    state = jnp.where(wins, WON, jnp.where(kills.any(), DYING, ninja.state))
    opens = _overlaps(levels.lock_switch[level] - corner, LOCK_RADIUS, x, y)
    return world.replace(
        ninja=ninja.replace(state=state),
        mine_state=jnp.where(kills, UNTOGGLED, world.mine_state),
        exit_active=world.exit_active
        | _overlaps(levels.switch[level] - corner, SWITCH_RADIUS, x, y),
        door_closed=world.door_closed & ~opens,
    )


def _cell_number(place: jax.Array) -> jax.Array:
    cell = jnp.floor(place / CELL)
    return cell[..., 0] * GRID[1] + cell[..., 1]


def _land(ninja: Ninja, body: Body, vx: jax.Array, vy: jax.Array, normal: jax.Array) -> Ninja:
    """Contacts of the frame, and death by too hard an impact.

    Args:
        ninja: after the entities.
        body: after the pushes.
        vx: before them.
        vy: before them.
        normal: of a wall in reach, or 0.0.
    """
    floor_nx, floor_ny = _unit(body.floor_x, body.floor_y, -1.0)
    ceiling_nx, ceiling_ny = _unit(body.ceiling_x, body.ceiling_y, 1.0)
    crash = body.on_floor & ninja.airborne & _is_crash(floor_nx, floor_ny, vx, vy)
    crash |= body.on_ceiling & _is_crash(ceiling_nx, ceiling_ny, vx, vy)
    crash &= ninja.state != WON
    return ninja.replace(
        vx=jnp.where(crash, vx, ninja.vx),
        vy=jnp.where(crash, vy, ninja.vy),
        state=jnp.where(crash, DYING, ninja.state),
        airborne=~body.on_floor,
        walled=normal != 0.0,
        wall_normal=jnp.where(normal != 0.0, normal, ninja.wall_normal),
        floor_nx=jnp.where(body.on_floor, floor_nx, ninja.floor_nx),
        floor_ny=jnp.where(body.on_floor, floor_ny, ninja.floor_ny),
    )


def _unit(x: jax.Array, y: jax.Array, default_y: float) -> tuple[jax.Array, jax.Array]:
    length = jnp.sqrt(x * x + y * y)
    safe = jnp.where(length == 0.0, 1.0, length)
    return x / safe, jnp.where(length == 0.0, default_y, y / safe)


def _is_crash(nx: jax.Array, ny: jax.Array, vx: jax.Array, vy: jax.Array) -> jax.Array:
    return -(nx * vx + ny * vy) > HARDEST_IMPACT - FLAT_IMPACT * jnp.abs(ny)
