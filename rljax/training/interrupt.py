"""Reasons to stop early: signals and a time limit."""

from __future__ import annotations

import re
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

from rljax.core.errors import UserError

REASONS = ("SIGTERM", "SIGINT", "time limit")
"""What :attr:`Interrupt.reason` may be."""

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Return seconds of "90", "90s", "30m" or "11.5h".

    Raises:
        UserError: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([smh]?)", text.strip())
    if not match or float(match.group(1)) <= 0:
        raise UserError(f"time limit: got {text!r}, expected a number with s, m or h, like 11.5h")
    return float(match.group(1)) * _UNITS[match.group(2)]


class Interrupt:
    """Turns SIGTERM, Ctrl-C and a time limit into a reason to stop at the next opportunity.

    A second Ctrl-C stops at once.  Signals are caught only in the main thread, and only inside the
    ``with`` block.

    Args:
        time_limit: seconds from now, or None.
    """

    def __init__(self, time_limit: float | None = None) -> None:
        self._deadline = None if time_limit is None else time.monotonic() + time_limit
        self._signal: str | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self._previous[number] = signal.signal(number, self._caught)
            except ValueError:  # not the main thread: the signals are somebody else's
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = signal.Signals(number).name

    @property
    def seconds_left(self) -> float:
        """Seconds to the time limit; infinite without one."""
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    @property
    def reason(self) -> str | None:
        """Why to stop, one of ``REASONS``, or None to go on."""
        if self._signal is None and self.seconds_left <= 0:
            return "time limit"
        return self._signal
