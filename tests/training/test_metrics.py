"""Rows of metrics: what they are the mean of does not depend on how updates came in."""

from __future__ import annotations

import itertools
import json
import math
import random

import numpy as np
import pytest

from rljax.training.metrics import Rows
from rljax.training.plan import Plan

NAMES = ("episode/return", "loss/total", "update/skipped")
PLAN = Plan(total=20, log=3, evaluate=10, checkpoint=5, steps_per_update=64)
Logged = list[tuple[int, dict[str, float]]]


def _values(members: int = 1, seed: int = 0) -> np.ndarray:
    """float32 [members, 20, 3]; no episode ended in about half of the updates."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(members, PLAN.total, len(NAMES))).astype(np.float32) * 1e3
    values[..., 0] = np.where(rng.random(values.shape[:2]) < 0.5, np.nan, values[..., 0])
    values[..., 2] = 0.0
    return values


def _timeless(logged: Logged) -> Logged:
    return [(at, {k: v for k, v in row.items() if "speed" not in k}) for at, row in logged]


def _log(values: np.ndarray, cuts: list[int], rows: Rows | None = None) -> Logged:
    rows = rows or Rows(NAMES, tuple(range(len(values))), PLAN)
    logged = []
    for first, last in itertools.pairwise(cuts):
        logged += rows.add(first, values[:, first:last])
    return _timeless(logged)


def test_a_row_is_the_mean_of_its_updates() -> None:
    values = np.zeros((1, PLAN.total, 3), np.float32)
    values[0, :, 1] = np.arange(PLAN.total)
    values[0, :, 0] = [math.nan, 4.0, 8.0, *[math.nan] * 17]
    logged = _log(values, [0, 20])
    assert [at // 64 for at, _ in logged] == [3, 6, 9, 12, 15, 18, 20]
    assert logged[0][1] == {"episode/return": 6.0, "loss/total": 1.0, "update/skipped": 0.0}
    # A metric that was NaN in all updates of a row is left out of it.
    assert logged[1][1] == {"loss/total": 4.0, "update/skipped": 0.0}
    assert logged[-1][1]["loss/total"] == 18.5  # the last row has two updates only


def test_episodes_count_alike_and_extremes_are_extremes() -> None:
    """One episode of 100 in one update and three of 0 in the next are four with a mean of 25."""
    names = ("episode/count", "episode/return", "episode/return_min", "episode/return_max")
    names += ("update/skipped",)
    values = np.zeros((2, 3, 5), np.float32)
    values[0, 0] = [1, 100, 100, 100, 0]
    values[0, 1] = [3, 0, -7, 7, 0]
    values[0, 2] = [0, np.nan, np.nan, np.nan, 0]
    values[1] = [2, -4, -5, -3, 0]
    rows = Rows(names, (0, 1), PLAN)
    before = rows.add(0, values[:, :1])
    second = Rows(names, (0, 1), PLAN)
    second.go_on(json.loads(json.dumps(rows.state())))
    ((_, row),) = before + second.add(1, values[:, 1:])
    assert [row[f"seed0/{name}"] for name in names] == [4 / 3, 25.0, -7.0, 100.0, 0.0]
    assert [row[f"seed1/{name}"] for name in names] == [2.0, -4.0, -5.0, -3.0, 0.0]
    assert (row["episode/return"], row["episode/return_min"]) == (10.5, -7.0)
    assert row["episode/return_max"] == 100.0


@pytest.mark.parametrize("members", [1, 3])
def test_rows_do_not_depend_on_how_updates_come_in(members: int) -> None:
    values, rng = _values(members), random.Random(0)
    whole = _log(values, [0, 20])
    for _ in range(10):
        cuts = sorted({0, 20, *rng.sample(range(1, 20), rng.randint(1, 10))})
        assert _log(values, cuts) == whole


def test_nor_on_where_a_process_ends() -> None:
    values = _values(2)
    whole = _log(values, [0, 20])
    for stop in range(1, 20):
        first = Rows(NAMES, (0, 1), PLAN)
        before = _log(values, [0, stop], first)
        second = Rows(NAMES, (0, 1), PLAN)
        second.go_on(json.loads(json.dumps(first.state())))
        assert before + _log(values, [stop, 20], second) == whole


def test_a_state_of_other_metrics_is_not_taken_up() -> None:
    other = Rows(("loss/total", "update/skipped"), (0,), PLAN)
    other.add(0, np.ones((1, 2, 2), np.float32))
    rows = Rows(NAMES, (0,), PLAN)
    rows.go_on(other.state())
    rows.go_on({})
    assert _log(_values(), [0, 20], rows) == _log(_values(), [0, 20])


def test_members_have_names_and_a_mean() -> None:
    values = np.zeros((2, 3, 3), np.float32)
    values[0, :, 1], values[1, :, 1] = 1.0, 3.0
    values[0, :, 0], values[1, :, 0] = 7.0, np.nan
    ((_, row),) = Rows(NAMES, (5, 8), PLAN).add(0, values)
    assert row["loss/total"] == 2.0
    assert (row["seed5/loss/total"], row["seed8/loss/total"]) == (1.0, 3.0)
    assert row["episode/return"] == row["seed5/episode/return"] == 7.0
    assert "seed8/episode/return" not in row


def test_speed_counts_the_steps_of_all_members(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("rljax.training.metrics.time.perf_counter", lambda: clock[0])
    rows = Rows(NAMES, (0, 1), PLAN)
    rows.add(0, np.zeros((2, 2, 3), np.float32))
    clock[0] += 2.0
    ((_, row),) = rows.add(2, np.zeros((2, 1, 3), np.float32))
    assert row["speed/steps_per_s"] == 3 * 64 * 2 / 2.0


def test_skipped_steps_are_counted_at_once() -> None:
    values = np.zeros((2, 2, 3), np.float32)
    values[0, 1, 2], values[1, 0, 2] = 4, 1
    rows = Rows(NAMES, (0, 1), PLAN)
    assert rows.add(0, values) == [] and rows.skipped == 5


def test_one_huge_number_spoils_no_other_row() -> None:
    values = _values()
    values[0, 1, 1] = np.inf
    logged = _log(values, [0, 20])
    assert logged[0][1]["loss/total"] == math.inf
    assert all(math.isfinite(row["loss/total"]) for _, row in logged[1:])
