"""Signals, kills, time limits, full disks: whatever ends a run, it goes on to the same numbers."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from rljax.core.errors import UserError
from rljax.training import train as training
from rljax.training.interrupt import Interrupt, parse_duration
from rljax.training.train import Result, train
from tiny_runs import STEPS, digest, plain, rows, run_python, start_python, wait_for

# Saves after every update, so that a kill often falls into one.
_OFTEN = {"checkpoint": {"every": STEPS, "keep_latest": 3}}

_SLOW_RUN = """
import sys
import tiny_runs
from rljax.core.config import merge
from rljax.training.train import train
tiny_runs.slow_down(float(sys.argv[2]))
often = {"checkpoint": {"every": tiny_runs.STEPS, "keep_latest": 3}}
config = merge(tiny_runs.plain(), often if sys.argv[3] == "often" else {})
print(train(config, sys.argv[1], resume="auto", console="rows").status)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The plain run, never stopped."""
    return train(plain(), tmp_path_factory.mktemp("whole") / "run", console="silent")


def _lines(run_dir: Path) -> int:
    metrics = run_dir / "metrics.jsonl"
    return metrics.read_text().count("\n") if metrics.is_file() else 0


def _ends_as(whole: Result, run_dir: Path, **changes: Any) -> None:
    last = train(plain(**changes), run_dir, resume=True, console="silent")
    assert last.status == "finished"
    assert digest(last) == digest(whole)
    assert rows(run_dir) == rows(whole.run_dir)


@pytest.mark.slow
def test_sigterm_saves_and_ends_cleanly(whole: Result, tmp_path: Path) -> None:
    process = start_python(_SLOW_RUN, tmp_path / "run", 0.2, "rarely")
    wait_for(lambda: _lines(tmp_path / "run") >= 1, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out.split() == ["SIGTERM"], err[-2000:]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "SIGTERM"
    saved = [int(p.name) for p in (tmp_path / "run" / "checkpoints").iterdir() if p.name.isdigit()]
    assert max(saved) == summary["env_steps"] < summary["total_steps"]
    assert f"Go on with: python experiments/run.py --resume {tmp_path / 'run'}" in err
    _ends_as(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(whole: Result, tmp_path: Path) -> None:
    # The third chunk takes five minutes: the first Ctrl-C waits for its end.
    process = start_python(
        _SLOW_RUN.replace("config =", _STUCK + "config ="), tmp_path / "run", 0.0, "often"
    )
    wait_for((tmp_path / "run" / "stuck").is_file, process)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode != 0 and "KeyboardInterrupt" in err
    _ends_as(whole, tmp_path / "run")


_STUCK = """
import pathlib, time
chunk = tiny_runs.Program.chunk
def stuck(self, state, updates):
    stuck.calls += 1
    if stuck.calls > 2:
        pathlib.Path(sys.argv[1], "stuck").touch()
        time.sleep(300)
    return chunk(self, state, updates)
stuck.calls = 0
tiny_runs.Program.chunk = stuck
"""


def test_one_ctrl_c_saves_and_a_time_limit_too(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    log = training._Run._log

    def interrupt(self: Any, pending: Any) -> None:
        if self.updates == 3:
            signal.raise_signal(signal.SIGINT)
        log(self, pending)

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "_log", interrupt)
        first = train(plain(), tmp_path / "run", console="silent")
    assert first.status == "SIGINT" and 0 < first.summary["updates"] < 20
    assert signal.getsignal(signal.SIGINT) == before
    # Even the shortest time limit makes some progress, or such a run would never end.
    second = train(plain(), tmp_path / "run", resume=True, time_limit=1e-3, console="silent")
    assert second.status == "time limit"
    assert second.summary["updates"] == first.summary["updates"] + 1
    _ends_as(whole, tmp_path / "run")


@pytest.mark.slow
def test_killed_three_times_it_ends_the_same(whole: Result, tmp_path: Path) -> None:
    rng, lines = random.Random(0), 0
    for _ in range(3):
        process = start_python(_SLOW_RUN, tmp_path / "run", 0.15, "often")
        steps = _newest(tmp_path / "run")
        wait_for(lambda steps=steps: _newest(tmp_path / "run") > steps, process)
        time.sleep(rng.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert _lines(tmp_path / "run") >= lines
        lines = _lines(tmp_path / "run")
    assert _newest(tmp_path / "run") < 20 * STEPS
    _ends_as(whole, tmp_path / "run", **_OFTEN)


def _newest(run_dir: Path) -> int:
    checkpoints = run_dir / "checkpoints"
    if not checkpoints.is_dir():
        return -1
    return max((int(p.name) for p in checkpoints.iterdir() if p.name.isdigit()), default=-1)


_FULL_DISK = """
import resource, sys
import tiny_runs
from rljax.training import train as training

save = training._Run._save
def full(self):
    if self.updates == 10:  # files of more than 3000 bytes cannot be written any more
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    save(self)
training._Run._save = full
try:
    training.train(tiny_runs.plain(), sys.argv[1], console="silent")
except ValueError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_checkpoint_before_goes_on(
    whole: Result, tmp_path: Path
) -> None:
    run = run_python(_FULL_DISK, tmp_path / "run")
    assert run.stdout.splitlines() == [
        f"UserError: could not save the checkpoint at {10 * STEPS} env steps: File too large; "
        f"the one at {5 * STEPS} is still good"
    ], run.stdout + run.stderr
    # Writes that TensorStore had under way may find Orbax's event loop closed, and print that.
    assert "/rljax/" not in run.stderr, run.stderr
    _ends_as(whole, tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("11.5h", 41400), (" 2 h ", 7200)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-3", "1d", "ten", "1:30", "0h"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(UserError, match="expected a number with s, m or h"):
        parse_duration(text)


def test_signals_are_caught_inside_the_block_only() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt() as interrupt:
        assert interrupt.reason is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.reason == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before
