from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import scipy.stats

from rljax.core.errors import UserError
from rljax.evaluation.statistics import (
    bootstrap,
    interquartile_mean,
    mean,
    median,
    probability_of_improvement,
    rank_test,
    summarise,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 7, 8, 31])
@pytest.mark.parametrize("tasks", [1, 6])
def test_interquartile_mean_is_the_trimmed_mean_of_scipy(runs: int, tasks: int) -> None:
    scores = RNG.standard_cauchy((5, runs, tasks))
    expected = scipy.stats.trim_mean(scores.reshape(5, -1), 0.25, axis=1)
    np.testing.assert_allclose(interquartile_mean(scores), expected, rtol=1e-12)


def test_interquartile_mean_ignores_a_quarter_of_outliers_at_each_end() -> None:
    assert interquartile_mean(np.array([[-1e9, 1, 2, 1e9]]).T) == 1.5


def test_median_is_over_tasks_or_with_one_task_over_runs() -> None:
    scores = np.array([[0.0, 1.0, 50.0], [4.0, 3.0, 90.0]])
    assert median(scores) == 2.0 and mean(scores) == pytest.approx(148 / 6)
    assert median(np.array([[1.0], [2.0], [9.0]])) == 2.0


@pytest.mark.parametrize("statistic", [mean, median, interquartile_mean])
def test_interval_is_that_of_plain_resampling(statistic: Any) -> None:
    scores = RNG.gamma(2.0, size=40)
    ours = bootstrap(scores, statistic, resamples=20_000, confidence=0.9)
    draws = statistic(RNG.choice(scores, (20_000, 40))[..., None])
    theirs = np.quantile(draws, (0.05, 0.95))
    assert ours.value == statistic(scores[:, None])
    np.testing.assert_allclose(ours[1:], theirs, atol=0.05 * np.ptp(theirs))


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    samples = np.random.default_rng(3).standard_normal((400, 30))
    intervals = [bootstrap(x, mean, resamples=300, seed=i) for i, x in enumerate(samples)]
    assert 0.89 < np.mean([e.low <= 0 <= e.high for e in intervals]) < 0.98


def test_bootstrap_is_stratified_by_task() -> None:
    # Runs agree within each task, tasks differ: only drawing across tasks would show a spread.
    estimate = bootstrap(np.tile([0.0, 10.0, 100.0], (5, 1)), mean)
    assert estimate.low == estimate.high == pytest.approx(110 / 3)
    # Tasks are drawn apart: errors of equal size average out over tasks, which one joint draw
    # of whole rows would not let them do.
    noise = np.tile(np.arange(8.0)[:, None], (1, 25))
    joint, apart = bootstrap(noise[:, :1], mean), bootstrap(noise, mean)
    assert (apart.high - apart.low) * 4 < joint.high - joint.low


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    scores = RNG.standard_normal((6, 3))
    assert bootstrap(scores, seed=1) == bootstrap(scores, seed=1) != bootstrap(scores, seed=2)


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    ours, theirs = RNG.integers(0, 6, (9, 4)), RNG.integers(0, 5, (7, 4))
    pairs = zip(ours.T, theirs.T, strict=True)
    expected = [scipy.stats.mannwhitneyu(x, y).statistic / 63 for x, y in pairs]
    estimate = probability_of_improvement(ours, theirs)
    assert estimate.value == pytest.approx(np.mean(expected))
    assert estimate.low < estimate.value < estimate.high
    back = probability_of_improvement(theirs, ours)
    assert back.value == pytest.approx(1 - estimate.value)


def test_probability_of_improvement_at_the_ends_and_its_interval() -> None:
    assert probability_of_improvement([4, 5, 6], [1, 2]) == (1.0, 1.0, 1.0)
    assert probability_of_improvement([1.0], [1.0]) == (0.5, 0.5, 0.5)
    ours, theirs = RNG.normal(0.5, size=30), RNG.normal(size=20)
    estimate = probability_of_improvement(ours, theirs, resamples=5000)
    expected = scipy.stats.bootstrap(
        (ours, theirs),
        lambda x, y, axis: (x[..., :, None] > y[..., None, :]).mean((-2, -1)),
        n_resamples=5000,
        method="percentile",
        rng=1,
    ).confidence_interval
    np.testing.assert_allclose(estimate[1:], expected, atol=0.015)


def test_rank_test_counts_all_permutations() -> None:
    # 5 against 5, completely apart: 2 of the 252 ways to deal ten runs are as extreme.
    assert rank_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert rank_test([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20)
    assert rank_test([6, 7, 8, 9], [1, 2, 3, 4, 5]) == pytest.approx(2 / 126)


def test_rank_test_of_ties_and_of_single_runs() -> None:
    assert rank_test([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]) == 1.0
    # Two ties of each kind: of the 6 ways to deal, 2 are as they are.
    assert rank_test([1.0, 1.0], [0.0, 0.0]) == pytest.approx(1 / 3)
    assert rank_test([1.0], np.zeros(99)) == 1.0, "one run shows nothing, however many the others"


def test_rank_test_finds_a_difference_about_as_often_as_it_says_where_there_is_none() -> None:
    pairs = np.random.default_rng(5).standard_normal((300, 2, 5)).round(1)
    assert np.mean([rank_test(x, y) < 0.05 for x, y in pairs]) < 0.08


def test_summary_of_runs() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    summary = summarise(values)
    assert summary["mean"] == 22.0 and summary["median"] == 3.0 and summary["iqm"] == 3.0
    assert summary["sd"] == pytest.approx(np.std(values, ddof=1)) and summary["n"] == 5
    assert 1.0 <= summary["low"] < 3.0 < summary["high"] <= 100.0
    wider = summarise(values, confidence=0.99)
    assert wider["high"] > summary["high"] or wider["low"] < summary["low"]


def test_one_run_claims_no_spread() -> None:
    summary = summarise(np.float32([2.5]))
    assert summary == {
        "mean": 2.5,
        "sd": 0.0,
        "median": 2.5,
        "iqm": 2.5,
        "low": 2.5,
        "high": 2.5,
        "n": 1,
    }
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: summarise([]), r"expected scores .* got shape \(0,\)"),
        (lambda: summarise([[1.0]]), r"expected one number per run, \[runs\], got shape \(1, 1\)"),
        (lambda: bootstrap(np.zeros((1, 2, 3))), r"got shape \(1, 2, 3\)"),
        (lambda: bootstrap([1.0, np.nan, np.inf]), "2 of 3 scores are not finite"),
        (
            lambda: bootstrap([1.0], confidence=95),
            r"confidence: got 95, expected float in \(0, 1\)",
        ),
        (
            lambda: probability_of_improvement(np.zeros((3, 2)), np.zeros((3, 4))),
            "scores have 2 tasks and the baseline 4",
        ),
    ],
)
def test_wrong_scores_get_one_line(call: Any, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        call()
