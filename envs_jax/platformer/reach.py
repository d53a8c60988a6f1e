"""Which entities are shut off from the ninja by full tiles, and so cannot matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs_jax.platformer.maps import CELL, UNIT, Entity, Map

__all__ = ["out_of_reach"]

_HALF_SIZE = {11: 12.0}  # px, of an entity's body; of a one-way platform
_OTHERS = 9.0  # at least that of all others that stand still


def out_of_reach(level: Map, entities: Sequence[Entity]) -> list[bool]:
    """For each entity whether full tiles are all round it, or between it and the ninja.

    The ninja is taken to get wherever there is a way over cells that share a side and are not full:
    it gets no further. Neither do entities that move, but for thwumps that start inside a full tile
    beside the way, which the game lets out of it.
    """
    if not entities:
        return []
    reached = _flood(level)
    return [not _touches(reached, entity) for entity in entities]


def _flood(level: Map) -> np.ndarray:
    """Cells, bool ``[25, 44]``."""
    is_open = np.pad(np.asarray(level.tiles) != 1, 1)
    reached = np.zeros_like(is_open)
    column, row = (place * UNIT // CELL for place in level.ninja)
    if row < reached.shape[0] and column < reached.shape[1]:
        reached[row, column] = True
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= is_open | reached
        if (grown == reached).all():
            return reached
        reached = grown


def _touches(reached: np.ndarray, entity: Entity) -> bool:
    """Whether an entity's body reaches into one of the cells."""
    half = _HALF_SIZE.get(entity.type, _OTHERS)
    first, last = [], []
    for place, cells in zip((entity.y, entity.x), reached.shape, strict=True):
        low, high = place * UNIT - half, place * UNIT + half
        first.append(int(np.clip(np.floor(low / CELL), 0, cells - 1)))
        last.append(int(np.clip(np.ceil(high / CELL) - 1, 0, cells - 1)))
    return bool(reached[first[0] : last[0] + 1, first[1] : last[1] + 1].any())
