"""Making banks: levels are drawn, proved, and those kept that are new."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from envs_jax.platformer.bank import Bank, BankError, join
from envs_jax.platformer.generators import category, generate
from envs_jax.platformer.generators.draft import mirrored
from envs_jax.platformer.maps import Map
from envs_jax.platformer.proof import Effort, Proof
from envs_jax.platformer.replays import decode_inputs, encode_inputs
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
        self.spent = False  # no seed gives a new level any more
        self.found = list[tuple[int, Map, Proof]]()

    @property
    def name(self) -> str:
        """Of the generator."""
        return f"{self.family}:{self.preset}"

    @property
    def missing(self) -> int:
        """How many levels are still to be found."""
        return max(self.count - len(self.found), 0)

    @property
    def patience(self) -> int:
        """How many seeds may be tried."""
        return _PATIENCE * max(self.count, 5)

    def bank(self) -> Bank:
        """The levels of the lowest seeds: it does not matter in which order they were found."""
        found = sorted(self.found, key=lambda row: row[0])[: self.count]
        seeds, maps, proofs = zip(*found, strict=True)
        count = len(seeds)
        return Bank(
            maps=maps,
            proofs=proofs,
            categories=(self.category,) * count,
            generators=(self.name,) * count,
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
    journal: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Bank:
    """Draw levels, prove them and put them in order.

    A level that is like an earlier one, is of the other split, or is not proved within the effort
    is left out, and the next seed tried. What a generator with few distinct levels falls short of,
    the others of its category make up for.

    Args:
        categories: names.
        counts: of levels of each, spread evenly over the category's generators.
        seeds: where the seeds of each start; by default the category's own for this split.
        split: "train" or "test".
        effort: of the proofs.
        journal: where proofs are noted as they come. What an interrupted call has noted there, the
            next does not search for again.
        say: told of progress, in lines.

    Raises:
        ValueError: for an unknown category or split.
        BankError: if nothing is asked for, or the generators of a category have not enough levels
            that can be proved.
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
    _prove(asked, split, effort, _Journal(journal), say)
    return join([job.bank() for job in asked if job.found])


def _jobs(name: str, count: int, seed: int) -> Iterator[_Job]:
    presets = category(name).presets
    for place, (family, preset) in enumerate(presets):
        share = count // len(presets) + (place < count % len(presets))
        yield _Job(name, family, preset, share, seed)


class _Journal:
    """Proofs as they come, one line of JSON a level, lest an interruption makes them be in vain."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = dict[tuple[str, int], Proof | None]()
        for line in path.read_text().splitlines() if path and path.exists() else ():
            with contextlib.suppress(ValueError):  # the last line may have been cut short
                name, seed, inputs = json.loads(line)
                self._known[name, seed] = None if inputs is None else _proof(bytes.fromhex(inputs))

    def __contains__(self, key: tuple[str, int]) -> bool:
        return key in self._known

    def __getitem__(self, key: tuple[str, int]) -> Proof | None:
        return self._known[key]

    def note(self, key: tuple[str, int], proof: Proof | None) -> None:
        """Write a proof down, or that there is none."""
        if self._path is None:
            return
        inputs = None if proof is None else encode_inputs(proof.horizontal, proof.jump).hex()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps([*key, inputs]) + "\n")


def _proof(inputs: bytes) -> Proof:
    return Proof(*decode_inputs(np.frombuffer(inputs, np.uint8)))


def _prove(
    jobs: list[_Job],
    split: str,
    effort: Effort | None,
    journal: _Journal,
    say: Callable[[str], None],
) -> None:
    """Have each job find as many levels as it wants."""
    likenesses = set[str]()
    asked = list[tuple[_Job, int, Map]]()
    tried = 0

    def settle(job: _Job, seed: int, level: Map, proof: Proof | None) -> None:
        nonlocal tried
        tried += 1
        job.waiting -= 1
        if proof is not None:
            job.found.append((seed, level, proof))
        if job.spent and not job.waiting and job.missing:
            _pass_on(job, jobs, say)

    def candidates() -> Iterator[Map]:
        while wanting := [job for job in jobs if job.missing and not job.spent]:
            # First what is needed if all goes well, then more of what may go wrong.
            job = max(wanting, key=lambda job: job.missing / (job.waiting + 1.0))
            if job.missing <= job.waiting:
                job = min(wanting, key=lambda job: job.waiting)
            following = _next(job, split, likenesses)
            if following is None:
                job.spent = True
                if not job.waiting:
                    _pass_on(job, jobs, say)
                continue
            job.waiting += 1
            key = (job.name, following[0])
            if key in journal:
                settle(job, *following, journal[key])
                continue
            asked.append((job, *following))
            yield following[1]

    total, began, told = sum(job.count for job in jobs), time.monotonic(), 0.0
    while any(job.missing for job in jobs):  # again, if what was passed on came when all had ended
        asked.clear()
        for number, proof in prove_each(candidates(), effort):
            job, seed, level = asked[number]
            journal.note((job.name, seed), proof)
            settle(job, seed, level, proof)
            missing, now = sum(job.missing for job in jobs), time.monotonic() - began
            if now - told > 5.0:
                told = now
                say(f"{total - missing} of {total} levels proved, {tried} tried, {now:.0f} s")
    say(f"{total} levels proved, {tried} tried, {time.monotonic() - began:.0f} s")


def _pass_on(spent: _Job, jobs: list[_Job], say: Callable[[str], None]) -> None:
    """Let the others of a category make up for what one of them falls short of."""
    short = (
        f"{spent.name} of category {spent.category} gave {len(spent.found)} levels out of"
        f" {spent.seed - spent.first} seeds: {spent.count} are asked for"
    )
    others = [job for job in jobs if job.category == spent.category and not job.spent]
    if not others:
        raise BankError(short)
    say(f"{short}; the others of its category make up for the rest")
    for number in range(spent.missing):
        others[number % len(others)].count += 1
    spent.count = len(spent.found)


def _next(job: _Job, split: str, likenesses: set[str]) -> tuple[int, Map] | None:
    """The next seed of a job whose level is new and of the split, if there is one."""
    while job.seed - job.first < job.patience:
        seed, job.seed = job.seed, job.seed + 1
        level = generate(job.family, job.preset, seed)
        alike = likeness(level)
        if alike not in likenesses and split_of(level) == split:
            likenesses.add(alike)
            return seed, level
    return None


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
