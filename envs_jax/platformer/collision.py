"""The ninja, a circle, against the surfaces round it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.platformer.coordinate import Coordinate
from envs_jax.platformer.surfaces import RADIUS, Surface, Surroundings, surfaces

__all__ = ["Body", "batch_last", "pushed_out", "wall_in_reach"]

_WALL_REACH = 0.1  # px from the ninja's rim
_LEVEL = 1e-5  # px, how little a wall's nearest point may be above or below the ninja's centre
_FRONT = 0.1  # px^2, what a surface that faces the ninja has ahead of one that it is behind
_CEILING = -1e-4  # px: a push upwards by less than this is not off a floor
_TINY = 1e-7  # px
_NOWHERE = 1e9  # px^2


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
        if around_batched.cells:  # a bank for each ninja: right, but slow
            axes = jax.tree.map(lambda has_batch: 0 if has_batch else None, tuple(is_batched))
            result = jax.vmap(function, axes)(ninjas, around)
            return result, jax.tree.map(lambda _: True, result)
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
    point = _nearest(surfaces(body.x, body.y, RADIUS, around))
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
    for point in surfaces(x, y, reach, around):
        is_wall = (jnp.abs(point.dy) < _LEVEL) & (jnp.abs(point.dx) <= reach) & point.exists
        is_right, is_left = is_wall & (point.dx > 0.0), is_wall & (point.dx < 0.0)
        # With walls at both sides that counts which comes first, and it is further left.
        found = jnp.where(is_right.any(0), 1.0, jnp.where(is_left.any(0), -1.0, 0.0))
        normal = jnp.where(normal == 0.0, found, normal)
    return normal


def _nearest(kinds: list[Surface]) -> Surface:
    """Of all surfaces, those that face the ninja first by a little."""
    best, *others = map(_nearest_of_kind, kinds)
    for points, rank in others:
        is_nearer = rank < best[1]
        best = jax.tree.map(partial(jnp.where, is_nearer), (points, rank), best)
    return best[0]


def _nearest_of_kind(points: Surface) -> tuple[Surface, jax.Array]:
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
