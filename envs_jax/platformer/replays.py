"""Recorded games: two versions of a compact format with the map in it, and the game's own demos.

========= ==================================================================================
version   contents (numbers are little-endian uint32)
========= ==================================================================================
0         length of the map, number of inputs; map; inputs
1         1, length of the map, number of inputs; one byte for success; map; inputs
demo      a header; a zlib stream of inputs, with or without a header of 27 bytes; no map
========= ==================================================================================

An input is a byte a frame: bit 0 jump, bit 1 right, bit 2 left, which has precedence.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np

__all__ = ["Replay", "ReplayError", "read_demo", "read_replay", "write_demo", "write_replay"]

_JUMP, _RIGHT, _LEFT, _RESET = 1, 2, 4, 8
_VERSION = 1
_SHORTEST_MAP = 1235  # bytes; a first number that is smaller is a version
_ZLIB = b"\x78"  # a stream begins with it, and its first two bytes are a multiple of 31
_DEMO_HEADER, _FRAMES_AT = 27, 9
_LONGEST = 10_000_000  # frames in a demo, so that a damaged stream cannot fill the memory


class ReplayError(ValueError):
    """A replay that cannot be read or written; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """What a player did in a map.

    Attributes:
        map_bytes: see `envs_jax.platformer.maps.read_map`.
        horizontal: int8 ``[T]``, -1 left, 0, 1 right.
        jump: bool ``[T]``, whether the button was down.
        success: whether the player won, as far as the file says: version 0 holds only wins.
    """

    map_bytes: bytes
    horizontal: np.ndarray
    jump: np.ndarray
    success: bool = True


def read_replay(data: bytes) -> Replay:
    """A replay of version 0 or 1.

    Raises:
        ReplayError: if it is damaged, or of another version.
    """
    if len(data) < 13:
        raise ReplayError(f"replay of {len(data)} bytes: its header alone has 8 or 13")
    first, second, third = struct.unpack_from("<3I", data)
    if first >= _SHORTEST_MAP:
        start, length, frames, success = 8, first, second, True
    elif first == _VERSION:
        start, length, frames, success = 13, second, third, data[12] != 0
    else:
        raise ReplayError(f"replay of version {first}: versions 0 and 1 are known")
    expected = start + length + frames
    if length < _SHORTEST_MAP or len(data) != expected:
        raise ReplayError(
            f"replay of {len(data)} bytes, whose header asks for {expected}: {start} of its own,"
            f" {length} of a map and {frames} inputs"
        )
    inputs = np.frombuffer(data, np.uint8, frames, start + length)
    return Replay(data[start : start + length], *decode_inputs(inputs), success)


def write_replay(replay: Replay, version: int = _VERSION) -> bytes:
    """The bytes of a replay; `read_replay` gives it back.

    Raises:
        ReplayError: if the version is unknown or cannot hold it, or the inputs are no inputs.
    """
    inputs, level = encode_inputs(replay.horizontal, replay.jump), replay.map_bytes
    if len(level) < _SHORTEST_MAP:
        raise ReplayError(f"map of {len(level)} bytes: at least {_SHORTEST_MAP} are needed")
    if version == 0:
        if not replay.success:
            raise ReplayError("replay of a game that was not won: version 0 holds only wins, use 1")
        return struct.pack("<2I", len(level), len(inputs)) + level + inputs
    if version == 1:
        header = struct.pack("<3IB", _VERSION, len(level), len(inputs), replay.success)
        return header + level + inputs
    raise ReplayError(f"version {version}: versions 0 and 1 are known")


def read_demo(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the game's own demo, with or without the header before the stream.

    Returns:
        `horizontal` int8 ``[T]`` and `jump` bool ``[T]``.

    Raises:
        ReplayError: if there is no whole stream of inputs in it.
    """
    for at in _streams(data):
        stream = zlib.decompressobj()
        try:
            inputs = stream.decompress(data[at:], _LONGEST)
        except zlib.error:
            continue
        inputs = _without_header(inputs)
        if stream.eof and inputs and max(inputs) <= _JUMP | _RIGHT | _LEFT | _RESET:
            return decode_inputs(np.frombuffer(inputs, np.uint8))
    raise ReplayError(f"demo of {len(data)} bytes: no whole zlib stream of inputs is in it")


def _without_header(inputs: bytes) -> bytes:
    if len(inputs) > _DEMO_HEADER:
        (frames,) = struct.unpack_from("<I", inputs, _FRAMES_AT)
        if frames == len(inputs) - _DEMO_HEADER:
            return inputs[_DEMO_HEADER:]
    return inputs


def _streams(data: bytes) -> list[int]:
    """Where a zlib stream may begin."""
    places = (at for at in range(len(data) - 1) if data[at : at + 1] == _ZLIB)
    return [at for at in places if (data[at] << 8 | data[at + 1]) % 31 == 0]


def write_demo(horizontal: np.ndarray, jump: np.ndarray) -> bytes:
    """The stream of a demo, without a header; `read_demo` gives the inputs back.

    Raises:
        ReplayError: if the inputs are no inputs.
    """
    return zlib.compress(encode_inputs(horizontal, jump))


def decode_inputs(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal int8 ``[T]`` and jump bool ``[T]`` from a replay's bytes, uint8 ``[T]``."""
    left, right = (inputs & _LEFT) != 0, (inputs & _RIGHT) != 0
    return np.where(left, -1, right).astype(np.int8), (inputs & _JUMP) != 0


def encode_inputs(horizontal: np.ndarray, jump: np.ndarray) -> bytes:
    """A replay's bytes, one a frame; `decode_inputs` gives the inputs back.

    Raises:
        ReplayError: if the inputs are no inputs.
    """
    horizontal, jump = np.asarray(horizontal), np.asarray(jump)
    if horizontal.ndim != 1 or horizontal.shape != jump.shape:
        raise ReplayError(
            f"horizontal of shape {horizontal.shape}, jump of shape {jump.shape}:"
            " one number a frame is expected of each"
        )
    if not np.isin(horizontal, (-1, 0, 1)).all() or not np.isin(jump, (0, 1)).all():
        raise ReplayError("inputs: -1, 0 or 1 of horizontal and true or false of jump are expected")
    sideways = np.where(horizontal < 0, _LEFT, np.where(horizontal > 0, _RIGHT, 0))
    return (sideways | np.where(jump, _JUMP, 0)).astype(np.uint8).tobytes()
