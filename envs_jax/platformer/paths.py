"""Path distances, way points and free sight of a bank of levels, as the device holds them."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.platformer.distance import DIRECTIONS, PITCH, SHAPE, Plan, make_plan
from envs_jax.platformer.levels import Levels
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.raster import solid_raster
from envs_jax.platformer.state import World

__all__ = ["SIGHT", "Guidance", "Paths", "clearances", "compile_paths", "guidance"]

SIGHT = 192.0
"""px, how far a ray goes."""
_QUARTER = 4.0  # distances are stored in quarters of a px
_HOPS = (2, 8)  # lattice steps to the two way points
_SWITCH, _EXIT = -1, -2  # goals other than a locked door's number
_RAY_STEP, _FINE = 4, 2  # px, along a ray and of the raster that it crosses


@struct.dataclass
class Paths:
    """What a bank's levels have in the way of ways; leaves ``[L, ...]``.

    Attributes:
        goal: int32 ``[L, P]``, objectives in their order: the number of a locked door whose switch
            it is, -1 the exit's switch, -2 the exit, which is also what fills up.
        position: float32 ``[L, P, 2]``, of objectives, px.
        field: uint16 ``[L, P, 51, 89, 3]``, over a lattice of 12 px: path distance to the
            objective in quarters of a px, and the (flat) lattice points 2 and 8 steps on.
        beyond: float32 ``[L, P]``, px from an objective through all later ones.
        total: float32 ``[L]``, px from the spawn through all objectives.
        rays: uint8 ``[L, 51, 89, 8]``, px from a lattice point to what is solid, see `DIRECTIONS`.
    """

    goal: jax.Array
    position: jax.Array
    field: jax.Array
    beyond: jax.Array
    total: jax.Array
    rays: jax.Array


class Guidance(NamedTuple):
    """What the paths tell one ninja; float32 unless stated, px.

    Attributes:
        number: int32 scalar, of the next objective in the level's order.
        goal: int32 scalar, which it is, see `Paths`.
        to_goal: ``[2]``, as the crow flies.
        distance: along the path to it.
        remaining: along the path through all objectives that are left.
        near: ``[2]``, to the way point two lattice steps on.
        far: ``[2]``, the same for eight.
    """

    number: jax.Array
    goal: jax.Array
    to_goal: jax.Array
    distance: jax.Array
    remaining: jax.Array
    near: jax.Array
    far: jax.Array


def compile_paths(levels: Levels) -> Paths:
    """Plan every level of a bank; NumPy arrays, on the host, some 16 ms a level.

    Raises:
        ValueError: for a level whose exit cannot be reached, gravity aside.
    """
    plans = [_plan(levels, number) for number in range(len(levels.spawn))]
    lost = [number for number, plan in enumerate(plans) if not plan.is_connected]
    if lost:
        raise ValueError(f"level {lost[0]}: no way from the start through switch and exit")
    most = max(len(plan.goal) for plan in plans)
    rows = [_row(plan, most) for plan in plans]
    stacked: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    stacked["rays"] = np.stack([_rays(tiles) for tiles in np.asarray(levels.tiles)])
    return Paths(**stacked)


def _plan(levels: Levels, level: int) -> Plan:
    mask = np.asarray(levels.lock_mask[level])
    deadly = np.asarray(levels.mine_start[level]) == 0
    return make_plan(
        np.asarray(levels.tiles[level]),
        np.asarray(levels.spawn[level]),
        np.asarray(levels.switch[level]),
        np.asarray(levels.exit[level]),
        np.asarray(levels.mine_position[level])[deadly],
        np.asarray(levels.lock_switch[level])[mask],
        np.asarray(levels.lock_door[level])[mask].reshape(-1, 2, 2),
    )


def _row(plan: Plan, most: int) -> dict[str, np.ndarray]:
    """A plan's arrays, filled up to `most` objectives."""
    here = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    offset = np.array([dy * SHAPE[1] + dx for dy, dx in DIRECTIONS])
    field = np.empty((len(plan.goal), *SHAPE, 3), np.uint16)
    for number, (distance, direction) in enumerate(zip(plan.distance, plan.direction, strict=True)):
        ahead = np.clip(here + offset[direction], 0, here.size - 1).ravel()
        hops = {1: ahead}
        for count in (2, 4, 8):
            hops[count] = hops[count // 2][hops[count // 2]]
        field[number, ..., 0] = np.minimum(distance * _QUARTER, np.iinfo(np.uint16).max)
        for slot, count in enumerate(_HOPS, 1):
            field[number, ..., slot] = hops[count].reshape(SHAPE)
    fill = most - len(plan.goal)
    beyond = np.cumsum(plan.leg[::-1])[::-1]

    def filled(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, np.repeat(array[-1:], fill, axis=0)])

    return {
        "goal": filled(plan.goal.astype(np.int32)),
        "position": filled(plan.position),
        "field": filled(field),
        "beyond": filled(beyond.astype(np.float32)),
        "total": np.array(plan.total, np.float32),
    }


