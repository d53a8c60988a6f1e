"""The cells round the ninja, each with what is in it: an image of few pixels."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.platformer.levels import Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.raster import tile_masks
from envs_jax.platformer.state import World

__all__ = ["CHANNELS", "WINDOW", "cell_features", "window"]

WINDOW = 11
"""Cells along a side, the ninja's in the middle."""
CHANNELS = (
    "solid_top_left", "solid_top_right", "solid_bottom_left", "solid_bottom_right",
    "deadly_mine", "other_mine", "exit_switch", "exit", "lock_switch", "closed_door",
)  # fmt: skip
"""What the channels of a cell say, from 0 to 255: how much of a quarter is solid, what is there."""

_QUARTERS = 4
_FULL, _HALF = 255, 128


class _Things(NamedTuple):
    """Entities of one level: places px ``[n, 2]``, channels int32 ``[n]``, values int32 ``[n]``."""

    place: jax.Array
    channel: jax.Array
    value: jax.Array


def window(world: World, levels: Levels, level: jax.Array) -> jax.Array:
    """What is in the cells round one ninja, uint8 ``[WINDOW, WINDOW, len(CHANNELS)]``.

    Beyond the frame all is solid. How far the ninja is from the middle of its cell is not told.
    """
    here = jnp.stack([world.ninja.y, world.ninja.x]) // CELL
    corner = here.astype(jnp.int32) - WINDOW // 2
    return cell_features(world, levels, level, corner, (WINDOW, WINDOW))


def cell_features(
    world: World,
    levels: Levels,
    level: jax.Array,
    corner: jax.Array,
    shape: tuple[int, int],
) -> jax.Array:
    """What is in a rectangle of cells, uint8 ``[*shape, len(CHANNELS)]``.

    Args:
        world: of one ninja.
        levels: the bank.
        level: int32, index into it.
        corner: int32 ``[2]``, row and column of the cell at the top left, the frame counted.
        shape: rows and columns.
    """
    rows, columns = (corner[axis] + jnp.arange(shape[axis]) for axis in (0, 1))
    tiles = levels.tiles[level]
    rows = jnp.clip(rows, 0, tiles.shape[0] - 1)
    columns = jnp.clip(columns, 0, tiles.shape[1] - 1)
    solid = jnp.asarray(_quarters())[tiles[rows[:, None], columns]]
    empty = jnp.zeros((*shape, len(CHANNELS) - _QUARTERS), jnp.uint8)
    things = _things(world, levels, level)
    cell = jnp.floor(things.place / CELL).astype(jnp.int32)
    row, column = cell[:, 1] - corner[0], cell[:, 0] - corner[1]
    inside = (row >= 0) & (column >= 0)
    row = jnp.where(inside, row, shape[0])  # a negative index would count from the end
    value = things.value.astype(jnp.uint8)
    found = empty.at[row, column, things.channel].max(value, mode="drop")
    return jnp.concatenate([solid, found], -1)


def _quarters() -> np.ndarray:
    """How much of each quarter of a tile is solid, uint8 ``[34, 4]``."""
    masks = tile_masks()
    half = masks.shape[1] // 2
    quarters = masks.reshape(-1, 2, half, 2, half).mean((2, 4)) * _FULL
    rounded: np.ndarray = np.rint(quarters).astype(np.uint8).reshape(-1, _QUARTERS)
    return rounded


def _things(world: World, levels: Levels, level: jax.Array) -> _Things:
    mines, locks = world.mine_state, world.door_closed
    doors = levels.lock_door[level].reshape(-1, 2, 2).mean(1)
    exits = jnp.stack([levels.switch[level], levels.exit[level]])
    parts = [
        _Things(levels.mine_position[level], jnp.where(mines == 0, 0, 1), (mines >= 0) * _FULL),
        _Things(
            exits,
            jnp.array([2, 3]),
            jnp.stack(
                [
                    jnp.where(world.exit_active, 0, _FULL),
                    jnp.where(world.exit_active, _FULL, _HALF),
                ]
            ),
        ),
        _Things(levels.lock_switch[level], jnp.full(locks.shape, 4), locks * _FULL),
        _Things(doors, jnp.full(locks.shape, 5), locks * _FULL),
    ]
    return _Things(*(jnp.concatenate(column) for column in zip(*parts, strict=True)))
