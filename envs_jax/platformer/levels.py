"""Levels as the device holds them: one bank of fixed shapes, shared by all ninjas."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np
from flax import struct

from envs_jax.platformer.maps import (
    CELL,
    COLUMNS,
    ENTITY_NAMES,
    ROWS,
    TILES,
    UNIT,
    Entity,
    Map,
    MapError,
)
from envs_jax.platformer.reach import out_of_reach
from envs_jax.platformer.tiles import cell_codes

__all__ = ["GRID", "Levels", "compile_levels"]

GRID = (COLUMNS + 2, ROWS + 2)  # cells of 24 px, the frame included
MINE, GOLD, EXIT, LOCKED_DOOR, TOGGLE_MINE = 1, 2, 3, 6, 21
_MINES = {MINE: 0, TOGGLE_MINE: 1}  # state at the start
_FAR = -1e4  # px, where entities are that there are not: nothing touches them
_HALF_DOOR = 12  # px


class Levels(struct.PyTreeNode):
    """A bank of levels; leaves ``[L, ...]``, lengths in px from the corner of the frame.

    Attributes:
        cells: int32 ``[L, 44 * 25]``, what can be touched in each cell, column by column; see
            `envs_jax.platformer.tiles`.
        tiles: uint8 ``[L, 25, 44]``, ids, the frame (1) included.
        spawn: float32 ``[L, 2]``, where the ninja starts.
        mine_position: float32 ``[L, M, 2]``, in map order of mines, then of toggle mines.
        mine_start: int32 ``[L, M]``: 0 toggled (deadly), 1 untoggled; -1 no mine.
        switch: float32 ``[L, 2]``, of the exit.
        exit: float32 ``[L, 2]``.
        lock_switch: float32 ``[L, D, 2]``, of locked doors.
        lock_door: float32 ``[L, D, 4]``: left, top, right and bottom end of the door's line.
        lock_cell: int32 ``[L, D, 2]``, column and row of the cell that holds the door.
        lock_mask: bool ``[L, D]``, whether there is a door.
    """

    cells: jax.Array
    tiles: jax.Array
    spawn: jax.Array
    mine_position: jax.Array
    mine_start: jax.Array
    switch: jax.Array
    exit: jax.Array
    lock_switch: jax.Array
    lock_door: jax.Array
    lock_cell: jax.Array
    lock_mask: jax.Array


def compile_levels(
    maps: Sequence[Map],
    *,
    mines: int | None = None,
    doors: int | None = None,
    leave_out: Collection[int] = (),
) -> Levels:
    """A bank from maps; NumPy arrays, on the host.

    Gold is left out, for it changes nothing of how a ninja moves; so is what is shut off from the
    ninja by full tiles.

    Args:
        maps: at least one.
        mines: room for mines in each level; by default the most that a level has.
        doors: the same of locked doors.
        leave_out: entity types that are taken for absent, though they might matter.

    Raises:
        MapError: if there is no map, a level lacks an exit or has several, entities do not fit, or
            one is of a kind that is not simulated.
    """
    if not maps:
        raise MapError("0 maps: a bank needs at least one level")
    for number, level in enumerate(maps):
        _check(level, leave_out, f"level {number}" if len(maps) > 1 else "the map")
    mines = _room([_of(level, *_MINES) for level in maps], mines, "mines")
    doors = _room([_of(level, LOCKED_DOOR) for level in maps], doors, "locked doors")
    rows = [_compile(level, mines, doors) for level in maps]
    leaves: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return Levels(**leaves)


def _of(level: Map, *types: int) -> list[Entity]:
    """Entities of some types, by type and then in map order."""
    return [entity for kind in types for entity in level.entities if entity.type == kind]


def _room(found: list[list[Entity]], given: int | None, what: str) -> int:
    most = max(map(len, found))
    if given is not None and given < most:
        raise MapError(f"{what}={given}: a level has {most}, so at least {most} is needed")
    return most if given is None else given


def _check(level: Map, leave_out: Collection[int], name: str) -> None:
    tiles = np.asarray(level.tiles)
    if tiles.shape != (ROWS, COLUMNS) or tiles.max() >= TILES:
        raise MapError(
            f"{name} has tiles of shape {tiles.shape}, the largest {tiles.max()}:"
            f" ({ROWS}, {COLUMNS}) and ids below {TILES} are expected"
        )
    exits = len(_of(level, EXIT))
    if exits != 1:
        raise MapError(f"{name} has {exits} exit doors: exactly one is simulated")
    for door in _of(level, EXIT, LOCKED_DOOR):
        if door.switch is None:
            raise MapError(f"{name}: {ENTITY_NAMES[door.type]} ({door.x}, {door.y}) has no switch")
    known = {GOLD, EXIT, LOCKED_DOOR, *_MINES, *leave_out}
    unknown = [entity for entity in level.entities if entity.type not in known]
    reached = [
        e for e, is_out in zip(unknown, out_of_reach(level, unknown), strict=True) if not is_out
    ]
    if reached:
        first = reached[0]
        kind = ENTITY_NAMES.get(first.type, f"entity of type {first.type}")
        raise MapError(
            f"{name} has a {kind} at ({first.x}, {first.y}), which is not simulated: mines, exits,"
            " locked doors and gold are"
        )


def _compile(level: Map, mines: int, doors: int) -> dict[str, Any]:
    tiles = np.ones((ROWS + 2, COLUMNS + 2), np.uint8)
    tiles[1:-1, 1:-1] = level.tiles
    (exit_door,) = _of(level, EXIT)
    row: dict[str, Any] = {
        "cells": cell_codes(tiles).ravel(),
        "tiles": tiles,
        "spawn": _px(level.ninja),
        "mine_position": np.full((mines, 2), _FAR, np.float32),
        "mine_start": np.full(mines, -1, np.int32),
        "switch": _px(exit_door.switch),
        "exit": _px((exit_door.x, exit_door.y)),
        "lock_switch": np.full((doors, 2), _FAR, np.float32),
        "lock_door": np.full((doors, 4), _FAR, np.float32),
        "lock_cell": np.full((doors, 2), -1, np.int32),
        "lock_mask": np.zeros(doors, bool),
    }
    for place, mine in enumerate(_of(level, *_MINES)):
        row["mine_position"][place] = _px((mine.x, mine.y))
        row["mine_start"][place] = _MINES[mine.type]
    for place, door in enumerate(_of(level, LOCKED_DOOR)):
        row["lock_switch"][place] = _px(door.switch)
        row["lock_door"][place], row["lock_cell"][place] = _door(door)
        row["lock_mask"][place] = True
    return row


def _px(units: tuple[int, int] | None) -> np.ndarray:
    return np.array(units, np.float32) * UNIT


def _door(door: Entity) -> tuple[np.ndarray, np.ndarray]:
    """Ends of a door's line, and the cell in which the ninja can touch it.

    A door stands across the way that it faces; its cell is the one behind it.
    """
    centre = _px((door.x, door.y)).astype(np.float64)
    angle = door.orientation * np.pi / 4
    behind = centre - _HALF_DOOR * np.round([np.cos(angle), np.sin(angle)], 12)
    half = np.array([0, _HALF_DOOR] if door.orientation % 4 == 0 else [_HALF_DOOR, 0])
    cell = np.clip(np.floor(behind / CELL), 0, np.array(GRID) - 1)
    return np.concatenate([centre - half, centre + half]).astype(np.float32), cell.astype(np.int32)
