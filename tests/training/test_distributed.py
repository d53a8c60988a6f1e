"""Several processes train as one: the whole of it, with two processes of two devices each."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers import EXACT
from rljax.core.distributed import gather, initialise, leader_first
from rljax.core.errors import UserError
from rljax.training.program import Program
from rljax.training.train import train
from tiny_runs import (
    STEPS,
    UPDATES,
    digest,
    plain,
    rows,
    run_python,
    start_python,
    wait_for,
)

_PROCESS = """
import json, sys
from pathlib import Path
import tiny_runs
from rljax.core.distributed import initialise
from rljax.core.errors import UserError
from rljax.training.train import train

port, index, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
initialise(f"localhost:{port},2,{index}")
told = {}

def refused(**changes):
    try:
        train(tiny_runs.plain(devices=2, **changes), folder / "normal", console="silent")
    except UserError as error:
        return str(error)

def result(run):
    numbers = {name: run.summary[name] for name in ("env_steps", "state_digest", "nproc")}
    return {"status": run.status} | numbers

told["members"] = refused(seeds=2, seeds_mode="devices")
run = train(tiny_runs.plain(devices=2), folder / "normal", resume="auto", console="silent")
told["normal"] = result(run)
told["again"] = refused()
exact, undo = tiny_runs.plain(devices=2, exact=True), tiny_runs.slow_down()
told["stopped"] = result(train(exact, folder / "exact", console="silent"))
undo()
told["resumed"] = result(train(exact, folder / "exact", resume=True, console="silent"))
print(json.dumps(told))
"""


def _ended(processes: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    told = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=200)
            assert process.returncode == 0, err[-3000:]
            told.append(json.loads(out.splitlines()[-1]))
    finally:
        for process in processes:
            process.kill()
    return told


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Program, "compiler_options", EXACT)
    with socket.create_server(("localhost", 0)) as probe:
        port = probe.getsockname()[1]
    # No NPROC: the number of threads is ours to choose, and must not change exact bits.
    free = {"XLA_FLAGS": "--xla_backend_optimization_level=0", "NPROC": ""}
    both = [start_python(_PROCESS, port, index, tmp_path, **free) for index in (0, 1)]
    metrics = tmp_path / "exact" / "metrics.jsonl"
    wait_for(lambda: metrics.is_file() and metrics.read_text().count("\n") >= 2, both[0])
    both[1].send_signal(signal.SIGTERM)  # to one of them only, and not to the leader
    leader, other = _ended(both)

    for told in (leader, other):
        assert "seeds_mode devices" in told["members"] and "choose vmap or map" in told["members"]
        assert told["normal"]["status"] == "finished" and told["normal"]["nproc"] == "4"
        assert told["stopped"]["status"] == "SIGTERM"
        assert 0 < told["stopped"]["env_steps"] < UPDATES * STEPS
    assert "normal exists" in leader["again"] and "process 0 stopped" in other["again"]
    for name in ("normal", "stopped", "resumed"):
        assert leader[name] == other[name]

    single = train(plain(exact=True, devices=4), tmp_path / "single", console="silent")
    assert leader["resumed"]["state_digest"] == digest(single)
    assert rows(tmp_path / "exact") == rows(single.run_dir)
    assert len(list((tmp_path / "normal").glob("events*"))) == 1  # one process writes
    # What two processes left is whole for one.
    taken_up = train(plain(devices=1), tmp_path / "normal", resume=True, console="silent")
    assert digest(taken_up) == leader["normal"]["state_digest"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("localhost", "got 'localhost', expected auto or host:port,n,i"),
        ("localhost:12,2", "expected auto or host:port,n,i"),
        ("localhost:12,2,2", "process 2 of 2 cannot be; the last one is 1"),
        ("localhost:12,0,0", "got 0 processes"),
    ],
)
def test_a_spec_that_cannot_be_is_told(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        initialise(spec)


def test_joining_too_late_or_nowhere_is_told() -> None:
    script = """
from rljax.core.distributed import initialise
for spec in ("auto", "localhost:1,2,0"):
    try:
        initialise(spec)
    except ValueError as error:
        print(error)
    import jax
    jax.devices()
"""
    lines = run_python(script).stdout.splitlines()
    assert len(lines) == 2
    assert "give host:port,n,i" in lines[0] and "in use already" in lines[1]


def test_a_process_alone_decides_by_itself() -> None:
    assert gather([3, 4]).tolist() == [[3, 4]]
    assert leader_first(lambda: "done") == "done"

    def fail() -> None:
        raise UserError("why")

    with pytest.raises(UserError, match="why"):
        leader_first(fail)
