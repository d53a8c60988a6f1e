"""Maps and their byte format: 42 x 23 tiles, where the ninja starts, and entities.

Lengths in a file are multiples of 6 px and count from the corner of the solid frame, which is one
cell of 24 px wide and not in the file.
"""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ["COLUMNS", "ENTITY_NAMES", "ROWS", "Entity", "Map", "MapError", "read_map", "write_map"]

COLUMNS, ROWS = 42, 23  # of the playfield
CELL = 24  # px
UNIT = 6  # px
TILES = 34  # tile ids are below; the game's ids 34 to 37 are glitches

_TILES_AT, _EXITS_AT, _BALLS_AT, _NINJA_AT, _ENTITIES_AT = 184, 1156, 1200, 1230, 1235
_RECORD = 5  # type, x, y, orientation, mode
_MINE, _EXIT, _EXIT_SWITCH, _DEATH_BALL = 1, 3, 4, 25
_SWITCH_OF = {6: 7, 8: 9}  # locked and trap doors: the record of their switch follows at once
_NO_ORIENTATIONS = 8

ENTITY_NAMES = {
    1: "mine",
    2: "gold",
    3: "exit door",
    4: "exit switch",
    5: "regular door",
    6: "locked door",
    7: "switch of a locked door",
    8: "trap door",
    9: "switch of a trap door",
    10: "launch pad",
    11: "one-way platform",
    12: "chaingun drone",
    13: "laser drone",
    14: "zap drone",
    15: "chaser drone",
    16: "floor guard",
    17: "bounce block",
    18: "rocket turret",
    19: "gauss turret",
    20: "thwump",
    21: "toggle mine",
    22: "evil ninja",
    23: "laser turret",
    24: "boost pad",
    25: "death ball",
    26: "mini drone",
    27: "eye bat",
    28: "shove thwump",
}


