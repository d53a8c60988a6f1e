from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from envs_jax.platformer.maps import Entity, Map, MapError, read_map, write_map


@pytest.fixture
def level():
    tiles = np.random.default_rng(0).integers(0, 34, (23, 42)).astype(np.uint8)
    entities = (
        Entity(1, 10, 20),
        Entity(3, 30, 40, switch=(50, 60)),
        Entity(6, 70, 80, orientation=2, switch=(7, 9)),
        Entity(21, 90, 91),
        Entity(14, 100, 90, orientation=6, mode=3),
        Entity(3, 31, 41, switch=(51, 61)),
        Entity(8, 71, 81, orientation=4, switch=(9, 7)),
        Entity(25, 5, 6),
    )
    return Map(tiles, (33, 44), 1, entities)


def test_what_is_written_is_read_again(level) -> None:
    again = read_map(write_map(level))
    np.testing.assert_array_equal(again.tiles, level.tiles)
    assert (again.ninja, again.facing) == (level.ninja, level.facing)
    # Exit doors stand together, where the first of them was.
    first, *others = level.entities
    doors = [entity for entity in others if entity.type == 3]
    rest = [entity for entity in others if entity.type != 3]
    assert again.entities == (first, *doors, *rest)


def test_bytes_are_where_the_game_has_them(level) -> None:
    data = write_map(level)
    assert data[184] == level.tiles[0, 0]
    assert data[184 + 42 * 3 + 5] == level.tiles[3, 5]
    assert (data[1156], data[1200]) == (2, 1)
    assert data[1230:1235] == bytes([0, 33, 44, 1, 0])
    assert data[1235:1250] == bytes([1, 10, 20, 0, 0, 3, 30, 40, 0, 0, 3, 31, 41, 0, 0])
    assert data[1250:1260] == bytes([4, 50, 60, 0, 0, 4, 51, 61, 0, 0])
    assert data[1260:1270] == bytes([6, 70, 80, 2, 0, 7, 7, 9, 0, 0])


def test_recorded_maps_are_written_to_the_same_bytes(recorded) -> None:
    for data, length in zip(recorded["map_bytes"], recorded["map_length"], strict=True):
        assert write_map(read_map(data[:length])) == data[:length].tobytes()


def test_short_records_of_doors_are_read(level) -> None:
    data = write_map(level)
    short = data[:1265] + bytes([4, 7, 9, 4]) + data[1270:]
    assert read_map(short).entities == read_map(data).entities


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:1000], "1000 bytes: at least 1235"),
        (lambda data: changed(data, 184 + 42 + 3, 36), "tile 36 in row 1, column 3: ids 0 to 33"),
        (lambda data: changed(data, 1230, 9), "byte 1230 is 9"),
        (lambda data: changed(data, 1235, 77), "entity type 77 at byte 1235: types 1 to 28"),
        (lambda data: changed(data, 1156, 3), "without its switch"),
        (lambda data: changed(data, 1156, 0), "without its switch"),
        (lambda data: data[:-2], "within a record of 5 bytes"),
        (lambda data: data[:1250], "before the switch of its exit door"),
        (lambda data: data[:1266], "before the switch of its locked door"),
        (lambda data: np.frombuffer(data, np.uint8) - 0.5, "whole numbers from 0 to 255"),
        (lambda data: np.zeros((2, 3)), "bytes are expected"),
    ],
)
def test_damage_is_one_clear_line(level, damage, message) -> None:
    with pytest.raises(MapError, match=message) as caught:
        read_map(damage(write_map(level)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiles": np.zeros((3, 4), np.uint8)}, r"\(3, 4\): \(23, 42\)"),
        ({"tiles": np.full((23, 42), 34)}, "tile 34 in row 0, column 0"),
        ({"ninja": (256, 0)}, "the number 256"),
        ({"entities": (Entity(4, 1, 1),)}, "entity type 4"),
        ({"entities": (Entity(6, 1, 1),)}, "locked door at .1, 1. without a switch"),
        ({"entities": (Entity(1, 1, 1, orientation=8),)}, "orientation 8"),
    ],
)
def test_what_does_not_fit_is_not_written(level, changes, message) -> None:
    with pytest.raises(MapError, match=message):
        write_map(dataclasses.replace(level, **changes))
