"""A bank of levels made ready to be played: what the device holds, and which levels are what."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import sys
import warnings
from collections.abc import Sequence

import jax
import numpy as np

from envs_jax.platformer.files import write_arrays
from envs_jax.platformer.levels import Levels, compile_levels
from envs_jax.platformer.maps import Map
from envs_jax.platformer.paths import Paths, compile_paths
from envs_jax.words import nearest

__all__ = ["Course", "load_course", "make_course"]

_PATHS_VERSION = 1  # of what decides which path distances come out
_MANY = 100  # levels, from which on one wonders what takes so long


@dataclasses.dataclass(frozen=True, repr=False)
class Course:
    """Levels in the order of their groups; NumPy arrays.

    Attributes:
        levels: the bank.
        paths: of the bank.
        frames: int32 ``[L]``, what a good player needs.
        categories: of each group.
        generators: of each group: family and preset.
        group_first: int32 ``[G]``, the first level of each group.
        group_size: int32 ``[G]``.
    """

    levels: Levels
    paths: Paths
    frames: np.ndarray
    categories: tuple[str, ...]
    generators: tuple[str, ...]
    group_first: np.ndarray
    group_size: np.ndarray

    def __repr__(self) -> str:
        return f"Course({len(self.frames)} levels in {len(self.group_size)} groups)"

    def choose(self, category: str) -> np.ndarray:
        """How likely each group is if all of a category are equally so, float32 ``[G]``.

        Args:
            category: "all", or one or several joined by "+".

        Raises:
            ValueError: for one that the bank does not have.
        """
        known = tuple(dict.fromkeys(self.categories))
        names = known if category == "all" else tuple(category.split("+"))
        for name in names:
            if name not in known:
                raise ValueError(f"category {name!r} of the bank: {nearest(name, ('all', *known))}")
        chosen = np.isin(self.categories, names)
        return (chosen / chosen.sum()).astype(np.float32)

    def only(self, category: str) -> Course:
        """The levels of a category alone.

        Args:
            category: as for `choose`.

        Raises:
            ValueError: for one that the bank does not have.
        """
        groups = np.flatnonzero(self.choose(category))
        spans = [self.group_first[group] + np.arange(self.group_size[group]) for group in groups]
        chosen = np.concatenate(spans)
        size = self.group_size[groups]
        return Course(
            levels=jax.tree.map(lambda leaf: leaf[chosen], self.levels),
            paths=jax.tree.map(lambda leaf: leaf[chosen], self.paths),
            frames=self.frames[chosen],
            categories=tuple(self.categories[group] for group in groups),
            generators=tuple(self.generators[group] for group in groups),
            group_first=np.cumsum(size, dtype=np.int32) - size,
            group_size=size,
        )

    def group_of(self, level: int) -> int:
        """The group that a level is of."""
        return int(np.searchsorted(self.group_first, level, side="right")) - 1


def make_course(
    maps: Sequence[Map],
    categories: Sequence[str],
    generators: Sequence[str],
    frames: Sequence[int] | np.ndarray,
    *,
    keep: bool = False,
) -> Course:
    """Compile levels; the arguments have one entry a level, those of a group in one go.

    Args:
        maps: levels.
        categories: of each.
        generators: of each.
        frames: that a good player needs for each.
        keep: whether path distances are kept in the user's cache.

    Raises:
        ValueError: for no levels, levels that cannot be simulated or have no way to the exit, or a
            group whose levels are not next to each other.
    """
    levels = compile_levels(maps)
    keys = list(zip(categories, generators, strict=True))
    groups = [(key, len(list(run))) for key, run in itertools.groupby(keys)]
    names = [key for key, _ in groups]
    if len(set(names)) < len(names):
        raise ValueError("levels of a category and generator are not next to each other")
    size = np.array([count for _, count in groups], np.int32)
    return Course(
        levels=levels,
        paths=_kept_paths(levels) if keep else compile_paths(levels),
        frames=np.asarray(frames, np.int32),
        categories=tuple(name for name, _ in names),
        generators=tuple(name for _, name in names),
        group_first=np.cumsum(size, dtype=np.int32) - size,
        group_size=size,
    )


@functools.cache
def load_course(name: str) -> Course:
    """A bank of proved levels by name or path, compiled; once in a process.

    Path distances take some 16 ms a level to make, so they are kept beside the user's banks.

    Args:
        name: of a standard bank, see :data:`envs_jax.platformer.suites.SUITES`, or the path of a
            bank file.

    Raises:
        ValueError: for an unknown name or a file that cannot be read.
    """
    from envs_jax.platformer.suites import load

    bank = load(name)
    return make_course(bank.maps, bank.categories, bank.generators, bank.frames, keep=True)


def _kept_paths(levels: Levels) -> Paths:
    """`compile_paths`, or what it gave before for the same levels."""
    from envs_jax.platformer.suites import cache_path

    whole = hashlib.sha256(repr(_PATHS_VERSION).encode())
    for leaf in (np.asarray(getattr(levels, field)) for field in Levels.__dataclass_fields__):
        whole.update(repr((leaf.shape, leaf.dtype)).encode() + leaf.tobytes())
    file = cache_path("train").parent / f"paths-{whole.hexdigest()[:16]}.npz"
    try:
        with np.load(file) as arrays:
            return Paths(**{name: arrays[name] for name in Paths.__dataclass_fields__})
    except FileNotFoundError:
        pass
    except Exception as error:  # zip, zlib and numpy have many ways to say that a file is damaged
        warnings.warn(f"{file} cannot be read ({error}): made anew", stacklevel=3)
    count = len(levels.spawn)
    if count > _MANY:
        line = f"finding the ways through {count} levels takes some {count // 50} s, kept in {file}"
        print(line, file=sys.stderr, flush=True)
    paths = compile_paths(levels)
    try:
        write_arrays(file, {name: getattr(paths, name) for name in Paths.__dataclass_fields__})
    except OSError as error:
        warnings.warn(f"{file} cannot be written ({error}): not kept", stacklevel=3)
    return paths
