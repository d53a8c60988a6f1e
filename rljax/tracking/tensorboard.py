"""TensorBoard event files, through tensorboardX."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rljax.core.errors import UserError

_FLUSH_SECONDS = 10.0


class TensorBoardSink:
    """Scalars over environment steps, lines of text under "log". Not-finite numbers are gaps.

    Rows are written from here and not by tensorboardX's own thread: of a full disk that thread
    dies without a word, and as nobody empties its queue then, training would wait on it for ever.

    Args:
        log_dir: folder of the event files; ``tensorboard --logdir`` takes it or any parent.
        resume_step: environment steps at which the run goes on; TensorBoard hides what an
            earlier process wrote beyond it. None for a new run.

    Raises:
        UserError: tensorboardX is not installed.
    """

    def __init__(self, log_dir: str | Path, resume_step: int | None = None) -> None:
        try:
            from tensorboardX import summary
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError:
            raise UserError("TensorBoard events need a package: pip install tensorboardX") from None
        self._event, self._values, self._text = (event_pb2.Event, summary_pb2.Summary, summary.text)
        Path(log_dir).mkdir(parents=True, exist_ok=True)
        # Two processes may start within the one second that the file's name resolves.
        suffix = f".{time.time_ns() % 10**9:09d}"
        self._writer = EventsWriter(str(Path(log_dir) / "events"), suffix)
        self._flushed = -math.inf
        self._env_steps = resume_step or 0
        if resume_step is not None:
            # TensorBoard purges from this step on, and the row at resume_step itself is good.
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(resume_step + 1, session_log=start)

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        self._env_steps = int(env_steps)
        values = [
            self._values.Value(tag=name, simple_value=number)
            for name, number in ((name, float(value)) for name, value in metrics.items())
            if math.isfinite(number)
        ]
        self._write(self._env_steps, summary=self._values(value=values))

    def text(self, message: str) -> None:
        self._write(self._env_steps, summary=self._text("log", message))

    def close(self, status: str) -> None:
        self._write(self._env_steps, summary=self._text("status", status))
        self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        self._writer.write_event(self._event(wall_time=time.time(), step=step, **content))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()
