from __future__ import annotations

import json
import logging
import math
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rljax.core.errors import UserError
from rljax.tracking import JsonlSink, MultiSink, TensorBoardSink, read_metrics


class Memory:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        self.seen.append((dict(metrics), env_steps))

    def text(self, message: str) -> None:
        self.seen.append(message)

    def close(self, status: str) -> None:
        self.seen.append(("closed", status))


class Broken(Memory):
    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        raise OSError("disk is full")


def test_a_sink_that_raises_is_closed_and_disabled_with_one_warning(caplog: Any) -> None:
    before, broken, after = Memory(), Broken(), Memory()
    sinks = MultiSink([before, broken, after])
    with caplog.at_level(logging.WARNING):
        for step in (1, 2, 3):
            sinks.log({"loss/policy": 0.5}, step)
        sinks.text("hello")
        sinks.close("finished")
    (record,) = caplog.records
    assert record.getMessage() == "Broken is disabled, training goes on: OSError: disk is full"
    assert broken.seen == [("closed", "failed")]
    rows = [({"loss/policy": 0.5}, step) for step in (1, 2, 3)]
    assert before.seen == after.seen == [*rows, "hello", ("closed", "finished")]


def test_interrupts_are_not_swallowed() -> None:
    class Interrupted(Memory):
        def text(self, message: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MultiSink([Interrupted()]).text("x")


def test_jsonl_rows_are_on_disk_at_once_and_are_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    sink = JsonlSink(path)
    sink.log({"loss/policy": 0.25, "policy/entropy": math.nan, "a": math.inf}, 2**40)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    row = json.loads(path.read_text(), parse_constant=refuse)
    assert row == {"env_steps": 2**40, "loss/policy": 0.25, "policy/entropy": None, "a": None}
    sink.close("finished")
    (back,) = read_metrics(path)
    assert back["env_steps"] == 2**40 and math.isnan(back["policy/entropy"])


def write(path: Path, *steps: int, resume_step: int | None = None) -> None:
    sink = JsonlSink(path, resume_step)
    for step in steps:
        sink.log({"x": float(step)}, step)
    sink.close("finished")


def test_jsonl_resume_doubles_no_row_and_loses_none(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    write(whole, 10, 20, 30, 40)
    write(killed, 10, 20, 30)
    write(killed, 30, 40, resume_step=20)
    assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("half", [b'{"env_steps": 3', b'{"env_steps": 20, "x": 20.0}', b"\x00\xff"])
def test_jsonl_survives_a_half_written_last_line(tmp_path: Path, half: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10)
    with path.open("ab") as file:
        file.write(half)
    assert [row["env_steps"] for row in read_metrics(path)] == [10]
    write(path, 20)
    assert [row["env_steps"] for row in read_metrics(path)] == [10, 20]
    assert len(path.read_bytes().splitlines()) == 2


def test_jsonl_keeps_good_rows_behind_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 10, 20, 30)
    path.write_bytes(path.read_bytes().replace(b'{"env_steps": 20', b'{"env\xffsteps": 20'))
    write(path, 40, resume_step=30)
    assert [row["env_steps"] for row in read_metrics(path)] == [10, 30, 40]


def events(folder: Path) -> list[Any]:
    """Every event in the files of `folder`, oldest file first (TFRecord framing)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.glob("events.*")):
        data = file.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[12 + size + 4 :]
    return found


def test_tensorboard_scalars_and_purge_on_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    first = TensorBoardSink(tmp_path)
    first.log({"loss/policy": 0.5, "loss/value": math.nan}, 2**33)
    first.close("stopped")
    second = TensorBoardSink(tmp_path, resume_step=2**33)
    second.log({"loss/policy": 0.25}, 2**33 + 8)
    second.text("stage two")
    second.close("finished")
    assert len(list(tmp_path.glob("events.*"))) == 2  # also within one second
    scalars = [
        (event.step, value.tag, value.simple_value)
        for event in events(tmp_path)
        for value in event.summary.value
        if "text" not in value.tag
    ]
    assert sorted(scalars) == [
        (2**33, "loss/policy", 0.5),
        (2**33 + 8, "loss/policy", 0.25),
    ]
    # TensorBoard hides what is at or beyond the step of a session start.
    starts = [event.step for event in events(tmp_path) if event.HasField("session_log")]
    assert starts == [2**33 + 1]


def test_tensorboard_without_its_package_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match="pip install tensorboardX"):
        TensorBoardSink("nowhere")


def test_the_package_is_imported_only_when_it_is_used() -> None:
    code = "import sys, rljax.tracking; print({'tensorboardX', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


_FULL = """
import logging, resource, sys
from rljax.tracking import JsonlSink, MultiSink, TensorBoardSink
sinks = MultiSink([TensorBoardSink(sys.argv[1]), JsonlSink(sys.argv[1] + "/metrics.jsonl")])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for step in range(200):
    sinks.log({f"group/metric{i}": float(i) for i in range(30)}, step)
    sinks.text("a line")
sinks.close("finished")
print("went on to the end")
"""


def test_on_a_full_disk_training_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    code = [sys.executable, "-c", _FULL, str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "went on to the end", done.stderr
    assert sorted(line.split()[0] for line in done.stderr.splitlines()) == [
        "JsonlSink",
        "TensorBoardSink",
    ], done.stderr
