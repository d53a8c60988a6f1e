"""Whether one side is better than another: a rank test over training seeds decides.

p-values are corrected for the number of sides that are compared with the first (Holm 1979).  One
seed a side shows nothing, however large the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rljax.evaluation.comparing.sides import Side
from rljax.evaluation.statistics import (
    Estimate,
    bootstrap,
    median,
    probability_of_improvement,
    rank_test,
)

COMPARED = {
    "final success": ("success", "final"),
    "final return": ("return", "final"),
    "success in the last quarter of training": ("success", "Q4"),
    "return in the last quarter of training": ("return", "Q4"),
}
"""Measures that sides are compared by, the one to look at first at the top; more is better."""


@dataclass(frozen=True)
class Contrast:
    """A side against the first one.

    Attributes:
        measure: in what, a name of COMPARED.
        base: the first side's key.
        other: the other's.
        seeds: how many of each have the measure.
        medians: of each, with their bootstrap intervals.
        improvement: probability that a seed of the other beats one of the first.
        p: p-value of no difference, corrected.
        least_p: the smallest that so few seeds can reach.
        alpha: what p must be below for a difference to be shown.
    """

    measure: str
    base: str
    other: str
    seeds: tuple[int, int]
    medians: tuple[Estimate, Estimate]
    improvement: Estimate
    p: float
    least_p: float
    alpha: float

    @property
    def better(self) -> str | None:
        """The key of the side that is better; None if no difference is shown."""
        if self.p >= self.alpha or min(self.seeds) < 2:
            return None
        return self.other if self.improvement.value > 0.5 else self.base


def make_contrasts(sides: Sequence[Side], confidence: float) -> list[Contrast]:
    """Compare every side with the first one, in each measure that both have."""
    return [c for measure in COMPARED for c in _in_one(sides, measure, confidence)]


def estimate(values: Sequence[float], confidence: float) -> Estimate:
    """Return the median over seeds and its interval."""
    return bootstrap(values, median, confidence=confidence)


def _in_one(sides: Sequence[Side], measure: str, confidence: float) -> Iterator[Contrast]:
    (base, old), *others = ((side.key, side.values(*COMPARED[measure])) for side in sides)
    pairs = [(key, new) for key, new in others if old and new]
    ps = holm([rank_test(new, old) for _, new in pairs])
    for (key, new), p in zip(pairs, ps, strict=True):
        least = 1.0
        if min(len(old), len(new)) > 1:
            least = min(1.0, len(pairs) * 2 / math.comb(len(old) + len(new), len(old)))
        yield Contrast(
            measure=measure,
            base=base,
            other=key,
            seeds=(len(old), len(new)),
            medians=(estimate(old, confidence), estimate(new, confidence)),
            improvement=probability_of_improvement(new, old, confidence=confidence),
            p=p,
            least_p=least,
            alpha=1 - confidence,
        )


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: the k-th smallest of n times n - k + 1."""
    order = np.argsort(ps)
    scaled = np.asarray(ps)[order] * (len(ps) - np.arange(len(ps)))
    corrected: list[float] = np.minimum(1, np.maximum.accumulate(scaled))[
        np.argsort(order)
    ].tolist()
    return corrected
