"""The ground as a height map: what feet stand on and what scans and cameras see.

Heights are known at the nodes of a square grid and bilinear between them, so a wall is a ramp that
is one cell wide. Beyond the last nodes the ground goes on as it is at the edge.
"""

import jax
import jax.numpy as jnp
from flax import struct

__all__ = ["HeightMap", "height_at", "surface_at"]


class HeightMap(struct.PyTreeNode):
    """Heights over a rectangle of the world's x-y plane.

    Attributes:
        heights: float32 ``[X, Y]``, m; node ``[i, j]`` is at ``origin + cell * (i, j)``.
        cell: float32 scalar, m between neighbouring nodes.
        origin: float32 ``[2]``, x and y of node ``[0, 0]``, m.
    """

    heights: jax.Array
    cell: jax.Array
    origin: jax.Array


def height_at(ground: HeightMap, x: jax.Array, y: jax.Array) -> jax.Array:
    """Height of the nearest node, m: one lookup, for scans and cameras.

    Args:
        ground: the map.
        x, y: float32, m, of any one shape.
    """
    i = jnp.round((x - ground.origin[0]) / ground.cell).astype(jnp.int32)
    j = jnp.round((y - ground.origin[1]) / ground.cell).astype(jnp.int32)
    return _node(ground.heights, i, j)


def surface_at(
    ground: HeightMap, x: jax.Array, y: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    """Bilinear height, m, and the unit normal of the ground: four lookups, for contacts.

    Args:
        ground: the map.
        x, y: float32, m, of any one shape.
    """
    u, v = (x - ground.origin[0]) / ground.cell, (y - ground.origin[1]) / ground.cell
    columns, rows = ground.heights.shape
    # The last cell is taken for all that is beyond it, from where its edge goes on level.
    i = jnp.clip(jnp.floor(u), 0, columns - 2)
    j = jnp.clip(jnp.floor(v), 0, rows - 2)
    a, b = jnp.clip(u - i, 0.0, 1.0), jnp.clip(v - j, 0.0, 1.0)
    i, j = i.astype(jnp.int32), j.astype(jnp.int32)
    h00, h01 = _node(ground.heights, i, j), _node(ground.heights, i, j + 1)
    h10, h11 = _node(ground.heights, i + 1, j), _node(ground.heights, i + 1, j + 1)
    along_x = (h10 - h00) * (1 - b) + (h11 - h01) * b
    along_y = (h01 - h00) * (1 - a) + (h11 - h10) * a
    height = h00 + along_x * a + (h01 - h00) * b
    # Beyond the edge the slope across it is none.
    slope_x = jnp.where((u < 0) | (u > columns - 1), 0.0, along_x / ground.cell)
    slope_y = jnp.where((v < 0) | (v > rows - 1), 0.0, along_y / ground.cell)
    up = jax.lax.rsqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    return height, (-slope_x * up, -slope_y * up, up)


def _node(heights: jax.Array, i: jax.Array, j: jax.Array) -> jax.Array:
    columns, rows = heights.shape
    flat = jnp.clip(i, 0, columns - 1) * rows + jnp.clip(j, 0, rows - 1)
    found: jax.Array = jnp.take(heights.reshape(-1), flat, axis=0, mode="clip")
    return found
