"""Where a run's rows go: the screen, the run folder, and whom the caller names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rljax.core.distributed import is_leader
from rljax.tracking import ConsoleSink, JsonlSink, MultiSink, Sink, TensorBoardSink
from rljax.training.run_folder import RunFolder

__all__ = ["Console", "open_sinks"]

Console = Literal["auto", "bar", "rows", "silent"]


def open_sinks(
    folder: RunFolder,
    *,
    total_steps: int,
    env_steps: int,
    members: int,
    resume: bool,
    console: Console,
    others: Sequence[Sink],
) -> MultiSink:
    """Return what is told of a run; nothing in processes that do not lead.

    Args:
        folder: the run folder.
        total_steps: of the whole run, of each member.
        env_steps: done so far.
        members: how many train at once.
        resume: whether to go on in files that are there, which are cut at `env_steps`.
        console: see :class:`rljax.tracking.ConsoleSink`.
        others: more of them.
    """
    if not is_leader():
        return MultiSink([])
    resumed = env_steps if resume else None
    return MultiSink(
        [
            ConsoleSink(total_steps, start_step=env_steps, members=members, mode=console),
            JsonlSink(folder.metrics_path, resumed),
            TensorBoardSink(folder.path, resumed),
            *others,
        ]
    )
