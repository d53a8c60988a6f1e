"""A run that was stopped and goes on ends as if it had never stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import EXACT
from rljax.core.config import to_dict
from rljax.core.errors import UserError
from rljax.training.config import Config
from rljax.training.program import Program
from rljax.training.train import Result, train
from tiny_runs import STEPS, UPDATES, cut_anyhow, digest, plain, rich, rows, train_until


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The plain run, never stopped."""
    return train(plain(), tmp_path_factory.mktemp("whole") / "run", console="silent")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain run, stopped after 7 updates: in the middle of a row, between checkpoints."""
    run_dir = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        result = train_until(patch, 7, plain(), run_dir)
    assert result.status == "SIGTERM" and result.summary["env_steps"] == 7 * STEPS
    return run_dir


def _copy(run_dir: Path, to: Path) -> Path:
    return Path(shutil.copytree(run_dir, to / "copy"))


def test_chunks_cut_anyhow_give_the_same_rows_and_bits(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_anyhow(monkeypatch)
    again = train(plain(), tmp_path / "run", console="silent")
    assert digest(again) == digest(whole)
    assert rows(again.run_dir) == rows(whole.run_dir)
    logged = [row["env_steps"] // STEPS for row in rows(whole.run_dir) if "loss/total" in row]
    assert logged == [3, 6, 9, 12, 15, 18, 20]


def test_two_stops_change_nothing(
    whole: Result, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = _copy(stopped, tmp_path)
    second = train_until(monkeypatch, 13, plain(), run_dir, resume=True)
    assert second.status == "SIGTERM" and second.summary["env_steps"] == 13 * STEPS
    last = train(plain(), run_dir, resume="auto", console="silent")
    assert last.status == "finished"
    assert digest(last) == digest(whole)
    assert rows(run_dir) == rows(whole.run_dir)
    assert last.summary["eval_return"] == whole.summary["eval_return"]
    assert last.summary["best_checkpoint"] == whole.summary["best_checkpoint"]


@pytest.mark.slow
def test_exact_runs_go_on_on_other_devices_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Program, "compiler_options", EXACT)
    straight = train(rich(exact=True), tmp_path / "straight", console="silent")
    train_until(monkeypatch, 7, rich(exact=True), tmp_path / "stopped")
    on_four = rich(exact=True, devices=4)
    resumed = train(on_four, tmp_path / "stopped", resume=True, console="silent")
    assert digest(resumed) == digest(straight)
    assert rows(resumed.run_dir) == rows(straight.run_dir)
    assert resumed.summary["seeds"] == [0, 1]


def test_other_runs_go_on_on_other_devices(whole: Result, stopped: Path, tmp_path: Path) -> None:
    resumed = train(plain(devices=4), _copy(stopped, tmp_path), resume=True, console="silent")
    assert resumed.status == "finished" and resumed.summary["updates"] == UPDATES
    ours, theirs = rows(resumed.run_dir), rows(whole.run_dir)
    assert [row["env_steps"] for row in ours] == [row["env_steps"] for row in theirs]
    # The worlds go on from the same states: up to rounding, the next row is the same.
    next_row = next(i for i, row in enumerate(ours) if row["env_steps"] > 7 * STEPS)
    assert ours[next_row] == pytest.approx(theirs[next_row], rel=1e-3, abs=1e-4)


def test_a_damaged_checkpoint_costs_only_time(whole: Result, stopped: Path, tmp_path: Path) -> None:
    run_dir = _copy(stopped, tmp_path)
    arrays = (run_dir / "checkpoints" / str(7 * STEPS) / "state").rglob("*")
    for file in [path for path in arrays if path.is_file() and path.stat().st_size > 1000]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 4
        file.write_bytes(data)
    last = train(plain(), run_dir, resume=True, console="silent")
    assert digest(last) == digest(whole)
    assert rows(run_dir) == rows(whole.run_dir)


def test_a_finished_run_has_nothing_left_to_do(whole: Result, tmp_path: Path) -> None:
    run_dir = _copy(whole.run_dir, tmp_path)
    before = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    again = train(plain(), run_dir, resume=True, console="silent")
    assert again.status == "finished" and digest(again) == digest(whole)
    # Nothing was trained, so how fast training was is not forgotten.
    assert again.summary["steps_per_s"] == whole.summary["steps_per_s"] is not None
    for name in ("eval_return", "train_return", "best_checkpoint"):
        assert again.summary[name] == whole.summary[name], name
    assert sorted(path.name for path in (run_dir / "checkpoints").iterdir()) == before


def test_a_run_can_be_made_longer(whole: Result, tmp_path: Path) -> None:
    train(plain(total_steps=10 * STEPS), tmp_path / "run", console="silent")
    longer = train(plain(), tmp_path / "run", resume=True, console="silent")
    assert digest(longer) == digest(whole)
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == to_dict(plain())


@pytest.mark.parametrize(
    ("prepare", "config", "message"),
    [
        (lambda run: None, plain(num_envs=16), "num_envs is 8 in the run and cannot become 16"),
        (lambda run: None, plain(ppo={"gamma": 0.5}), "ppo.gamma is 0.99 in the run"),
        (lambda run: shutil.rmtree(run), plain(), "no run in .*copy: config.json is missing"),
        (lambda run: shutil.rmtree(run / "checkpoints"), plain(), "no checkpoint directory .*copy"),
        (lambda run: (run / "config.json").write_text("{"), plain(), "config.json"),
    ],
)
def test_what_cannot_go_on_is_told_in_one_line(
    stopped: Path, tmp_path: Path, prepare: Callable[[Path], None], config: Config, message: str
) -> None:
    run_dir = _copy(stopped, tmp_path)
    prepare(run_dir)
    with pytest.raises(UserError, match=message) as error:
        train(config, run_dir, resume=True, console="silent")
    assert "\n" not in str(error.value)


def test_resume_needs_a_folder() -> None:
    with pytest.raises(UserError, match="resume: no run folder given"):
        train(plain(), resume=True)
