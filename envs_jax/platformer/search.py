"""Proves that levels can be finished, in the real physics, and how quickly.

A best-first search per level: states wait in the order of frames so far plus estimated frames to
go, the best few of each level are tried with every action on the device (many levels at once), and
of states that hardly differ only the quickest is kept. When a level is finished for the first time
the search goes on for a while with what could still be quicker. What comes out is a proof: inputs
that win, when played in the physics of `safe` precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from envs_jax.platformer.expansion import replay
from envs_jax.platformer.frontier import Frontier
from envs_jax.platformer.levels import compile_levels
from envs_jax.platformer.maps import Map
from envs_jax.platformer.proof import Effort, Proof

__all__ = ["Effort", "Proof", "check", "prove", "prove_each"]


def prove(level: Map, effort: Effort | None = None) -> Proof | None:
    """Prove one level; None if no way was found. See `prove_each`."""
    ((_, proof),) = prove_each([level], effort)
    return proof


def prove_each(
    levels: Iterable[Map], effort: Effort | None = None
) -> Iterator[tuple[int, Proof | None]]:
    """Prove levels, many at once.

    Args:
        levels: taken one by one as room comes free, so that what is asked for next may depend on
            what has come out before.
        effort: how hard to try.

    Yields:
        The number of a level, and its proof or None, in the order in which they are found.
    """
    effort = effort or Effort()
    search, numbered = Frontier(effort), enumerate(levels)
    unchecked = list[tuple[int, Map, Proof | None]]()
    waiting = True
    while waiting or search.busy or unchecked:
        while waiting and search.vacant:
            following = next(numbered, None)
            waiting = following is not None
            if following is not None:
                search.admit(*following)
        if search.busy:
            unchecked += search.advance()
        if 4 * len(unchecked) >= effort.slots or not search.busy:
            yield from check(unchecked, effort)
            unchecked = []


def check(
    results: list[tuple[int, Map, Proof | None]], effort: Effort
) -> Iterator[tuple[int, Proof | None]]:
    """Play proofs in `safe` precision; those that do not win there are none."""
    for first in range(0, len(results), effort.slots):
        part = results[first : first + effort.slots]
        levels = compile_levels(
            [level for _, level, _ in part] + [part[0][1]] * (effort.slots - len(part)),
            mines=effort.mines,
            doors=effort.doors,
        )
        horizontal = np.zeros((effort.longest, effort.slots), np.int8)
        jump = np.zeros((effort.longest, effort.slots), bool)
        for column, (_, _, proof) in enumerate(part):
            if proof is not None:
                horizontal[: proof.frames, column] = proof.horizontal
                jump[: proof.frames, column] = proof.jump
        lengths = np.array([proof.frames if proof else 0 for _, _, proof in part])
        won, frames = replay(horizontal, jump, int(lengths.max()), levels, "safe")
        holds = np.asarray(won)[: len(part)] & (np.asarray(frames)[: len(part)] <= lengths)
        for (number, _, proof), is_good, length in zip(part, holds, frames, strict=False):
            if proof is None or not is_good:
                yield number, None
            else:
                yield number, Proof(proof.horizontal[:length], proof.jump[:length])
