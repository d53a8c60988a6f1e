"""Grey pictures of a level, drawn on the device: one round the ninja, one of all."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from envs_jax.platformer.levels import GRID, Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.raster import tile_masks
from envs_jax.platformer.state import World

__all__ = ["LEVEL_VIEW", "PLAYER_VIEW", "level_view", "player_view"]

PLAYER_VIEW = (84, 84)
"""Pixels of 2 px, the ninja in the middle."""
LEVEL_VIEW = (100, 176)
"""Pixels of 6 px."""

_SOLID, _DOOR, _LOCK, _SAFE_MINE, _MINE = 70, 95, 120, 145, 170
_CLOSED_EXIT, _SWITCH, _OPEN_EXIT, _NINJA = 190, 205, 225, 255


def player_view(world: World, levels: Levels, level: jax.Array) -> jax.Array:
    """Seven cells round one ninja, uint8 ``[84, 84, 1]``."""
    height, width = PLAYER_VIEW
    y = world.ninja.y + 2.0 * (jnp.arange(height) - (height - 1) / 2)
    x = world.ninja.x + 2.0 * (jnp.arange(width) - (width - 1) / 2)
    return _view(x, y, world, levels, level)


def level_view(world: World, levels: Levels, level: jax.Array) -> jax.Array:
    """All of a level with its frame, uint8 ``[100, 176, 1]``."""
    height, width = LEVEL_VIEW
    pitch = GRID[1] * CELL / height
    return _view(
        pitch * (jnp.arange(width) + 0.5), pitch * (jnp.arange(height) + 0.5), world, levels, level
    )


def _view(x: jax.Array, y: jax.Array, world: World, levels: Levels, level: jax.Array) -> jax.Array:
    """Brightness at points ``x [w]``, ``y [h]``, px: uint8 ``[h, w, 1]``."""
    pitch = x[1] - x[0]
    row = jnp.clip(y // CELL, 0, GRID[1] - 1).astype(jnp.int32)[:, None]
    column = jnp.clip(x // CELL, 0, GRID[0] - 1).astype(jnp.int32)
    tile = levels.tiles[level][row, column]
    within = ((y % CELL).astype(jnp.int32)[:, None], (x % CELL).astype(jnp.int32))
    solid = jnp.asarray(tile_masks())[tile, *within]
    picture = jnp.where(solid, _SOLID, 0)

    def disc(picture: jax.Array, place: jax.Array, size: float, grey: jax.Array) -> jax.Array:
        radius = jnp.maximum(size, 0.75 * pitch)  # or a small thing could fall between the points
        inside = (x - place[0]) ** 2 + (y[:, None] - place[1]) ** 2 < radius * radius
        return jnp.where(inside & (grey > 0), grey, picture)

    doors = levels.lock_door[level].reshape(-1, 2, 2).mean(1)
    for lock in range(doors.shape[0]):
        closed = world.door_closed[lock]
        picture = disc(picture, doors[lock], 8.0, jnp.where(closed, _DOOR, 0))
        picture = disc(picture, levels.lock_switch[level, lock], 5.0, jnp.where(closed, _LOCK, 0))

    def mine(number: jax.Array, picture: jax.Array) -> jax.Array:
        state = world.mine_state[number]
        grey = jnp.where(state == 0, _MINE, jnp.where(state > 0, _SAFE_MINE, 0))
        return disc(picture, levels.mine_position[level, number], 4.0, grey)

    picture = jax.lax.fori_loop(0, world.mine_state.shape[-1], mine, picture)
    active = world.exit_active
    exit_grey = jnp.where(active, _OPEN_EXIT, _CLOSED_EXIT)
    picture = disc(picture, levels.exit[level], 12.0, exit_grey)
    picture = disc(picture, levels.switch[level], 6.0, jnp.where(active, 0, _SWITCH))
    picture = disc(picture, jnp.stack([world.ninja.x, world.ninja.y]), 10.0, jnp.asarray(_NINJA))
    return picture.astype(jnp.uint8)[..., None]
