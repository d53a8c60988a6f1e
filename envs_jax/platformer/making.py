"""Making banks: levels are drawn, proved, and those kept that are new."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from envs_jax.platformer.bank import Bank, BankError, join
from envs_jax.platformer.generators import category, generate
from envs_jax.platformer.generators.draft import mirrored
from envs_jax.platformer.maps import Map
from envs_jax.platformer.proof import Effort, Proof
from envs_jax.platformer.search import prove_each
from envs_jax.words import check_word

__all__ = ["SPLITS", "likeness", "make", "split_of"]

SPLITS = ("train", "test")
_TEST_SHARE = 4  # one level in so many may only be used in tests
_PATIENCE = 40  # seeds tried per level that is asked for


def split_of(level: Map) -> str:
    """Which split a level belongs to, whoever draws it, wherever it lies and however mirrored."""
    return "test" if int(likeness(level)[:8], 16) % _TEST_SHARE == 0 else "train"


class _Job:
    """Levels of one generator for one category."""

    def __init__(self, name: str, family: str, preset: str, count: int, seed: int) -> None:
        self.category, self.family, self.preset = name, family, preset
        self.count, self.first, self.seed = count, seed, seed
        self.waiting = 0
        self.found = list[tuple[int, Map, Proof]]()

    @property
    def missing(self) -> int:
        """How many levels are still to be found."""
        return max(self.count - len(self.found), 0)

    def bank(self) -> Bank:
        """The levels of the lowest seeds: it does not matter in which order they were found."""
        found = sorted(self.found, key=lambda row: row[0])[: self.count]
        seeds, maps, proofs = zip(*found, strict=True)
        count = len(seeds)
        return Bank(
            maps=maps,
            proofs=proofs,
            categories=(self.category,) * count,
            generators=(f"{self.family}:{self.preset}",) * count,
            seeds=seeds,
            tiers=(category(self.category).tier,) * count,
        )


def make(
    categories: Sequence[str],
    counts: Sequence[int],
    seeds: Sequence[int] | None = None,
    *,
    split: str = "train",
    effort: Effort | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Bank:
    """Draw levels, prove them and put them in order.

    A level that is like an earlier one, is of the other split, or is not proved within the effort
    is left out, and the next seed tried.

    Args:
        categories: names.
        counts: of levels of each, spread evenly over the category's generators.
        seeds: where the seeds of each start; by default the category's own for this split.
        split: "train" or "test".
        effort: of the proofs.
        say: told of progress, in lines.

    Raises:
        ValueError: for an unknown category or split.
        BankError: if nothing is asked for, or a generator has not enough levels that can be proved.
    """
    check_word("split", split, SPLITS)
    if seeds is None:
        seeds = [getattr(category(name), f"{split}_seed") for name in categories]
    jobs = [
        job
        for name, count, seed in zip(categories, counts, seeds, strict=True)
        for job in _jobs(name, count, seed)
    ]
    asked = [job for job in jobs if job.count]
    if not asked:
        raise BankError("a bank without levels: at least one is needed")
    _prove(asked, split, effort, say)
    return join([job.bank() for job in asked])


def _jobs(name: str, count: int, seed: int) -> Iterator[_Job]:
    presets = category(name).presets
    for place, (family, preset) in enumerate(presets):
        share = count // len(presets) + (place < count % len(presets))
        yield _Job(name, family, preset, share, seed)


def _prove(jobs: list[_Job], split: str, effort: Effort | None, say: Callable[[str], None]) -> None:
    """Have each job find as many levels as it wants."""
    likenesses = set[str]()
    asked = list[tuple[_Job, int, Map]]()

    def candidates() -> Iterator[Map]:
        while any(job.missing for job in jobs):
            # First what is needed if all goes well, then more of what may go wrong.
            job = max(jobs, key=lambda job: job.missing / (job.waiting + 1.0))
            if job.missing <= job.waiting:
                job = max(jobs, key=lambda job: (job.missing > 0, -job.waiting))
            seed, level = _next(job, split, likenesses)
            job.waiting += 1
            asked.append((job, seed, level))
            yield level

    total, began, told = sum(job.count for job in jobs), time.monotonic(), 0.0
    for tried, (number, proof) in enumerate(prove_each(candidates(), effort), 1):
        job, seed, level = asked[number]
        job.waiting -= 1
        if proof is not None:
            job.found.append((seed, level, proof))
        missing, now = sum(job.missing for job in jobs), time.monotonic() - began
        if now - told > 5.0:
            told = now
            say(f"{total - missing} of {total} levels proved, {tried} tried, {now:.0f} s")
    say(f"{total} levels proved, {len(asked)} tried, {time.monotonic() - began:.0f} s")


def _next(job: _Job, split: str, likenesses: set[str]) -> tuple[int, Map]:
    """The next seed of a job whose level is new and of the split."""
    while job.seed - job.first < _PATIENCE * max(job.count, 5):
        seed, job.seed = job.seed, job.seed + 1
        level = generate(job.family, job.preset, seed)
        alike = likeness(level)
        if alike not in likenesses and split_of(level) == split:
            likenesses.add(alike)
            return seed, level
    raise BankError(
        f"{job.family}:{job.preset} of category {job.category} gave {len(job.found)} levels out of"
        f" {job.seed - job.first} seeds: {job.count} are asked for"
    )


def likeness(level: Map) -> str:
    """The same for levels that differ only in where they lie in the rock, or are mirrored."""
    return min(_outline(level), _outline(mirrored(level)))


def _outline(level: Map) -> str:
    rows, columns = np.nonzero(level.tiles != 1)
    top, left = int(rows.min()), int(columns.min())
    tiles = level.tiles[top : rows.max() + 1, left : columns.max() + 1]
    places = [(0, *level.ninja)]
    for entity in level.entities:
        places.append((entity.type, entity.x, entity.y))
        if entity.switch is not None:
            places.append((-entity.type, *entity.switch))
    moved = sorted((kind, x - 4 * left, y - 4 * top) for kind, x, y in places)
    return hashlib.sha256(repr((tiles.shape, tiles.tobytes(), moved)).encode()).hexdigest()
