"""What a person sees of a run: a progress bar, or plain rows where there is no terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

# Metric, its name on the screen, and its format.
_SHOWN = (
    ("episode/return", "return", ".2f"),
    ("policy/approximate_kl", "KL", ".4f"),
    ("value/explained_variance", "EV", ".2f"),
)
# Likewise, the first of these that a run has.
_SHOWN_IF_KNOWN = (("curriculum/stage", "stage", ".3g"), ("curriculum/level", "level", ".2f"))
_SPEED = "speed/steps_per_s"


class ConsoleSink:
    """Progress on stderr, so that stdout is free for results that a program reads.

    Args:
        total_steps: environment steps of the whole run.
        start_step: environment steps done before this process (when a run is resumed).
        members: how many train at once; steps are those of each, the speed is that of all.
        mode: "bar" a live progress bar; "rows" plain lines; "silent" nothing; "auto" a bar on
            a terminal, else rows.
        every_s: seconds from one plain row to the next; the first and the last are always shown.
        stream: where to write; None is ``sys.stderr``.
        clock: seconds; replaced in tests.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        start_step: int = 0,
        members: int = 1,
        mode: Literal["auto", "bar", "rows", "silent"] = "auto",
        every_s: float = 5.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        if mode == "auto":
            mode = "bar" if self._stream.isatty() else "rows"
        self._mode, self._every_s, self._clock = mode, every_s, clock
        self._total, self._start, self._env_steps = total_steps, start_step, start_step
        self._members = members
        self._began = clock()
        self._next_row = -math.inf
        self._pending = False
        self._latest: dict[str, float] = {}
        self._bar = _Bar(self._stream, total_steps, start_step) if mode == "bar" else None

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        self._latest.update({name: float(metrics[name]) for name in _NAMES if name in metrics})
        self._env_steps, self._pending = int(env_steps), True
        if self._bar:
            self._bar.show(self._env_steps, self._status())
        elif self._clock() >= self._next_row:
            self._row()

    def text(self, message: str) -> None:
        if self._bar:
            self._bar.print(message)
        elif self._mode == "rows":
            print(message, file=self._stream, flush=True)

    def close(self, status: str) -> None:
        if self._bar:
            self._bar.stop()
        elif self._pending:
            self._row()
        seconds = _duration(self._clock() - self._began)
        self._bar = None
        if self._mode != "silent":
            end = f"{status} at {_short(self._env_steps)} steps after {seconds}"
            print(end, file=self._stream, flush=True)

    def _row(self) -> None:
        self._next_row, self._pending = self._clock() + self._every_s, False
        if self._mode == "rows":
            share = f"{100 * self._env_steps / self._total:5.1f}%"
            print(f"{share}  {self._status()}", file=self._stream, flush=True)

    def _status(self) -> str:
        done, seconds = self._env_steps - self._start, self._clock() - self._began
        mean = self._members * done / seconds if seconds > 0 else math.nan
        rate = self._latest.get(_SPEED, mean)
        left = (self._total - self._env_steps) * self._members / rate if rate > 0 else math.nan
        parts = [f"{_short(self._env_steps)} steps", f"{_short(rate)}/s"]
        for metric, name, form in _SHOWN:
            known = metric in self._latest
            parts.append(f"{name} {self._latest[metric]:{form}}" if known else f"{name} -")
        for metric, name, form in _SHOWN_IF_KNOWN:
            if metric in self._latest:
                parts.append(f"{name} {self._latest[metric]:{form}}")
                break
        return "  ".join([*parts, f"{_duration(left)} left"])


_NAMES = (_SPEED, *(metric for metric, _, _ in _SHOWN + _SHOWN_IF_KNOWN))


class _Bar:
    """The live progress bar of rich."""

    def __init__(self, stream: TextIO, total: int, start: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        console = Console(file=stream, force_terminal=True)
        columns: tuple[Any, ...] = (
            BarColumn(bar_width=max(6, console.width - 76)),
            TaskProgressColumn(),
            TextColumn("{task.fields[status]}", markup=False),
        )
        self._progress = Progress(
            *columns,
            console=console,
            redirect_stdout=False,  # rich would send what is printed to stdout to stderr
            refresh_per_second=2,
        )
        self._task = self._progress.add_task(
            "", total=total, completed=start, status="compiling the first steps"
        )
        self._progress.start()

    def show(self, env_steps: int, status: str) -> None:
        self._progress.update(self._task, completed=env_steps, status=status)

    def print(self, message: str) -> None:
        self._progress.console.print(message, markup=False, highlight=False)

    def stop(self) -> None:
        self._progress.stop()


def _short(number: float) -> str:
    """1234567 as 1.23M."""
    if not math.isfinite(number):
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            decimals = 2 if number < 10 * size else 1 if number < 100 * size else 0
            return f"{number / size:.{decimals}f}{letter}"
    return f"{number:.0f}"


def _duration(seconds: float) -> str:
    """3723 as 1h 02m."""
    if not math.isfinite(seconds):
        return "-"
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d {h:02d}h"
    if hours:
        return f"{h}h {m:02d}m"
    return f"{m}m {s:02d}s" if minutes else f"{s}s"
