"""run.py: what it trains, what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments import run
from rljax.core.config import diff, from_dict, merge
from rljax.training import train as training
from rljax.training.build import make_env
from rljax.training.config import Config
from rljax.training.presets import describe, preset
from rljax.training.train import NOT_FINITE, Result
from tiny_runs import plain, rows


def _files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


# What a run prints and leaves.


def test_json_is_the_only_line_on_stdout_and_the_stored_summary(finished: Any) -> None:
    assert finished.code == 0
    assert finished.stdout.count("\n") == 1
    assert finished.summary == json.loads((finished.folder / "summary.json").read_text())


def test_summary_has_all_that_runs_are_compared_by(finished: Any) -> None:
    summary = finished.summary
    numbers = (
        "env_steps",
        "updates",
        "wall_s",
        "compile_s",
        "steps_per_s",
        "cpu_us_per_step",
        "peak_rss_mb",
        "train_return",
    )
    for name in numbers:
        assert isinstance(summary[name], int | float), name
    assert {"mean", "sd", "episodes"} <= set(summary["eval_return"])
    assert summary["eval_return"]["episodes"] == 4
    assert len(summary["state_digest"]) == 64
    assert "jax" in summary["versions"] and summary["devices"] and "git_commit" in summary
    assert summary["env_steps"] == summary["updates"] * 64 == 1280


def test_a_run_that_a_time_limit_cut_ends_as_if_it_had_not_been(
    finished: Any, tmp_path: Path, capsys: Any
) -> None:
    where = ["--run-dir", str(tmp_path / "run"), "--json"]
    config = ["--config", str(finished.config_file)]
    assert run.main([*config, *where, "--time-limit", "0.001s"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "time limit"
    assert json.loads(out)["updates"] < finished.summary["updates"]
    assert f"--resume {tmp_path / 'run'}" in err
    assert run.main([*config, *where, "--resume", "auto", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].startswith("run folder")
    assert json.loads(out)["state_digest"] == finished.summary["state_digest"]


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(
    finished: Any, tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    shutil.rmtree(folder / "checkpoints")
    assert run.main(["--run-dir", str(folder), "--resume", "auto", "--json", "--quiet"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["state_digest"] == finished.summary["state_digest"]
    assert rows(folder) == rows(finished.folder)


# What is trained: `train` is replaced, and what it is called with looked at.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last run was started with; set "status" to have it end that way."""
    seen: dict[str, Any] = {"status": "finished"}

    def train(config: Config, run_dir: str | None, **options: Any) -> Result:
        seen.update(options, config=config, run_dir=run_dir)
        summary = {"eval_return": None, "steps_per_s": None, "run_dir": str(run_dir)}
        return Result(Path(run_dir or "."), summary, seen["status"])

    monkeypatch.setattr(training, "train", train)
    return seen


