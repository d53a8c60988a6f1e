"""A search's work on the device: every action tried from many states at once, and replays.

Between calls states wait on the host, where they are cheap to keep by the hundred thousand: as a
row of float32 and a row of int8 each.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from envs_jax.platformer.actions import ACTIONS, HORIZONTAL, JUMP
from envs_jax.platformer.levels import Levels
from envs_jax.platformer.physics import Precision, start, tick
from envs_jax.platformer.state import WON, Ninja, World

__all__ = ["FLOATS", "SKIP", "SMALLS", "expand", "replay", "roots"]

SKIP = 4
"""Frames for which an action is held, as agents do."""

SMALLS = (
    "state",
    "jump_held",
    "jump_duration",
    "jump_buffer",
    "floor_buffer",
    "wall_buffer",
    "airborne",
    "walled",
)
"""Columns of the int8 rows; `exit_active`, each `door_closed` and each `mine_state` follow."""
FLOATS = tuple(field.name for field in dataclasses.fields(Ninja) if field.name not in SMALLS)
"""Columns of the float32 rows; `frame` follows them."""
_TYPES = {
    "jump_held": jnp.bool_,
    "airborne": jnp.bool_,
    "walled": jnp.bool_,
}


def _pack(world: World) -> tuple[jax.Array, jax.Array]:
    ninja = world.ninja
    floats = [getattr(ninja, name) for name in FLOATS] + [world.frame]
    smalls = [getattr(ninja, name) for name in SMALLS] + [world.exit_active]
    tail = [world.door_closed.astype(jnp.int8), world.mine_state.astype(jnp.int8)]
    return (
        jnp.stack([each.astype(jnp.float32) for each in floats], -1),
        jnp.concatenate([jnp.stack([each.astype(jnp.int8) for each in smalls], -1), *tail], -1),
    )


def _unpack(floats: jax.Array, smalls: jax.Array, doors: int) -> World:
    ninja = {name: floats[..., column] for column, name in enumerate(FLOATS)}
    for column, name in enumerate(SMALLS):
        ninja[name] = smalls[..., column].astype(_TYPES.get(name, jnp.int32))
    first_door = len(SMALLS) + 1
    return World(
        ninja=Ninja(**ninja),
        frame=floats[..., -1].astype(jnp.int32),
        exit_active=smalls[..., first_door - 1].astype(bool),
        door_closed=smalls[..., first_door : first_door + doors].astype(bool),
        mine_state=smalls[..., first_door + doors :].astype(jnp.int32),
    )


@jax.jit
def roots(levels: Levels) -> tuple[jax.Array, jax.Array]:
    """The rows of every level's start, ``[L, F]`` and ``[L, G]``."""
    numbers = jnp.arange(levels.spawn.shape[0])
    return _pack(jax.vmap(start, in_axes=(None, 0))(levels, numbers))


@functools.partial(jax.jit, static_argnames="precision")
def expand(
    floats: jax.Array, smalls: jax.Array, level: jax.Array, levels: Levels, precision: Precision
) -> tuple[jax.Array, jax.Array]:
    """Hold each action for `SKIP` frames.

    Args:
        floats: float32 ``[N, F]``.
        smalls: int8 ``[N, G]``.
        level: int32 ``[N]``, which of the levels.
        levels: the bank.
        precision: of the physics.

    Returns:
        Rows float32 ``[ACTIONS, N, F]`` and int8 ``[ACTIONS, N, G]``.
    """
    count = floats.shape[0]
    world = _unpack(floats, smalls, levels.lock_mask.shape[1])
    worlds = jax.tree.map(lambda leaf: jnp.concatenate([leaf] * ACTIONS), world)
    horizontal = jnp.repeat(jnp.asarray(HORIZONTAL, jnp.int32), count)
    jump = jnp.repeat(jnp.asarray(JUMP), count)
    numbers = jnp.tile(level, ACTIONS)

    def frame(worlds: World, _: None) -> tuple[World, None]:
        return _tick(worlds, horizontal, jump, levels, numbers, precision), None

    worlds, _ = jax.lax.scan(frame, worlds, None, length=SKIP)
    floats, smalls = _pack(worlds)
    return floats.reshape(ACTIONS, count, -1), smalls.reshape(ACTIONS, count, -1)


@functools.partial(jax.jit, static_argnames="precision")
def replay(
    horizontal: jax.Array, jump: jax.Array, length: jax.Array, levels: Levels, precision: Precision
) -> tuple[jax.Array, jax.Array]:
    """Play one sequence of inputs in each level from its start.

    Args:
        horizontal: int8 ``[T, L]``.
        jump: bool ``[T, L]``.
        length: int32, how many of the ``T`` inputs are played.
        levels: the bank.
        precision: of the physics.

    Returns:
        Whether the level was won, bool ``[L]``, and for how many frames it was played, int32.
    """
    numbers = jnp.arange(levels.spawn.shape[0])
    worlds = jax.vmap(start, in_axes=(None, 0))(levels, numbers)

    def frame(number: jax.Array, worlds: World) -> World:
        sideways = horizontal[number].astype(jnp.int32)
        return _tick(worlds, sideways, jump[number], levels, numbers, precision)

    worlds = jax.lax.fori_loop(0, length, frame, worlds)
    return worlds.ninja.state == WON, worlds.frame


_tick = jax.vmap(tick, in_axes=(0, 0, 0, None, 0, None))
