"""Replaying inputs in a map."""

from __future__ import annotations

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.platformer.levels import Levels, compile_levels
from envs_jax.platformer.maps import ENTITY_NAMES, read_map
from envs_jax.platformer.physics import Precision, start, tick
from envs_jax.platformer.state import World

__all__ = ["MOVING_HAZARDS", "simulate"]

MOVING_HAZARDS = frozenset({12, 13, 14, 15, 16, 18, 19, 22, 23, 25, 26, 27})
"""Drones, guards, turrets, balls and such: left out by `simulate`, with a warning."""
_ROUND = 64  # frames are filled up to a multiple of it, so that few programs are compiled


def simulate(
    map_bytes: bytes | np.ndarray,
    horizontal: np.ndarray,
    jump: np.ndarray,
    precision: Precision = "safe",
) -> dict[str, np.ndarray]:
    """What becomes of a ninja that is given these inputs.

    A ninja that is dead or has won stays as it is.

    Args:
        map_bytes: see `envs_jax.platformer.maps.read_map`.
        horizontal: ``[T]``, -1 left, 0, 1 right.
        jump: ``[T]``, whether the button is down, true or 1.
        precision: `fast`, `safe` or `reference`.

    Returns:
        After each frame `position` and `velocity` float32 ``[T, 2]`` (px, px a frame),
        `ninja_state` int32 ``[T]``, `exit_switch_active` bool ``[T]`` (until the switch is
        touched), `mine_state` int32
        ``[T, M]`` (mines in map order, then toggle mines) and `door_closed` bool ``[T, D]``.

    Raises:
        ValueError: if the map is damaged or holds what is not simulated, or inputs do not fit.
    """
    horizontal, jump = _inputs(horizontal, jump)
    level = read_map(map_bytes)
    hazards = {entity.type for entity in level.entities} & MOVING_HAZARDS
    if hazards:
        names = ", ".join(ENTITY_NAMES[kind] for kind in sorted(hazards))
        warnings.warn(f"left out of the simulation: {names}", stacklevel=2)
    levels = compile_levels([level], leave_out=MOVING_HAZARDS)
    frames = len(horizontal)
    padding = (0, -frames % _ROUND)
    worlds = _replay(levels, np.pad(horizontal, padding), np.pad(jump, padding), precision)
    worlds = jax.tree.map(lambda leaf: np.asarray(leaf)[:frames], worlds)
    ninja = worlds.ninja
    return {
        "position": np.stack([ninja.x, ninja.y], 1),
        "velocity": np.stack([ninja.vx, ninja.vy], 1),
        "ninja_state": ninja.state,
        "exit_switch_active": ~worlds.exit_active,
        "mine_state": worlds.mine_state,
        "door_closed": worlds.door_closed,
    }


def _inputs(horizontal: np.ndarray, jump: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    horizontal, jump = np.asarray(horizontal), np.asarray(jump)
    if horizontal.ndim != 1 or horizontal.shape != jump.shape:
        raise ValueError(
            f"horizontal of shape {horizontal.shape}, jump of shape {jump.shape}:"
            " one number a frame is expected of each"
        )
    if not np.isin(horizontal, (-1, 0, 1)).all():
        wrong = horizontal[~np.isin(horizontal, (-1, 0, 1))][0]
        raise ValueError(f"horizontal holds {wrong}: -1, 0 or 1 is expected")
    if not np.isin(jump, (0, 1)).all():
        wrong = jump[~np.isin(jump, (0, 1))][0]
        raise ValueError(f"jump holds {wrong}: true or false is expected")
    return horizontal.astype(np.int32), jump.astype(bool)


@partial(jax.jit, static_argnames="precision")
def _replay(levels: Levels, horizontal: jax.Array, jump: jax.Array, precision: Precision) -> World:
    """Worlds after each frame in the bank's first level, leaves ``[T, ...]``."""
    level = jnp.int32(0)

    def advance(world: World, given: tuple[jax.Array, jax.Array]) -> tuple[World, World]:
        world = tick(world, *given, levels, level, precision)
        return world, world

    return jax.lax.scan(advance, start(levels, level), (horizontal, jump))[1]
