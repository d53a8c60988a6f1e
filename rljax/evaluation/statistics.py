"""Statistics over runs: robust means, bootstrap intervals, and how likely one beats another.

The unit is a run (one training seed), never an episode: episodes of one policy are not independent
evidence about its algorithm. Scores are ``[runs]`` or ``[runs, tasks]``. What to report follows
Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (NeurIPS
2021); how it is computed is SciPy's business. Everything is seeded: the same scores give the same
interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy  # loads scipy.stats, which takes a moment, when that is first asked for
from numpy.typing import ArrayLike, NDArray

from rljax.core.errors import UserError

Scores = NDArray[np.float64]
# Takes [..., runs, tasks], gives [...]: one number for each stack of scores.
Statistic = Callable[[Scores], Scores]


class Estimate(NamedTuple):
    """A statistic and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def mean(scores: Scores) -> Scores:
    """Mean over runs and tasks, ``[..., runs, tasks] -> [...]``."""
    return np.asarray(scores.mean((-2, -1)))


def median(scores: Scores) -> Scores:
    """Median over tasks of the mean over runs, ``[..., runs, tasks] -> [...]``.

    With one task this would be the mean, so there it is the median over runs.
    """
    if scores.shape[-1] == 1:
        return np.asarray(np.median(scores[..., 0], -1))
    return np.asarray(np.median(scores.mean(-2), -1))


def interquartile_mean(scores: Scores) -> Scores:
    """Mean of the middle half of all runs of all tasks, ``[..., runs, tasks] -> [...]``.

    A quarter (rounded down) of the scores is dropped at each end; with fewer than four scores it
    is the mean.
    """
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.asarray(scipy.stats.trim_mean(flat, 0.25, axis=-1))


def bootstrap(
    scores: ArrayLike,
    statistic: Statistic = interquartile_mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """`statistic` of `scores` with a stratified percentile bootstrap interval.

    Runs are drawn with replacement within each task, so every resample holds every task.

    With few runs the interval is too narrow, as bootstraps are: for normal scores the nominal 95 %
    interval of the mean holds the truth in 74 % of cases with 3 runs, 85 % with 5, 91 % with 10
    and 94 % with 20 (measured). With one run there is nothing to resample: low and high are the
    value itself.

    Args:
        scores: ``[runs]`` or ``[runs, tasks]``, finite.
        statistic: maps ``[..., runs, tasks]`` to ``[...]``; one of this module or your own.
        confidence: share of the resamples inside the interval, in (0, 1).
        resamples: how many; the work is one vectorised pass over ``[resamples, runs, tasks]``.
        seed: of the resampling.

    Raises:
        UserError: no scores, a score that is not finite, a confidence outside (0, 1).
    """

    def of_tasks(*tasks: Scores, axis: int) -> Scores:
        return statistic(np.stack(tasks, -1))

    return _estimate(_table(scores).T, of_tasks, confidence, resamples, seed)


def probability_of_improvement(
    scores: ArrayLike,
    baseline: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """P(a run of `scores` beats a run of `baseline`), averaged over tasks; a tie counts half.

    That is the Mann-Whitney U of each task over the number of its pairs. The interval is a
    bootstrap over both sets of runs, stratified by task; `bootstrap` says what it is worth when
    runs are few, and with one run on either side it is the value itself. To decide whether there
    is a difference at all, use `rank_test`.

    Args:
        scores: ``[runs]`` or ``[runs, tasks]``.
        baseline: the same tasks; the number of runs may differ.
        confidence: as in `bootstrap`.
        resamples: as in `bootstrap`.
        seed: as in `bootstrap`.

    Raises:
        UserError: as `bootstrap`, and when the numbers of tasks differ.
    """
    ours, theirs = _table(scores), _table(baseline)
    tasks = ours.shape[1]
    if tasks != theirs.shape[1]:
        raise UserError(
            f"scores have {tasks} tasks and the baseline {theirs.shape[1]}, expected equal"
        )

    def share_of_wins(*samples: Scores, axis: int) -> Scores:
        x, y = np.stack(samples[:tasks]), np.stack(samples[tasks:])
        # Only U is read: the quickest way to the p-value will do.
        u = scipy.stats.mannwhitneyu(x, y, axis=-1, method="asymptotic").statistic
        return np.asarray(u.mean(0) / (x.shape[-1] * y.shape[-1]))

    return _estimate([*ours.T, *theirs.T], share_of_wins, confidence, resamples, seed)


def rank_test(scores: ArrayLike, baseline: ArrayLike, *, seed: int = 0) -> float:
    """p-value of two equal distributions, two-sided Mann-Whitney test by permutations.

    Permutations because success rates are full of ties, which the usual formulas do not like: all
    of them where there are fewer than 10,000, else that many at random. The smallest p that n and
    m runs can reach is two over the number of ways to choose n of n + m.

    Args:
        scores: ``[runs]``.
        baseline: ``[runs]``, maybe another number.
        seed: of the permutations.

    Returns:
        The p-value; 1 where either side has one run, which can show nothing.

    Raises:
        UserError: as `bootstrap`.
    """
    ours, theirs = _table(scores)[:, 0], _table(baseline)[:, 0]
    if min(len(ours), len(theirs)) < 2:
        return 1.0
    permutations = scipy.stats.PermutationMethod(rng=np.random.default_rng(seed))
    return float(scipy.stats.mannwhitneyu(ours, theirs, method=permutations).pvalue)


def summarise(values: ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> dict[str, float]:
    """What to report of one number per run.

    Returns:
        ``mean``, ``sd`` (of a sample, n - 1), ``median``, ``iqm``; ``low`` and ``high``, the
        bootstrap interval of the iqm; ``n``, the number of runs. One run says nothing about
        spread: its sd is 0 and its interval is the value, so read them with ``n``.

    Raises:
        UserError: `values` is empty, not one-dimensional, or holds a number that is not finite.
    """
    if np.ndim(values) != 1:
        raise UserError(f"expected one number per run, [runs], got shape {np.shape(values)}")
    table = _table(values)
    iqm, low, high = bootstrap(values, confidence=confidence, seed=seed)
    return {
        "mean": float(mean(table)),
        "sd": float(table.std(ddof=1)) if len(table) > 1 else 0.0,
        "median": float(median(table)),
        "iqm": iqm,
        "low": low,
        "high": high,
        "n": len(table),
    }


def _table(scores: ArrayLike) -> Scores:
    table = np.asarray(scores, np.float64)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or not table.size:
        raise UserError(f"expected scores [runs] or [runs, tasks], got shape {np.shape(scores)}")
    if not np.isfinite(table).all():
        bad = int((~np.isfinite(table)).sum())
        raise UserError(f"{bad} of {table.size} scores are not finite; a failed run needs a score")
    return table


def _estimate(
    samples: Sequence[Scores] | Scores,
    statistic: Callable[..., Any],
    confidence: float,
    resamples: int,
    seed: int,
) -> Estimate:
    """Statistic of samples, each ``[runs]`` and drawn by itself, with a percentile interval."""
    if not 0 < confidence < 1:
        raise UserError(f"confidence: got {confidence}, expected float in (0, 1)")
    value = float(statistic(*samples, axis=-1))
    if min(map(len, samples)) < 2:
        return Estimate(value, value, value)
    interval = scipy.stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))
