"""TensorBoard event files, written by tensorboardX (an optional dependency)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from rljax.core.errors import UserError


class TensorBoardSink:
    """Scalars over environment steps, lines of text under "log". Not-finite numbers are gaps.

    Args:
        log_dir: folder of the event files; ``tensorboard --logdir`` takes it or any parent.
        resume_step: environment steps at which the run goes on; TensorBoard hides what an
            earlier process wrote beyond it. None for a new run.

    Raises:
        UserError: tensorboardX is not installed.
    """

    def __init__(self, log_dir: str | Path, resume_step: int | None = None) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UserError("TensorBoard events need a package: pip install tensorboardX") from None
        self._writer = SummaryWriter(
            str(log_dir),
            # TensorBoard purges from this step on, and the row at resume_step itself is good.
            purge_step=None if resume_step is None else resume_step + 1,
            flush_secs=10,
            # Two processes may start within the one second that the file's name resolves.
            filename_suffix=f".{time.time_ns() % 10**9:09d}",
        )
        self._env_steps = resume_step or 0

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        self._env_steps = int(env_steps)
        for name, value in metrics.items():
            if math.isfinite(number := float(value)):
                self._writer.add_scalar(name, number, self._env_steps)

    def text(self, message: str) -> None:
        self._writer.add_text("log", message, self._env_steps)

    def close(self, status: str) -> None:
        self._writer.add_text("status", status, self._env_steps)
        self._writer.close()