def _rays(tiles: np.ndarray) -> np.ndarray:
    """Free sight from every lattice point, uint8 ``[51, 89, 8]``, px."""
    free = ~solid_raster(tiles, CELL // _FINE).ravel()[_ray_pixels()]
    steps, reaches = np.zeros(free.shape[1:], np.uint8), np.ones(free.shape[1:], bool)
    for layer in free:  # quicker than to accumulate and sum the whole
        reaches &= layer
        steps += reaches
    return steps * np.uint8(_RAY_STEP)


@functools.cache
def _ray_pixels() -> np.ndarray:
    """Flat raster pixels along the rays from every lattice point, int32 ``[48, 51, 89, 8]``."""
    far = np.arange(_RAY_STEP, SIGHT + 1, _RAY_STEP)[:, None]
    width = (SHAPE[1] - 1) * PITCH // _FINE  # of the raster
    places = []
    for points, steps in zip(SHAPE, _unit_steps().T, strict=True):
        place = np.arange(points)[:, None, None] * PITCH + far * steps  # [points, 48, 8]
        places.append((place.clip(0, (points - 1) * PITCH - 1) // _FINE).astype(np.int32))
    down, across = (place.transpose(1, 0, 2) for place in places)
    pixels: np.ndarray = down[:, :, None] * width + across[:, None]
    return pixels


def _unit_steps() -> np.ndarray:
    """`DIRECTIONS` with length 1, float32 ``[8, 2]``."""
    steps = np.array(DIRECTIONS[:-1], np.float32)
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


def guidance(world: World, paths: Paths, level: jax.Array) -> Guidance:
    """Where one ninja should go next.

    Args:
        world: of one ninja.
        paths: of the bank.
        level: int32, index into it.
    """
    x, y = world.ninja.x, world.ninja.y
    goals = paths.goal[level]
    is_done = (goals == _SWITCH) & world.exit_active
    if world.door_closed.shape[-1]:
        is_done |= (goals >= 0) & ~world.door_closed[jnp.maximum(goals, 0)]
    now = jnp.argmin(is_done)  # the exit is never done
    row, column = _cell(y, SHAPE[0]), _cell(x, SHAPE[1])
    corners = jax.lax.dynamic_slice(
        paths.field, (level, now, row, column, 0), (1, 1, 2, 2, 3)
    ).reshape(2, 2, 3)
    below, right = y / PITCH - row, x / PITCH - column
    rows = jnp.stack([1.0 - below, below])
    columns = jnp.stack([1.0 - right, right])
    distance = rows @ corners[..., 0].astype(jnp.float32) @ columns / _QUARTER
    nearest = corners[jnp.round(below).astype(jnp.int32), jnp.round(right).astype(jnp.int32)]
    here = jnp.stack([x, y])
    points = nearest[1:].astype(jnp.int32)
    place = jnp.stack([points % SHAPE[1], points // SHAPE[1]], -1) * float(PITCH) - here
    return Guidance(
        number=now.astype(jnp.int32),
        goal=goals[now],
        to_goal=paths.position[level, now] - here,
        distance=distance,
        remaining=distance + paths.beyond[level, now],
        near=place[0],
        far=place[1],
    )


def clearances(x: jax.Array, y: jax.Array, paths: Paths, level: jax.Array) -> jax.Array:
    """How far one ninja sees in eight directions, float32 ``[8]``, px; see `DIRECTIONS`.

    Taken from the nearest lattice point, corrected by how far along the ray the ninja is from it.
    """
    row = jnp.clip(jnp.round(y / PITCH).astype(jnp.int32), 0, SHAPE[0] - 1)
    column = jnp.clip(jnp.round(x / PITCH).astype(jnp.int32), 0, SHAPE[1] - 1)
    steps = _unit_steps()
    ahead = (y - row * PITCH) * steps[:, 0] + (x - column * PITCH) * steps[:, 1]
    sight = paths.rays[level, row, column].astype(jnp.float32)
    return jnp.where(sight >= SIGHT, SIGHT, jnp.maximum(sight - ahead, 0.0))


def _cell(place: jax.Array, points: int) -> jax.Array:
    """Number of the lattice point before `place`, such that there is one after it."""
    return jnp.clip((place / PITCH).astype(jnp.int32), 0, points - 2)
