from __future__ import annotations

import io
from typing import Any

import pytest

from rljax.tracking import ConsoleSink


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


METRICS = {
    "episode/return": 12.345,
    "policy/approximate_kl": 0.01,
    "value/explained_variance": 0.87,
    "speed/steps_per_s": 2000.0,
    "loss/policy": 3.0,
}


def console(**options: Any) -> tuple[ConsoleSink, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return ConsoleSink(1_000_000, stream=stream, clock=clock, **options), stream, clock


def test_rows_show_speed_return_kl_explained_variance_and_time_left() -> None:
    sink, stream, _ = console()
    sink.log(METRICS, 250_000)
    assert stream.getvalue() == (
        " 25.0%  250k steps  2.00k/s  return 12.35  KL 0.0100  EV 0.87  6m 15s left\n"
    )


def test_rows_come_every_few_seconds_and_the_last_is_never_missed() -> None:
    sink, stream, clock = console(every_s=5.0)
    for step in range(1, 8):
        clock.now += 1.0
        sink.log(METRICS, 100_000 * step)
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["10.0%", "60.0%"]
    sink.close("stopped")
    rows = stream.getvalue().splitlines()
    assert rows[2].startswith(" 70.0%") and len(rows) == 4
    assert rows[3] == "stopped at 700k steps after 7s"


def test_speed_of_a_resumed_run_counts_only_its_own_steps() -> None:
    sink, stream, clock = console(start_step=500_000)
    clock.now += 10.0
    sink.log({}, 510_000)
    assert "1.00k/s  return -  KL -  EV -  8m 10s left" in stream.getvalue()


def test_metrics_that_a_row_lacks_keep_their_last_value() -> None:
    sink, stream, clock = console(every_s=0.0)
    sink.log(METRICS, 1000)
    sink.log({"policy/approximate_kl": float("nan")}, 2000)
    assert "return 12.35  KL nan  EV 0.87" in stream.getvalue().splitlines()[1]


@pytest.mark.parametrize(
    ("steps", "seconds", "expected"),
    [(999, 0.5, "999 steps"), (999_999, 1, "1000k steps"), (12_345_678, 90_061, "12.3M steps")],
)
def test_numbers_are_short(steps: int, seconds: float, expected: str) -> None:
    sink, stream, clock = console()
    clock.now += seconds
    sink.log({}, steps)
    sink.close("done")
    assert f"  {expected}  " in stream.getvalue()
    spent = {0.5: "0s", 1: "1s", 90_061: "1d 01h"}[seconds]
    assert stream.getvalue().endswith(f"after {spent}\n")


def test_bar_draws_progress_and_keeps_text_apart() -> None:
    sink, stream, _ = console(mode="bar")
    assert "compiling" in stream.getvalue()
    sink.log(METRICS, 250_000)
    sink.text("saved [bold] checkpoint")
    sink.close("finished")
    shown = stream.getvalue()
    assert "25%" in shown and "return 12.35" in shown and "KL 0.0100" in shown
    assert "saved [bold] checkpoint" in shown  # text is no markup
    assert shown.rstrip().endswith("finished at 250k steps after 0s")


def test_silent_is_silent() -> None:
    sink, stream, _ = console(mode="silent")
    sink.log(METRICS, 1000)
    sink.text("hello")
    sink.close("finished")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("mode", ["auto", "bar"])
def test_stdout_stays_free(mode: Any, capsys: Any) -> None:
    sink = ConsoleSink(1000, mode=mode)
    sink.log(METRICS, 10)
    print("{}")
    sink.text("hello")
    sink.close("finished")
    captured = capsys.readouterr()
    assert captured.out == "{}\n"
    assert "hello" in captured.err and "finished" in captured.err


def test_time_left_is_that_of_all_members() -> None:
    """Four members of 1 M steps each: 40,000 a second of all are 10,000 of each."""
    for metrics in ({"speed/steps_per_s": 40_000.0}, {}):
        sink, stream, clock = console(every_s=0.0, members=4)
        clock.now += 10
        sink.log(metrics, 100_000)
        assert "40.0k/s" in stream.getvalue() and "1m 30s left" in stream.getvalue()
