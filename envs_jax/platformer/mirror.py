"""Left and right exchanged in what is seen and in what is done.

The physics has no handedness, so what was learnt of a way to the right holds for one to the left.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.platformer.distance import DIRECTIONS
from envs_jax.platformer.graph import NODE_FEATURES
from envs_jax.platformer.maps import COLUMNS, ROWS
from envs_jax.platformer.observation import features
from envs_jax.spaces import ACTION_MASK

__all__ = ["mirror_action", "mirror_seen"]

_ACTIONS = np.array([0, 2, 1, 3, 5, 4])  # see `envs_jax.platformer.actions`
_QUARTERS = (1, 0, 3, 2)  # the first channels of a cell, see `envs_jax.platformer.window`
_WAYS = str.maketrans("ew", "we")


def mirror_action(action: jax.Array) -> jax.Array:
    """The action that does in the mirrored level what `action` does in the level."""
    return jnp.asarray(_ACTIONS)[action]


def mirror_seen(parts: dict[str, jax.Array], mines: int) -> dict[str, jax.Array]:
    """What would be seen in the mirrored level.

    Args:
        parts: of the observation of one ninja.
        mines: of how many the part "vector" tells.
    """
    flipped = {name: _FLIPS[name](part) for name, part in parts.items() if name != "vector"}
    source, sign = _vector(mines)
    return {**parts, **flipped, "vector": parts["vector"][source] * sign}


def _vector(mines: int) -> tuple[np.ndarray, np.ndarray]:
    """From where each number of the mirrored vector comes, and its sign."""
    names = features(mines)
    sources = [
        f"sight_{name[6:].translate(_WAYS)}" if name.startswith("sight_") else name
        for name in names
    ]
    turned = [name in ("vx", "wall", "floor_nx") or name.endswith(("_x", "_dx")) for name in names]
    return np.array([names.index(source) for source in sources]), np.where(turned, -1.0, 1.0)


def _cells(tiles: jax.Array) -> jax.Array:
    order = [*_QUARTERS, *range(len(_QUARTERS), tiles.shape[-1])]
    return tiles[:, ::-1, np.array(order)]


def _nodes(nodes: jax.Array) -> jax.Array:
    sign = np.where(np.array(NODE_FEATURES) == "x", -1.0, 1.0)
    return (_cells(nodes.reshape(ROWS, COLUMNS, -1)) * sign).reshape(nodes.shape)


def _edges(edges: jax.Array) -> jax.Array:
    slots = np.array([DIRECTIONS.index((dy, -dx)) for dy, dx in DIRECTIONS])
    return edges.reshape(ROWS, COLUMNS, *edges.shape[1:])[:, ::-1, slots].reshape(edges.shape)


def _picture(picture: jax.Array) -> jax.Array:
    return picture[:, ::-1]


_FLIPS: dict[str, Callable[[jax.Array], jax.Array]] = {
    ACTION_MASK: lambda mask: mask[_ACTIONS],
    "tiles": _cells,
    "nodes": _nodes,
    "edges": _edges,
    "player": _picture,
    "level": _picture,
}
