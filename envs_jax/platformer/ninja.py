"""What the ninja does of itself: runs, slides, jumps, by the state that it is in."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from envs_jax.platformer.state import (
    DEAD,
    DYING,
    FALLING,
    IMMOBILE,
    JUMPING,
    RUNNING,
    SLIDING,
    WALL_SLIDING,
    Ninja,
)

__all__ = ["DRAG", "GRAVITY", "GRAVITY_HELD", "think"]

# px, px a frame, px a frame squared
GRAVITY, GRAVITY_HELD = 1 / 15, 1 / 90
GROUND_ACCELERATION, AIR_ACCELERATION = 1 / 15, 2 / 45
TOP_SPEED = 10 / 3
STOP_SPEED = 0.1
# shares of speed that are kept in a frame
DRAG = 0.99 ** (2 / 3)
GROUND_FRICTION, STOPPING_FRICTION, WALL_FRICTION = 0.92 ** (2 / 3), 0.8 ** (2 / 3), 0.87 ** (2 / 3)
# frames
LONGEST_HOLD = 45
BUFFER = 5


def think(ninja: Ninja, horizontal: jax.Array, jump: jax.Array) -> Ninja:
    """The second half of a frame, once it is known what the ninja touches.

    Args:
        ninja: with position, speed and contacts of this frame; all else of the last one.
        horizontal: int32, -1 left, 0, 1 right.
        jump: bool, whether the button is down.
    """
    pressed = jump & ~ninja.jump_held
    jump_buffer, wall_buffer, floor_buffer = map(
        _older, (ninja.jump_buffer, ninja.wall_buffer, ninja.floor_buffer)
    )
    wants_jump = pressed | (jump_buffer >= 0)
    by_wall = ninja.walled | (wall_buffer >= 0)
    off_floor = floor_buffer >= 0
    ninja = ninja.replace(
        jump_held=jump,
        jump_buffer=jnp.where(pressed & ninja.airborne, 0, jump_buffer),
        wall_buffer=jnp.where(ninja.walled, 0, wall_buffer),
        floor_buffer=jnp.where(ninja.airborne, floor_buffer, 0),
        state=jnp.where(ninja.state == DYING, DEAD, ninja.state),
    )
    is_active = ninja.state < DEAD
    push = horizontal.astype(ninja.vx.dtype)
    airborne = ninja.airborne

    acceleration = jnp.where(airborne, AIR_ACCELERATION, GROUND_ACCELERATION)
    faster = ninja.vx + acceleration * push
    may_push = jnp.abs(faster) < TOP_SPEED
    moving = ninja.replace(vx=jnp.where(may_push & is_active, faster, ninja.vx))

    # In the air a step over an edge, or the end of a held jump, is all that a frame has room for.
    stepped_off = airborne & (moving.state < JUMPING)
    is_jump = airborne & (moving.state == JUMPING)
    duration = moving.jump_duration + is_jump
    let_go = is_jump & (~jump | (duration > LONGEST_HOLD))
    landed = ~airborne & (moving.state > SLIDING)
    landed_state = jnp.where(moving.vx * push <= 0.0, SLIDING, RUNNING)
    state = jnp.where(landed, landed_state, moving.state)
    state = jnp.where(stepped_off | let_go, FALLING, state)
    moving = moving.replace(state=state, jump_duration=duration)

    jumps = wants_jump & ~stepped_off & ~let_go
    wall_jumps = jumps & airborne & by_wall
    floor_jumps = jumps & ~(airborne & (by_wall | ~off_floor))
    after = _where(airborne, _fly(moving, push, stepped_off | let_go), _run(moving, push, may_push))
    after = _where(floor_jumps, _floor_jump(moving, push), after)
    after = _where(wall_jumps, _wall_jump(moving, push), after)
    return _where(is_active, after, ninja)


def _where(condition: jax.Array, yes: Ninja, no: Ninja) -> Ninja:
    def choose(a: jax.Array, b: jax.Array) -> jax.Array:
        return a if a is b else jnp.where(condition, a, b)

    return jax.tree.map(choose, yes, no)


def _older(buffer: jax.Array) -> jax.Array:
    return jnp.where((buffer >= 0) & (buffer < BUFFER - 1), buffer + 1, -1)


def _run(ninja: Ninja, push: jax.Array, may_push: jax.Array) -> Ninja:
    """On a floor, without a jump."""
    vx, vy, nx, ny, state = ninja.vx, ninja.vy, ninja.floor_nx, ninja.floor_ny, ninja.state
    speed = jnp.abs(vy * nx - vx * ny)  # along the floor
    goes_on = push * speed * vx > 0.0
    is_slow = speed < STOP_SPEED
    slides, runs, stands = state == SLIDING, state == RUNNING, state == IMMOBILE

    coasts = slides & ~goes_on
    stops = coasts & is_slow & (nx == 0.0)
    climbs = coasts & ~stops & (vy < 0.0) & (nx != 0.0)
    rubs = coasts & ~stops & ~climbs
    total = jnp.sqrt(vx * vx + vy * vy)
    lost = jnp.abs(vx * (1.0 - GROUND_FRICTION) * ny) * ny * ny
    climb = jnp.where(climbs, lost / jnp.where(climbs, total, 1.0), 0.0)

    uphill = runs & goes_on & (push * nx < 0.0) & may_push
    boost = jnp.where(uphill, GROUND_ACCELERATION / 2 * push * ny, 0.0)
    settles = stands & (push == 0.0) & is_slow
    # What is lost is subtracted: shares near one would be rounded too much.
    rub = jnp.where(rubs, 1 - GROUND_FRICTION, jnp.where(settles, 1 - STOPPING_FRICTION, climb))

    starts = (slides & goes_on) | (stands & (push != 0.0))
    slips = (runs & ~goes_on) | (stands & (push == 0.0) & ~is_slow)
    state = jnp.where(starts, RUNNING, jnp.where(slips, SLIDING, state))
    return ninja.replace(
        vx=vx - vx * rub + boost * ny,
        vy=vy - vy * climb - boost * nx,
        state=jnp.where(stops, IMMOBILE, state),
    )


def _fly(ninja: Ninja, push: jax.Array, is_over: jax.Array) -> Ninja:
    """In the air, without a jump."""
    state, walled = ninja.state, ninja.walled
    into_wall = push * ninja.wall_normal
    was_sliding = state == WALL_SLIDING
    slides_on = ~is_over & walled & was_sliding & (into_wall <= 0.0)
    drops = ~is_over & was_sliding & ~slides_on
    grabs = ~is_over & walled & ~was_sliding & (ninja.vy > 0.0) & (into_wall < 0.0)
    return ninja.replace(
        vy=ninja.vy - jnp.where(slides_on, ninja.vy * (1 - WALL_FRICTION), 0.0),
        state=jnp.where(drops, FALLING, jnp.where(grabs, WALL_SLIDING, state)),
    )


def _floor_jump(ninja: Ninja, push: jax.Array) -> Ninja:
    """Straight up from flat ground; from a slope by which way the ninja moves and is pushed."""
    vx, nx, ny = ninja.vx, ninja.floor_nx, ninja.floor_ny
    is_flat = nx == 0.0
    downhill = vx * nx >= 0.0
    upright = jnp.where(downhill, vx * push < 0.0, vx * push > 0.0)
    jump_x = jnp.where(is_flat | upright, 0.0, 2.0 / 3.0 * nx)
    jump_y = jnp.where(is_flat, -2.0, jnp.where(upright, -1.4, 2.0 * ny))
    vx = jnp.where(is_flat | downhill | upright, vx, 0.0)
    ninja = _leap(ninja.replace(vx=vx), jump_x, jump_y)
    return ninja.replace(floor_buffer=jnp.full_like(ninja.floor_buffer, -1))


def _wall_jump(ninja: Ninja, push: jax.Array) -> Ninja:
    """Away from the wall; weaker while sliding down it and holding on to it."""
    normal = ninja.wall_normal
    holds_on = (push * normal < 0.0) & (ninja.state == WALL_SLIDING)
    jump_x = jnp.where(holds_on, 2.0 / 3.0, 1.0) * normal
    jump_y = jnp.where(holds_on, -1.0, -1.4)
    vx = jnp.where(ninja.vx * normal < 0.0, 0.0, ninja.vx)
    ninja = _leap(ninja.replace(vx=vx), jump_x, jump_y)
    return ninja.replace(wall_buffer=jnp.full_like(ninja.wall_buffer, -1))


def _leap(ninja: Ninja, jump_x: jax.Array, jump_y: jax.Array) -> Ninja:
    """Adds to speed and position alike."""
    return ninja.replace(
        x_rest=ninja.x_rest + jump_x,
        y_rest=ninja.y_rest + jump_y,
        vx=ninja.vx + jump_x,
        vy=jnp.minimum(ninja.vy, 0.0) + jump_y,
        state=jnp.full_like(ninja.state, JUMPING),
        jump_duration=jnp.zeros_like(ninja.jump_duration),
        jump_buffer=jnp.full_like(ninja.jump_buffer, -1),
    )