def test_preset_comes_before_file_and_file_before_options(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("num_envs: 48\nppo:\n  epochs: 7\n  gamma: 0.5\n")
    argv = ["--preset", "cartpole_ppo", "--config", str(file), "--ppo.gamma", "0.25", "--exact"]
    assert run.main(argv) == 0
    changes = diff(preset("cartpole_ppo"), asked["config"])
    assert {path: new for path, (_, new) in changes.items()} == {
        "num_envs": 48,  # the file's
        "ppo.epochs": 7,
        "ppo.gamma": 0.25,  # the option's
        "exact": True,
    }


def test_a_file_may_name_its_preset_and_the_option_wins(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: acrobot_ppo\nseed: 3\n")
    assert run.main(["--config", str(file)]) == 0
    assert asked["config"] == merge(preset("acrobot_ppo"), {"seed": 3})
    assert run.main(["--config", str(file), "--preset", "pendulum_ppo"]) == 0
    assert asked["config"] == merge(preset("pendulum_ppo"), {"seed": 3})


def test_without_a_preset_a_world_is_enough(asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("env: {name: Catch-bsuite}\n")
    assert run.main(["--config", str(file), "--seeds=2"]) == 0
    assert (asked["config"].env.name, asked["config"].seeds) == ("Catch-bsuite", 2)
    assert run.main(["--env.name", "Catch-bsuite"]) == 0
    assert asked["config"].env.name == "Catch-bsuite"


def test_parameters_of_a_world_keep_their_types(asked: dict[str, Any]) -> None:
    params = ["--env.params.max_steps_in_episode", "100", "--env.params.gravity", "9.5"]
    assert run.main(["--preset", "cartpole_ppo", *params]) == 0
    _, made = make_env(asked["config"])
    assert (made.max_steps_in_episode, made.gravity) == (100, 9.5)
    assert run.main(["--env.name", "FrozenLake-misc", "--env.params.map_name", "8x8"]) == 0
    assert make_env(asked["config"])[0].env.desc.size == 64


def test_a_resumed_run_keeps_its_config(asked: dict[str, Any], finished: Any) -> None:
    assert run.main(["--resume", str(finished.folder), "--total-steps", "9999"]) == 0
    assert asked["config"] == merge(plain(), {"total_steps": 9999})
    assert (asked["run_dir"], asked["resume"]) == (str(finished.folder), True)
    assert run.main(["--run-dir", str(finished.folder), "--resume"]) == 0
    assert (asked["run_dir"], asked["resume"]) == (str(finished.folder), True)


def test_resume_auto_starts_where_there_is_no_run(
    asked: dict[str, Any], finished: Any, tmp_path: Path
) -> None:
    assert run.main(["--run-dir", str(finished.folder), "--resume", "auto"]) == 0
    assert (asked["config"], asked["resume"]) == (plain(), "auto")
    new = ["--run-dir", str(tmp_path / "new"), "--resume", "auto"]
    assert run.main(["--preset", "cartpole_ppo", *new]) == 0
    assert (asked["config"], asked["resume"]) == (preset("cartpole_ppo"), "auto")


def test_time_limit_and_quiet_reach_the_run(asked: dict[str, Any]) -> None:
    assert run.main(["--preset", "cartpole_ppo", "--time-limit", "11.5h", "--quiet"]) == 0
    assert (asked["time_limit"], asked["console"]) == (11.5 * 3600, "silent")
    assert run.main(["--preset", "cartpole_ppo"]) == 0
    assert (asked["time_limit"], asked["console"]) == (None, "auto")


def test_exit_code_tells_a_diverged_run_from_a_stopped_one(asked: dict[str, Any]) -> None:
    for status, code in (("finished", 0), ("SIGTERM", 0), ("time limit", 0), (NOT_FINITE, 1)):
        asked["status"] = status
        assert run.main(["--preset", "cartpole_ppo"]) == code, status


# What is shown without training.


def test_dry_run_tells_and_writes_nothing(
    finished: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["--resume", str(finished.folder), "--dry-run"]
    before = _files(finished.folder)
    assert run.main([*argv, "--evaluation.episodes=5", "--json"]) == 0
    assert not _files(tmp_path) and _files(finished.folder) == before
    out, err = capsys.readouterr()
    shown = json.loads(out)
    assert shown["changes"] == {"evaluation.episodes": [4, 5]}
    assert shown["config"]["evaluation"]["episodes"] == 5
    assert shown["estimate"]["env_steps"] == 1280
    assert yaml.safe_load(err.split("\n\n")[0])["env"]["name"] == "CartPole-v1"
    assert "1,280 (exactly)" in err and "MiB" in err


def test_list_shows_every_preset(capsys: Any) -> None:
    assert run.main(["--list"]) == 0
    out = capsys.readouterr().out
    line = next(line.rstrip() for line in out.splitlines() if line.startswith("cartpole_ppo"))
    config = preset("cartpole_ppo")
    assert config.env.name in line and f" {config.total_steps:,} " in line
    assert line.endswith(describe("cartpole_ppo"))
    assert "masked_cartpole_rppo" in out


def test_describe_shows_config_and_size(capsys: Any) -> None:
    assert run.main(["--describe", "cartpole_ppo"]) == 0
    out = capsys.readouterr().out
    text, fields, size = out.split("\n\n")
    assert text == describe("cartpole_ppo")
    assert from_dict(Config, yaml.safe_load(fields)) == preset("cartpole_ppo")
    number, word = size.split()
    assert int(number.replace(",", "")) > 100 and word == "parameters"


def test_describe_shows_the_scale_that_is_asked_for(capsys: Any) -> None:
    assert run.main(["--describe", "quadruped_flat", "--scale", "full"]) == 0
    out = capsys.readouterr().out
    assert "scales: tiny, full; this is full" in out and "num_envs: 4096" in out


def test_help_shows_options_and_fields_with_the_presets_values(capsys: Any) -> None:
    assert run.main(["--preset", "cartpole_ppo", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--time-limit" in out
    line = next(line for line in out.splitlines() if line.startswith("--ppo.rollout_length"))
    assert f" {preset('cartpole_ppo').ppo.rollout_length} " in line
