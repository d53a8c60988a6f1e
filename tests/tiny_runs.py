"""Runs that take moments, for the tests of training, and processes to do them in."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rljax.core.config import merge
from rljax.networks.config import NetworkConfig
from rljax.training import train as training
from rljax.training.config import Config, EnvConfig
from rljax.training.interrupt import Interrupt
from rljax.training.program import Program
from rljax.training.train import Result, train

ROOT = Path(__file__).parents[1]
STEPS = 64
"""env_steps of one update."""
UPDATES = 20

_PLAIN: dict[str, Any] = {
    "total_steps": UPDATES * STEPS,
    "num_envs": 8,
    "devices": 1,
    "log_every": 3 * STEPS,
    "network": {"hidden_sizes": [8]},
    "ppo": {"rollout_length": 8, "epochs": 2, "minibatches": 2},
    "evaluation": {"episodes": 4, "max_steps": 20, "every": 10 * STEPS},
    "checkpoint": {"every": 5 * STEPS, "keep_latest": 9},
}
# Everything that a state can hold: recurrent carries, moments of observations and rewards,
# several members, first episodes of random age; and a schedule.
_RICH: dict[str, Any] = {
    "env": {"random_phase": True, "normalise_observations": True, "normalise_rewards": True},
    "network": {"core": "gru", "core_size": 8},
    "ppo": {"bptt_length": 4, "schedule": "linear"},
    "seeds": 2,
}


def plain(**changes: Any) -> Config:
    """A feed-forward run of 20 updates; rows every 3, checkpoints every 5, evaluations every 10."""
    base = Config(env=EnvConfig(name="CartPole-v1"), network=NetworkConfig())
    return merge(merge(base, _PLAIN), changes)


def rich(**changes: Any) -> Config:
    """The same with a recurrent network, running moments and two members."""
    return merge(merge(plain(), _RICH), changes)


def digest(result: Result) -> str:
    """SHA-256 of the whole state at the end."""
    return str(result.summary["state_digest"])


def rows(run_dir: Path) -> list[dict[str, float]]:
    """All logged rows, without what depends on the clock."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    parsed = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if not k.startswith("speed/")} for row in parsed]


def cut_anyhow(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> None:
    """Have chunks of random lengths, as a machine of changing speed would."""
    rng = random.Random(seed)
    monkeypatch.setattr(training, "_next_length", lambda *_: rng.randint(1, 7))


def train_until(
    monkeypatch: pytest.MonkeyPatch, updates: int, config: Config, run_dir: Path, **options: Any
) -> Result:
    """Train, and stop as a SIGTERM after the first chunk that brings ``updates`` would do."""
    runs: list[Any] = []
    start = training._Run.run

    def run(self: Any) -> Result:
        runs.append(self)
        return start(self)

    def reason(self: Interrupt) -> str | None:
        return "SIGTERM" if runs[0].updates >= updates else None

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "run", run)
        patch.setattr(Interrupt, "reason", property(reason))
        patch.setattr(training, "_next_length", lambda *_: max(1, updates - runs[0].updates))
        return train(config, run_dir, console="silent", **options)


def start_python(script: str, *arguments: Any, **environment: str) -> subprocess.Popen[str]:
    """Start a script in a process of its own, which sees the repository and the tests."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(
    script: str, *arguments: Any, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; one that hangs is killed and fails the test."""
    process = start_python(script, *arguments, **environment)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {timeout} s:\n{err[-2000:]}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a condition holds, while a process runs."""
    deadline = time.monotonic() + 120
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"it did not come to pass; {process.communicate()[1][-2000:]}")
        time.sleep(0.02)


def slow_down(seconds: float = 0.2) -> Callable[[], None]:
    """Have every chunk take one update and so long at least; returns what undoes it."""
    chunk, following = Program.chunk, training._next_length

    def slowly(self: Program, state: Any, updates: int) -> Any:
        time.sleep(seconds)
        return chunk(self, state, updates)

    def undo() -> None:
        Program.chunk, training._next_length = chunk, following  # type: ignore[method-assign]

    Program.chunk = slowly  # type: ignore[method-assign]
    training._next_length = lambda *_: 1
    return undo
