"""The interface of everything that records a run, and many recorders as one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

_LOGGER = logging.getLogger(__name__)


class Sink(Protocol):
    """Something that takes the metrics of a run.

    Metric names are words with slashes, "loss/policy"; steps are environment steps over all
    environments and devices. A sink may raise anything: `MultiSink` contains it.
    """

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        """Records `metrics` as they were after `env_steps` environment steps."""

    def text(self, message: str) -> None:
        """Records one line for a person."""

    def close(self, status: str) -> None:
        """Writes what is still held back; `status` says how the run ended ("finished", ...)."""


class MultiSink:
    """Many sinks as one. A sink that raises is disabled with one warning; the run goes on."""

    def __init__(self, sinks: Iterable[Sink]) -> None:
        self._sinks = list(sinks)

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        for sink in tuple(self._sinks):
            with self._contained(sink):
                sink.log(metrics, env_steps)

    def text(self, message: str) -> None:
        for sink in tuple(self._sinks):
            with self._contained(sink):
                sink.text(message)

    def close(self, status: str) -> None:
        for sink in tuple(self._sinks):
            with self._contained(sink):
                sink.close(status)
        self._sinks.clear()

    @contextlib.contextmanager
    def _contained(self, sink: Sink) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._sinks.remove(sink)
            kind, problem = type(sink).__name__, f"{type(error).__name__}: {error}"
            _LOGGER.warning("%s is disabled, training goes on: %s", kind, problem)
            with contextlib.suppress(Exception):
                sink.close("failed")
