"""What a run costs: time, processor time, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Usage:
    """Clocks of a run; training is timed apart from compiling, evaluating and saving."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._train_wall = self._train_cpu = 0.0
        self._mark: tuple[float, float] | None = None

    def start(self) -> None:
        """Begin to time training."""
        self._mark = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """Stop timing it."""
        if self._mark is not None:
            self._train_wall += time.perf_counter() - self._mark[0]
            self._train_cpu += time.process_time() - self._mark[1]
            self._mark = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time nothing inside the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def report(self, env_steps: int) -> dict[str, Any]:
        """Return wall_s, steps_per_s, cpu_us_per_step and peak_rss_mb of ``env_steps`` steps."""
        self.stop()
        return {
            "wall_s": round(time.perf_counter() - self._began, 3),
            "train_s": round(self._train_wall, 3),
            "steps_per_s": round(env_steps / self._train_wall, 1) if self._train_wall else None,
            "cpu_us_per_step": (round(self._train_cpu / env_steps * 1e6, 4) if env_steps else None),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }
