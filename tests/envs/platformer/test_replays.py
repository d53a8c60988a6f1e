from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest

from envs_jax.platformer.maps import read_map
from envs_jax.platformer.replays import (
    Replay,
    ReplayError,
    read_demo,
    read_replay,
    write_demo,
    write_replay,
)

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def replay(room):
    from envs_jax.platformer.maps import write_map

    rng = np.random.default_rng(0)
    return Replay(
        write_map(room()), rng.integers(-1, 2, 90).astype(np.int8), rng.random(90) < 0.5, True
    )


def same(one: Replay, other: Replay) -> bool:
    return (
        one.map_bytes == other.map_bytes
        and one.success == other.success
        and np.array_equal(one.horizontal, other.horizontal)
        and np.array_equal(one.jump, other.jump)
    )


@pytest.mark.parametrize("version", [0, 1])
def test_what_is_written_is_read_again(replay, version) -> None:
    assert same(read_replay(write_replay(replay, version)), replay)


def test_a_lost_game_is_told_apart(replay) -> None:
    lost = dataclasses.replace(replay, success=False)
    assert same(read_replay(write_replay(lost)), lost)
    with pytest.raises(ReplayError, match="version 0 holds only wins"):
        write_replay(lost, 0)


@pytest.mark.parametrize(
    ("name", "version", "frames"), [("v0", 0, 362), ("v1", 1, 474), ("v1_door", 1, 79)]
)
def test_recorded_replays(name, version, frames) -> None:
    data = (DATA / f"platformer_{name}.replay").read_bytes()
    replay = read_replay(data)
    assert len(replay.jump) == len(replay.horizontal) == frames
    assert replay.success
    assert write_replay(replay, version) == data
    assert read_map(replay.map_bytes).entities


def test_left_has_precedence_over_right(replay) -> None:
    data = write_replay(replay)
    both = read_replay(data[:-4] + bytes([6, 7, 2, 12]))
    np.testing.assert_array_equal(both.horizontal[-4:], [-1, -1, 1, -1])
    np.testing.assert_array_equal(both.jump[-4:], [False, True, False, False])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:9], "9 bytes"),
        (lambda data: data[:-1], "whose header asks for"),
        (lambda data: data + b"x", "whose header asks for"),
        (lambda data: b"\x07" + data[1:], "version 7: versions 0 and 1"),
        (lambda data: data[:4] + b"\x05\x00" + data[6:], "whose header asks for"),
    ],
)
def test_damage_is_one_clear_line(replay, damage, message) -> None:
    with pytest.raises(ReplayError, match=message) as caught:
        read_replay(damage(write_replay(replay)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizontal": np.zeros(3, np.int8)}, r"horizontal of shape \(3,\)"),
        ({"horizontal": np.full(90, 2)}, "-1, 0 or 1"),
        ({"jump": np.full(90, 2)}, "true or false"),
        ({"map_bytes": b"short"}, "map of 5 bytes"),
    ],
)
def test_what_is_no_replay_is_not_written(replay, changes, message) -> None:
    with pytest.raises(ReplayError, match=message):
        write_replay(dataclasses.replace(replay, **changes))
    with pytest.raises(ReplayError, match="version 2"):
        write_replay(replay, 2)


def test_demos(replay) -> None:
    stream = write_demo(replay.horizontal, replay.jump)
    inputs = zlib.decompress(stream)
    inner = b"\0" + (117).to_bytes(4, "little") + bytes(4) + (90).to_bytes(4, "little") + bytes(14)
    for data in (stream, b"\x01\x78\x02header" + stream, zlib.compress(inner + inputs)):
        horizontal, jump = read_demo(data)
        np.testing.assert_array_equal(horizontal, replay.horizontal)
        np.testing.assert_array_equal(jump, replay.jump)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"", lambda data: zlib.compress(b"\xff" * 40)]
)
def test_damaged_demos(replay, damage) -> None:
    with pytest.raises(ReplayError, match="no whole zlib stream of inputs"):
        read_demo(damage(write_demo(replay.horizontal, replay.jump)))
