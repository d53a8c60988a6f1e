"""Banks: proved levels in the order of their groups, and the file that holds them.

A file is one ``.npz`` with a format number and a digest over all that is in it. It is written
whole or not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs_jax.platformer.files import write_arrays
from envs_jax.platformer.maps import Map, read_map, write_map
from envs_jax.platformer.proof import Proof
from envs_jax.platformer.replays import decode_inputs, encode_inputs

__all__ = ["Bank", "BankError", "Group", "join", "read_bank", "write_bank"]

_FORMAT = 1


class BankError(ValueError):
    """A bank that cannot be read or made; the message is one line."""


class Group(NamedTuple):
    """Levels of one category and generator, which are next to each other in a bank."""

    category: str
    generator: str
    first: int
    size: int


@dataclasses.dataclass(frozen=True)
class Bank:
    """Levels with their proofs; all of length ``L``, levels of a group in one go.

    Attributes:
        maps: the levels.
        proofs: inputs that win each of them in the physics of `safe` precision.
        categories: of each.
        generators: of each, as ``"family:preset"``.
        seeds: of each, from which its generator drew it.
        tiers: of difficulty, 1 to 4.
    """

    maps: tuple[Map, ...]
    proofs: tuple[Proof, ...]
    categories: tuple[str, ...]
    generators: tuple[str, ...]
    seeds: tuple[int, ...]
    tiers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def frames(self) -> np.ndarray:
        """What a good player needs, int32 ``[L]``: the bound for efficiency."""
        return np.array([proof.frames for proof in self.proofs], np.int32)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Slices of the bank: those of one category are next to each other."""
        groups, first = list[Group](), 0
        for key, run in itertools.groupby(zip(self.categories, self.generators, strict=True)):
            groups.append(Group(*key, first, len(list(run))))
            first += groups[-1].size
        return tuple(groups)

    def take(self, indices: list[int]) -> Bank:
        """Some of the levels, in the order given."""
        rows = {
            field.name: tuple(getattr(self, field.name)[index] for index in indices)
            for field in dataclasses.fields(self)
        }
        return Bank(**rows)


def join(banks: list[Bank]) -> Bank:
    """One bank of several, sorted by category (in the order of their first levels) and generator.

    Raises:
        BankError: if there is no level.
    """
    whole = Bank(
        **{
            field.name: tuple(itertools.chain(*(getattr(bank, field.name) for bank in banks)))
            for field in dataclasses.fields(Bank)
        }
    )
    if not len(whole):
        raise BankError("a bank without levels: at least one is needed")
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(whole.categories))}
    keys = [
        (ranks[category], generator, seed)
        for category, generator, seed in zip(
            whole.categories, whole.generators, whole.seeds, strict=True
        )
    ]
    return whole.take(sorted(range(len(whole)), key=keys.__getitem__))


def write_bank(bank: Bank, path: str | Path) -> None:
    """Write a bank file, whole or not at all.

    Raises:
        BankError: if the bank is empty.
    """
    if not len(bank):
        raise BankError("a bank without levels: at least one is needed")
    maps = [np.frombuffer(write_map(level), np.uint8) for level in bank.maps]
    inputs = b"".join(encode_inputs(proof.horizontal, proof.jump) for proof in bank.proofs)
    arrays: dict[str, np.ndarray] = {
        "maps": np.concatenate(maps),
        "map_lengths": np.array([len(each) for each in maps], np.int32),
        "inputs": np.frombuffer(inputs, np.uint8),
        "frames": bank.frames,
        "categories": np.array(bank.categories),
        "generators": np.array(bank.generators),
        "seeds": np.array(bank.seeds, np.int64),
        "tiers": np.array(bank.tiers, np.int32),
    }
    stamp = {"format": np.array(_FORMAT), "digest": np.array(_digest(arrays))}
    write_arrays(Path(path), stamp | arrays)


def read_bank(path: str | Path) -> Bank:
    """Read a bank file.

    Raises:
        BankError: if there is none, it is damaged, or it is no bank file.
    """
    path = Path(path)
    if not path.is_file():
        raise BankError(f"bank file {path}: there is no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        number, digest = int(arrays.pop("format")), str(arrays.pop("digest"))
    except Exception as error:  # zip, zlib and numpy have many ways to say so
        raise BankError(f"bank file {path}: damaged, or no bank file") from error
    if number != _FORMAT:
        raise BankError(f"bank file {path}: format {number}, expected {_FORMAT}; make it anew")
    if digest != _digest(arrays):
        raise BankError(f"bank file {path}: damaged, its contents do not fit its digest")
    maps = np.split(arrays["maps"], np.cumsum(arrays["map_lengths"])[:-1])
    inputs = np.split(arrays["inputs"], np.cumsum(arrays["frames"])[:-1])
    return Bank(
        maps=tuple(read_map(each.tobytes()) for each in maps),
        proofs=tuple(Proof(*decode_inputs(each)) for each in inputs),
        categories=tuple(arrays["categories"].tolist()),
        generators=tuple(arrays["generators"].tolist()),
        seeds=tuple(arrays["seeds"].tolist()),
        tiers=tuple(arrays["tiers"].tolist()),
    )


def _digest(arrays: dict[str, np.ndarray]) -> str:
    whole = hashlib.sha256()
    for name in sorted(arrays):
        whole.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        whole.update(arrays[name].tobytes())
    return whole.hexdigest()
