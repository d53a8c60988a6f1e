"""Whole runs: what is only learnt in order, files, the screen, and going on after a stop."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stage_worlds  # noqa: F401  (registers the worlds)
from rljax.control import CurriculumConfig, Stage
from rljax.core.config import from_dict, merge
from rljax.core.errors import UserError
from rljax.evaluation.evaluate import evaluate
from rljax.evaluation.policy import load_policy
from rljax.networks import NetworkConfig
from rljax.training.config import Config, EnvConfig
from rljax.training.train import Result, train
from tiny_runs import cut_anyhow, digest, rows, train_until

STEPS, UPDATES = 64 * 16, 32
LENGTHS = (1, 3, 5, 7, 9)


def lock(**changes: Any) -> Config:
    """The lock of nine turns, by way of shorter ones; about two seconds of training."""
    stages = [Stage(name=f"turns{n}", params={"length": n}) for n in LENGTHS]
    base = Config(
        env=EnvConfig(name="stages/lock", reset="full"),
        num_envs=64,
        devices=1,
        network=NetworkConfig(hidden_sizes=(16,)),
        curriculum=CurriculumConfig(stages=stages),
    )
    plain = {
        "total_steps": UPDATES * STEPS,
        "log_every": STEPS,
        "ppo": {"rollout_length": 16, "learning_rate": 2e-2, "minibatches": 2},
        "evaluation": {"episodes": 32, "every_stage": True, "every": 16 * STEPS},
        "checkpoint": {"every": 8 * STEPS},
    }
    return merge(merge(base, plain), changes)


@pytest.fixture(scope="module")
def whole_and_shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, str]:
    with contextlib.redirect_stderr(io.StringIO()) as shown:
        result = train(lock(), tmp_path_factory.mktemp("whole") / "run", console="rows")
    return result, shown.getvalue()


@pytest.fixture(scope="module")
def whole(whole_and_shown: tuple[Result, str]) -> Result:
    return whole_and_shown[0]


def told(run_dir: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((run_dir / "curriculum.json").read_text())
    return stored


def test_it_learns_what_is_only_learnt_in_order(whole: Result) -> None:
    assert whole.summary["eval_return"]["mean"] > 0.9  # of the hardest: by chance 3^-9
    member = told(whole.run_dir)["members"]["0"]
    names = [f"turns{n}" for n in LENGTHS]
    assert [move["from"] for move in member["history"]] == names[:-1]
    assert [move["to"] for move in member["history"]] == names[1:]
    assert member["stage"] == "turns9" and whole.summary["curriculum"] == {"0": "turns9"}
    assert all(move["success"] >= 0.7 for move in member["history"])
    assert told(whole.run_dir)["stages"] == names
    logged = rows(whole.run_dir)
    stage = [(r["env_steps"], r["curriculum/stage"]) for r in logged if "curriculum/stage" in r]
    for move in member["history"]:  # rows are of single updates
        assert dict(stage)[move["env_steps"]] == names.index(move["to"])
        assert dict(stage)[move["env_steps"] - STEPS] == names.index(move["from"])
    episodes = sum(r.get("curriculum/episodes/turns1", 0) for r in logged)
    assert episodes == member["stages"]["turns1"]["episodes"] > 100
    last = [row for row in logged if "evaluation/return" in row][-1]
    assert last["evaluation/success/turns9"] == last["evaluation/success"] > 0.9
    assert last["evaluation/return/turns1"] > 0.9


@pytest.mark.slow
def test_it_is_not_learnt_without(tmp_path: Path) -> None:
    plain = lock(curriculum=None, evaluation={"every_stage": False})
    result = train(plain, tmp_path / "run", console="silent")
    assert result.summary["eval_return"]["mean"] < 0.1
    assert not (tmp_path / "run" / "curriculum.json").exists()
    assert "curriculum" not in result.summary


def test_stopped_and_gone_on_is_the_same_run(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "run"
    train_until(monkeypatch, 11, lock(), run_dir)
    stopped = told(run_dir)["members"]["0"]
    assert 1 <= len(stopped["history"]) < 4
    cut_anyhow(monkeypatch)
    last = train(lock(), run_dir, resume=True, console="silent")
    assert digest(last) == digest(whole)
    assert told(run_dir) == told(whole.run_dir)
    assert rows(run_dir) == rows(whole.run_dir)


def climb() -> Config:
    """Environments that move by themselves, as the world says; twenty updates."""
    stages = [Stage(name=f"above{up}", params={"up": up / 10}) for up in (2, 5, 8)]
    base = Config(
        env=EnvConfig(name="stages/climb", reset="full"),
        num_envs=16,
        devices=1,
        network=NetworkConfig(hidden_sizes=(8,)),
        curriculum=CurriculumConfig(stages=stages, scope="environment", start_up_to="above5"),
    )
    plain = {
        "total_steps": 20 * 128,
        "log_every": 128,
        "ppo": {"rollout_length": 8, "epochs": 1, "minibatches": 2},
        "evaluation": {"episodes": 16, "every_stage": True, "every": 10 * 128},
        "checkpoint": {"every": 4 * 128},
    }
    return merge(base, plain)


def test_environments_that_move_by_themselves_go_on_as_if_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(climb(), tmp_path / "whole", console="silent")
    train_until(monkeypatch, 7, climb(), tmp_path / "run")
    cut_anyhow(monkeypatch)
    last = train(climb(), tmp_path / "run", resume=True, console="silent")
    assert digest(last) == digest(whole)
    assert rows(last.run_dir) == rows(whole.run_dir)
    member = told(last.run_dir)["members"]["0"]
    assert member == told(whole.run_dir)["members"]["0"]
    assert set(member) == {"level", "stages"} and set(member["stages"]["above8"]["groups"]) == {
        "flat",
        "steps",
        "gaps",
    }
    assert last.summary["curriculum"] == {"0": member["level"]}
    logged = rows(last.run_dir)
    for name, stage in member["stages"].items():
        assert sum(row.get(f"curriculum/episodes/{name}", 0) for row in logged) == stage["episodes"]
    # Each stage is evaluated by episodes of that stage only.
    final = [row for row in logged if "evaluation/return" in row][-1]
    assert final["evaluation/success/above2"] > final["evaluation/success/above8"]
    assert evaluate(load_policy(last.run_dir), 16)["stage"] == "above8"


def test_transitions_are_said(whole_and_shown: tuple[Result, str]) -> None:
    whole, shown = whole_and_shown
    first = told(whole.run_dir)["members"]["0"]["history"][0]
    assert f"Stage turns1 -> turns3 at {first['env_steps']:,} env_steps, with " in shown
    assert "  stage " in shown and shown.count("Stage turns1 -> turns3") == 1


def test_policies_are_judged_by_the_hardest_stage_or_the_one_asked_for(whole: Result) -> None:
    policy = load_policy(whole.run_dir)
    hardest, easy = evaluate(policy, 16), evaluate(policy, 16, stage="turns3")
    assert (hardest["stage"], easy["stage"]) == ("turns9", "turns3")
    np.testing.assert_allclose([hardest["length"]["mean"], easy["length"]["mean"]], [9, 3])


def test_stages_of_a_run_are_part_of_what_was_trained(whole: Result) -> None:
    from rljax.core.errors import UserError

    other = from_dict(Config, json.loads((whole.run_dir / "config.json").read_text()))
    other = merge(other, {"curriculum": {"fixed": "turns1"}})
    with pytest.raises(UserError, match="curriculum.fixed is None in the run and cannot become"):
        train(other, whole.run_dir, resume=True, console="silent")


def test_what_all_stages_set_is_not_ignored_in_silence(whole: Result) -> None:
    message = r"env.params.length: every stage .* its own; expected a stage: turns1, .*, turns9$"
    with pytest.raises(UserError, match=message):
        load_policy(whole.run_dir, env_params={"length": 1})
