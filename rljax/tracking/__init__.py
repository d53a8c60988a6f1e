"""Where the numbers of a run go: one small interface, `Sink`, and what stands behind it."""

from rljax.tracking.console import ConsoleSink
from rljax.tracking.jsonl import JsonlSink, read_metrics
from rljax.tracking.sink import MultiSink, Sink
from rljax.tracking.tensorboard import TensorBoardSink

__all__ = ["ConsoleSink", "JsonlSink", "MultiSink", "Sink", "TensorBoardSink", "read_metrics"]
