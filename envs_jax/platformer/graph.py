"""The level as a graph of its cells, with a fixed number of neighbours each."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.platformer.distance import DIRECTIONS, PITCH
from envs_jax.platformer.levels import Levels
from envs_jax.platformer.maps import CELL, COLUMNS, ROWS
from envs_jax.platformer.paths import Guidance, Paths
from envs_jax.platformer.state import World
from envs_jax.platformer.window import CHANNELS, cell_features

__all__ = ["EDGE_FEATURES", "NEIGHBOURS", "NODES", "NODE_FEATURES", "graph", "neighbours"]

NODES = ROWS * COLUMNS
"""Cells of the playfield, row by row."""
NEIGHBOURS = len(DIRECTIONS)
"""Slots of a node: its neighbours in the order of `DIRECTIONS`, the last being itself."""
NODE_FEATURES = (*CHANNELS, "here", "x", "y", "distance")
"""Those of a cell from 0 to 1, whether the ninja is in it, where it is from the ninja, and how far
the objective is from it along the path."""
EDGE_FEATURES = ("open", "progress")
"""Whether one sees from middle to middle, and how much nearer the objective is over there."""

_FAR, _HALF_WAY = 480.0, 240.0  # px
_PER_CELL = CELL // PITCH


def graph(
    world: World, guide: Guidance, levels: Levels, paths: Paths, level: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Nodes float32 ``[966, 14]`` and edges float32 ``[966, 9, 2]`` of one ninja's level."""
    ninja = world.ninja
    seen = cell_features(world, levels, level, jnp.array([1, 1]), (ROWS, COLUMNS))
    middle_y, middle_x = ((np.arange(size) + 1.5) * CELL for size in (ROWS, COLUMNS))
    dy, dx = jnp.meshgrid(middle_y - ninja.y, middle_x - ninja.x, indexing="ij")
    is_here = jnp.maximum(jnp.abs(dy), jnp.abs(dx)) <= CELL / 2
    # Middles of cells are every second lattice point, from the first cell within the frame on.
    within = slice(_PER_CELL + 1, -_PER_CELL, _PER_CELL)
    quarters = paths.field[level, guide.number, within, within, 0]
    distance = quarters.astype(jnp.float32) / 4.0
    nodes = jnp.concatenate(
        [
            seen.astype(jnp.float32) / 255.0,
            jnp.stack(
                [
                    is_here.astype(jnp.float32),
                    jnp.clip(dx / _FAR, -1.0, 1.0),
                    jnp.clip(dy / _FAR, -1.0, 1.0),
                    distance / (distance + _HALF_WAY),
                ],
                -1,
            ),
        ],
        -1,
    )
    sight = paths.rays[level, within, within].astype(jnp.float32)
    edges = _edges(distance, sight)
    return nodes.reshape(NODES, -1), edges.reshape(NODES, NEIGHBOURS, -1)


def _edges(distance: jax.Array, sight: jax.Array) -> jax.Array:
    """Float32 ``[23, 42, 9, 2]``."""
    features = []
    padded = jnp.pad(distance, 1)
    for slot, (dy, dx) in enumerate(DIRECTIONS):
        length = CELL * float(np.hypot(dy, dx))
        there = padded[1 + dy : 1 + dy + ROWS, 1 + dx : 1 + dx + COLUMNS]
        is_open = sight[..., slot] >= length if length else jnp.ones(distance.shape, bool)
        progress = jnp.clip((distance - there) / max(length, 1.0), -1.0, 1.0)
        features.append(jnp.stack([is_open.astype(jnp.float32), progress * is_open], -1))
    return jnp.stack(features, -2)


def neighbours() -> np.ndarray:
    """Which node is in which slot, int32 ``[966, 9]``; beyond the playfield the node itself."""
    row, column = np.mgrid[:ROWS, :COLUMNS]
    slots = []
    for dy, dx in DIRECTIONS:
        y, x = row + dy, column + dx
        inside = (y >= 0) & (y < ROWS) & (x >= 0) & (x < COLUMNS)
        slots.append(np.where(inside, y * COLUMNS + x, row * COLUMNS + column))
    return np.stack(slots, -1).reshape(NODES, NEIGHBOURS).astype(np.int32)