class MapError(ValueError):
    """A map that cannot be read, written or simulated; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Entity:
    """One thing in a level.

    Attributes:
        type: a key of `ENTITY_NAMES`; switches have no entity of their own.
        x: units of 6 px, the frame's cell counted.
        y: the same, downwards.
        orientation: 0 to 7, steps of 45 degrees clockwise from east.
        mode: of drones.
        switch: where the switch of an exit, locked or trap door is.
    """

    type: int
    x: int
    y: int
    orientation: int = 0
    mode: int = 0
    switch: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Map:
    """A level as its author made it.

    Attributes:
        tiles: uint8 ``[23, 42]``, ids 0 to 33.
        ninja: where the ninja starts, units of 6 px, the frame's cell counted.
        facing: 1 to the right, 0 or -1 to the left; of no effect on the physics.
        entities: in the order of the file.
    """

    tiles: np.ndarray
    ninja: tuple[int, int]
    facing: int = 1
    entities: tuple[Entity, ...] = ()


def read_map(data: bytes | np.ndarray) -> Map:
    """A map from its bytes.

    Records of locked doors may be 10 bytes (the game's) or 9 (a generator's).

    Args:
        data: bytes, or an array of numbers from 0 to 255.

    Raises:
        MapError: if it is damaged.
    """
    raw = _as_bytes(data)
    if len(raw) < _ENTITIES_AT:
        raise MapError(f"map of {len(raw)} bytes: at least {_ENTITIES_AT} are needed")
    tiles = np.frombuffer(raw, np.uint8, COLUMNS * ROWS, _TILES_AT).reshape(ROWS, COLUMNS).copy()
    _check_tiles(tiles)
    if raw[_NINJA_AT] != 0:
        found = raw[_NINJA_AT]
        raise MapError(
            f"map byte {_NINJA_AT} is {found}: the ninja's record, type 0, belongs there"
        )
    x, y, facing = raw[_NINJA_AT + 1 : _NINJA_AT + 4]
    return Map(tiles, (x, y), facing, _read_entities(raw))


def _as_bytes(data: bytes | np.ndarray) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    numbers = np.asarray(data)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        raise MapError(f"map of type {numbers.dtype}, shape {numbers.shape}: bytes are expected")
    good = (numbers >= 0) & (numbers <= 255) & (numbers == np.floor(numbers))
    if not good.all():
        at = int(np.argmin(good))
        raise MapError(f"map byte {at} is {numbers[at]}: whole numbers from 0 to 255 are expected")
    return numbers.astype(np.uint8).tobytes()


def _check_tiles(tiles: np.ndarray) -> None:
    if (tiles >= TILES).any():
        row, column = (int(i) for i in np.argwhere(tiles >= TILES)[0])
        found = int(tiles[row, column])
        raise MapError(
            f"tile {found} in row {row}, column {column}: ids 0 to {TILES - 1} are known"
        )


def _read_entities(raw: bytes) -> tuple[Entity, ...]:
    entities, at, switches = [], _ENTITIES_AT, _RECORD * raw[_EXITS_AT]
    while at < len(raw):
        record = raw[at : at + _RECORD]
        kind = record[0]
        if len(record) < _RECORD:
            raise MapError(f"map ends at byte {len(raw)} within a record of 5 bytes")
        if kind not in ENTITY_NAMES:
            raise MapError(f"entity type {kind} at byte {at}: types 1 to 28 are known")
        switch, length = None, _RECORD
        if kind == _EXIT:
            switch = _read_switch(raw, at + switches, kind)
            if raw[at + switches] != _EXIT_SWITCH:
                raise MapError(f"exit door at byte {at} without its switch at byte {at + switches}")
        elif kind in _SWITCH_OF:
            switch = _read_switch(raw, at + _RECORD, kind)
            # Without the switch's type in its place it is the short record, one byte less.
            length = 2 * _RECORD - (raw[at + _RECORD] != _SWITCH_OF[kind])
            if at + length > len(raw):
                raise MapError(f"map ends at byte {len(raw)} within a door's record")
        if kind not in (_EXIT_SWITCH, *_SWITCH_OF.values()):
            _, x, y, orientation, mode = record
            entities.append(Entity(kind, x, y, orientation, mode, switch))
        at += length
    found = sum(entity.type == _EXIT for entity in entities)
    if found != raw[_EXITS_AT]:
        raise MapError(f"map with {found} exit doors, of which its header counts {raw[_EXITS_AT]}")
    return tuple(entities)


def _read_switch(raw: bytes, at: int, kind: int) -> tuple[int, int]:
    if at + 3 > len(raw):
        raise MapError(f"map ends at byte {len(raw)} before the switch of its {ENTITY_NAMES[kind]}")
    return raw[at + 1], raw[at + 2]


def write_map(level: Map) -> bytes:
    """The bytes of a map; `read_map` gives it back.

    All exit doors are written where the first of them stands.

    Raises:
        MapError: if a number is out of range, or a door lacks its switch.
    """
    tiles = np.asarray(level.tiles)
    if tiles.shape != (ROWS, COLUMNS):
        raise MapError(f"tiles of shape {tiles.shape}: ({ROWS}, {COLUMNS}) is expected")
    _check_tiles(tiles)
    exits = [entity for entity in level.entities if entity.type == _EXIT]
    header = [0] * _ENTITIES_AT
    header[_TILES_AT : _TILES_AT + tiles.size] = tiles.ravel().tolist()
    header[_EXITS_AT] = len(exits)
    header[_BALLS_AT] = sum(entity.type == _DEATH_BALL for entity in level.entities)
    header[_NINJA_AT : _NINJA_AT + 4] = [0, *level.ninja, max(level.facing, 0)]
    records = [header]
    for entity in level.entities:
        if entity.type == _EXIT:
            if entity is exits[0]:
                records += [_record(door) for door in exits]
                records += [[_EXIT_SWITCH, *_switch(door), 0, 0] for door in exits]
            continue
        if entity.type not in ENTITY_NAMES or entity.type in (_EXIT_SWITCH, *_SWITCH_OF.values()):
            raise MapError(f"entity type {entity.type} cannot be written: 1 to 28, and no switches")
        records.append(_record(entity))
        if entity.type in _SWITCH_OF:
            records.append([_SWITCH_OF[entity.type], *_switch(entity), 0, 0])
    numbers = [number for record in records for number in record]
    if not all(0 <= number <= 255 for number in numbers):
        wrong = next(number for number in numbers if not 0 <= number <= 255)
        raise MapError(f"map with the number {wrong}: 0 to 255 fit into its bytes")
    return bytes(numbers)


def _record(entity: Entity) -> list[int]:
    if not 0 <= entity.orientation < _NO_ORIENTATIONS:
        raise MapError(f"orientation {entity.orientation}: 0 to {_NO_ORIENTATIONS - 1} are known")
    return [entity.type, entity.x, entity.y, entity.orientation, entity.mode]


def _switch(door: Entity) -> tuple[int, int]:
    if door.switch is None:
        raise MapError(f"{ENTITY_NAMES[door.type]} at ({door.x}, {door.y}) without a switch")
    return door.switch
