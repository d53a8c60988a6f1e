"""benchmark.py: what it measures and what it makes of failures; never how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import benchmark, measure
from rljax.core.config import merge
from rljax.training import presets
from tiny_runs import plain, rich


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be measured; 2 devices fail."""
    seen: list[dict[str, Any]] = []

    def measured(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(request))
        if request["devices"] == 2:
            return {"error": "too many"}
        numbers = {
            "compile_s": 1.0,
            "steps_per_s": 2e6,
            "cpu_us_per_step": 0.5,
            "peak_rss_mb": 9.0,
            "device_peak_mb": None,
        }
        return {**numbers, "environment": {"cores": 2}}

    monkeypatch.setattr(benchmark, "_measured", measured)
    return seen


def test_all_combinations_once(requests: list[dict[str, Any]], capsys: Any) -> None:
    argv = ["--preset", "cartpole_ppo", "acrobot_ppo", "--num-envs", "4x8,64", "--seeds", "1,8"]
    assert benchmark.main([*argv, "--ppo.epochs", "2"]) == 0
    found = [
        tuple(r[k] for k in ("preset", "what", "num_envs", "rollout_length", "seeds"))
        for r in requests
    ]
    assert found == [
        (preset, what, *size, seeds)
        for preset in ("cartpole_ppo", "acrobot_ppo")
        for size in ((4, 8), (64, presets.preset(preset).ppo.rollout_length))
        for what, seeds in (("env", 1), ("train", 1), ("train", 8))
    ]
    config = requests[2]["config"]
    assert (config["seeds"], config["num_envs"], config["ppo"]["epochs"]) == (8, 4, 2)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(requests)


def test_a_failure_is_a_row_and_an_exit_code(
    requests: list[dict[str, Any]], capsys: Any, tmp_path: Path
) -> None:
    file = tmp_path / "speed.json"
    argv = ["--env-only", "--devices", "1,2", "--rollout-length", "16", "--json", str(file)]
    assert benchmark.main(argv) == 1
    assert [r["rollout_length"] for r in requests] == [16, 16]
    assert "on 2 device(s), 1 seed(s): too many" in capsys.readouterr().err
    report = json.loads(file.read_text())
    assert report["environment"] == {"cores": 2} and report["command"] == argv
    assert [row.get("error") for row in report["rows"]] == [None, "too many"]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--num-envs", "64x"], "got '64x', expected sizes like"),
        (["--devices", "0"], "got '0', expected whole numbers >= 1"),
        (["--preset", "cartpol"], "Did you mean 'cartpole_ppo'?"),
        (["--ppo.epoch", "2"], "Did you mean '--ppo.epochs'?"),
        (["--json", "nowhere/speed.json"], "nowhere/speed.json: No such file"),
    ],
)
def test_a_mistake_is_one_line(
    argv: list[str], told: str, requests: list[dict[str, Any]], capsys: Any
) -> None:
    assert benchmark.main(argv) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and not requests


def test_training_counts_the_steps_of_all_members() -> None:
    run, steps, compile_s = measure.training(rich())  # two of them
    assert steps == 2 * 8 * 8 and compile_s > 0
    result = measure.measure(run, steps, repeat=3, seconds=0.01)
    assert len(result["steps_per_s_of_each"]) == 3
    assert result["steps_per_s"] == sorted(result["steps_per_s_of_each"])[1] > 0


def test_environments_alone_step_on_every_device() -> None:
    run, steps, _ = measure.environment(merge(plain(), {"devices": 4}))
    assert steps == 8 * 8
    run(3)


def test_environments_of_several_agents_step_with_an_action_for_each() -> None:
    few = {"num_envs": 4, "devices": 1, "ppo": {"rollout_length": 4}}
    run, steps, _ = measure.environment(merge(presets.preset("reference_happo"), few))
    assert steps == 4 * 4
    run(1)


def test_a_process_of_its_own_measures(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "speed.json"
    argv = ["--env-only", "--num-envs", "4x8", "--seconds", "0.01", "--repeat", "1"]
    assert benchmark.main([*argv, "--json", str(file)]) == 0, capsys.readouterr().err
    report = json.loads(file.read_text())
    (row,) = report["rows"]
    assert row["steps_per_s"] > 0 and row["compile_s"] > 0 and row["peak_rss_mb"] > 50
    assert row["config"]["num_envs"] == 4 and "jax" in report["environment"]["versions"]
