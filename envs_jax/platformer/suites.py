"""Banks by name: made once from fixed seeds, proved, and kept in the user's cache.

``starter``, ``large`` and ``test`` come with the package. ``python -m envs_jax.platformer.suites
NAME ...`` makes others beforehand; whoever loads one that is not there yet makes it, too, which
takes some minutes. What is interrupted goes on from there the next time. The cache is
``~/.cache/rljax/levels``, or where the environment variable ``RLJAX_LEVELS`` says.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from envs_jax.platformer.bank import Bank, BankError, read_bank, write_bank
from envs_jax.platformer.generators import CATEGORIES, FAMILIES
from envs_jax.platformer.making import make
from envs_jax.platformer.proof import Effort
from envs_jax.words import nearest

__all__ = ["SUITES", "Suite", "cache_path", "load", "main"]

_VERSION = 1  # of what decides which levels come out: generators, physics and search
_PACKAGED = Path(__file__).parent / "data"


class Suite(NamedTuple):
    """What a bank is made of.

    Attributes:
        split: "train" or "test"; no level is ever in both.
        counts: of levels by category.
        effort: of the proofs.
    """

    split: str
    counts: dict[str, int]
    effort: Effort = Effort()


# Levels to train on need to be solvable; how quickly matters to those that efficiency is told of.
_SOLVABLE = Effort(polish=0)
_STANDARD = {"simple": 50, "medium": 100, "complex": 50, "mine_heavy": 30, "exploration": 20}
SUITES = {
    "starter": Suite("train", dict.fromkeys(CATEGORIES, 40)),
    "train": Suite("train", _STANDARD),
    "test": Suite("test", _STANDARD),
    "large": Suite("train", dict.fromkeys(CATEGORIES, 200), _SOLVABLE),
}


def load(name: str | Path) -> Bank:
    """A bank by name, made if need be, or from a file.

    Args:
        name: one of `SUITES`, or the path of a bank file (which ends in ``.npz``).

    Raises:
        BankError: for an unknown name, or a file that cannot be read.
    """
    if str(name).endswith(".npz"):
        return read_bank(name)
    path = cache_path(str(name))
    if path.exists():
        return read_bank(path)
    suite, journal = SUITES[str(name)], path.with_suffix(".journal")
    bank = make(
        list(suite.counts),
        list(suite.counts.values()),
        split=suite.split,
        effort=suite.effort,
        journal=journal,
        say=_print,
    )
    write_bank(bank, path)
    journal.unlink(missing_ok=True)
    return bank


def cache_path(name: str) -> Path:
    """Where a suite is kept; the name tells apart what other versions would make.

    Raises:
        BankError: for an unknown name.
    """
    if name not in SUITES:
        raise BankError(f"bank {name!r}: {nearest(name, SUITES)}, or the path of a .npz file")
    packaged = _PACKAGED / f"{name}.npz"
    if packaged.exists():
        return packaged
    folder = os.environ.get("RLJAX_LEVELS") or str(
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rljax" / "levels"
    )
    recipe = repr((_VERSION, SUITES[name], CATEGORIES, FAMILIES))
    return Path(folder) / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.npz"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(names: Sequence[str]) -> int:
    """Make the named suites, all if none is named."""
    for name in names or SUITES:
        try:
            bank = load(name)
        except ValueError as error:
            _print(str(error))
            return 2
        _print(f"{name}: {len(bank)} levels in {cache_path(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
