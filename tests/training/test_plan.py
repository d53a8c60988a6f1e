"""When things are due, in whole updates."""

from __future__ import annotations

import pytest

from rljax.training.plan import Plan, make_plan
from tiny_runs import STEPS, plain


def _plan(total: int = 20, log: int = 3, evaluate: int = 10, checkpoint: int = 5) -> Plan:
    return Plan(total, log, evaluate, checkpoint, STEPS)


def test_intervals_are_rounded_up_to_whole_updates() -> None:
    config = plain(
        total_steps=20 * STEPS + 1,
        log_every=1,
        evaluation={"every": 2 * STEPS},
        checkpoint={"every": 2 * STEPS + 1},
    )
    assert make_plan(config, STEPS) == Plan(21, 1, 2, 3, STEPS)


@pytest.mark.parametrize(("updates", "log", "tenth"), [(1, 1, 1), (150, 1, 15), (1001, 6, 101)])
def test_without_intervals_there_are_200_rows_and_ten_of_the_rest(
    updates: int, log: int, tenth: int
) -> None:
    nothing = {"log_every": None, "evaluation": {"every": None}, "checkpoint": {"every": None}}
    plan = make_plan(plain(total_steps=updates * STEPS, **nothing), STEPS)
    assert plan == Plan(updates, log, tenth, tenth, STEPS)


def test_chunks_end_where_something_is_due() -> None:
    plan, done, stops = _plan(), 0, []
    while done < plan.total:
        done = plan.next_stop(done)
        stops.append(done)
    assert stops == [3, 5, 6, 9, 10, 12, 15, 18, 20]
    assert plan.next_stop(7) == 9  # from wherever a run goes on


def test_everything_is_due_at_the_end() -> None:
    plan = _plan(total=20, evaluate=7)
    assert [done for done in range(1, 21) if plan.due(plan.evaluate, done)] == [7, 14, 20]
    assert _plan(total=4).next_stop(3) == 4
