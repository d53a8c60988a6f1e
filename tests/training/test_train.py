"""Training end to end: what a run leaves, how much it does, what it does with numbers gone bad."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import envs_jax
from rljax.core.config import from_dict, merge
from rljax.core.errors import UserError
from rljax.training import train as training
from rljax.training.checkpoint import Checkpoints
from rljax.training.config import Config
from rljax.training.program import Program
from rljax.training.train import NOT_FINITE, Result, train
from tiny_runs import STEPS, UPDATES, digest, plain, rich, rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Program]]:
    """A run whose budget is no whole number of updates, and the program that it ran."""
    programs = []
    make = training.make_program
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "make_program", lambda *a: programs.append(make(*a)) or programs[0])
        config = plain(total_steps=UPDATES * STEPS - 10)
        result = train(config, tmp_path_factory.mktemp("train") / "run", console="silent")
    yield result, programs[0]


def test_the_folder_tells_what_was_done(run: tuple[Result, Program]) -> None:
    result, _ = run
    folder = result.run_dir
    stored = from_dict(Config, json.loads((folder / "config.json").read_text()))
    assert stored == plain(total_steps=UPDATES * STEPS - 10)
    assert json.loads((folder / "summary.json").read_text()) == result.summary
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["versions"]["jax"] == jax.__version__
    assert environment["nproc"] == os.environ["NPROC"]
    assert environment["devices"] == result.summary["devices"] == ["cpu:0 cpu"]
    assert len(list(folder.glob("events.out.tfevents*"))) == 1
    logged = rows(folder)
    assert (
        logged[-1].keys() == {"env_steps", "evaluation/return", "evaluation/return_sd"}
        and logged[-1]["env_steps"] == UPDATES * STEPS
    )
    wanted = {
        "loss/policy",
        "policy/entropy",
        "update/grad_norm",
        "value/explained_variance",
        "policy/approximate_kl",
        "policy/clip_fraction",
        "update/learning_rate",
        "episode/return",
        "recent/length",
    }
    assert wanted < logged[0].keys()


def test_the_summary_has_what_runs_are_compared_by(run: tuple[Result, Program]) -> None:
    summary = run[0].summary
    assert summary["status"] == run[0].status == "finished"
    # Rounded up by less than one update.
    assert summary["env_steps"] == UPDATES * STEPS and summary["updates"] == UPDATES
    for name in ("wall_s", "compile_s", "steps_per_s", "cpu_us_per_step", "peak_rss_mb"):
        assert summary[name] > 0, name
    assert summary["eval_return"]["episodes"] == 4
    assert 1 <= summary["eval_return"]["mean"] <= 20
    assert 8 <= summary["train_return"] <= 100
    assert summary["skipped_steps"] == 0
    saved = Checkpoints(run[0].run_dir / "checkpoints")
    assert saved.all_steps() == [5 * STEPS, 10 * STEPS, 15 * STEPS, 20 * STEPS]
    assert summary["best_checkpoint"] in (10 * STEPS, 20 * STEPS)  # where it was evaluated


def test_the_program_is_traced_once(run: tuple[Result, Program]) -> None:
    assert run[1].traces == 1


def test_the_budget_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(plain(), tmp_path / "exact", console="rows", time_limit=1e-3)
    assert "1,280 env_steps, exactly" in capsys.readouterr().err
    train(plain(total_steps=1270), tmp_path / "more", console="rows", time_limit=1e-3)
    told = capsys.readouterr().err
    assert "1,280 env_steps, rounded up from 1,270 to whole updates" in told
    assert "Compiled in" in told and "Stopped (time limit) at 64 env_steps" in told


@pytest.mark.parametrize(
    ("config", "folder", "message"),
    [
        (plain(), "taken", "run folder .*taken exists. Go on with --resume"),
        (plain(devices=9), "new", "devices: 9 asked for, but there are 8"),
        (plain(devices=3), "new", "do not divide over 3 devices. Devices that work: 1, 2, 4, 8"),
        (plain(env={"name": "CartPole-v2"}), "new", "CartPole-v1"),
        (plain(), "file/under", "run folder .*: Not a directory"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    config: Config, folder: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=message) as error:
        train(config, tmp_path / folder, console="silent")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


# NaN rewards in steps 50 and 51 of every environment: in the seventh update of eight steps.
_BAD_UPDATE, _GRADIENT_STEPS = 7, 4


def _bad_rewards() -> None:
    from envs_jax import spaces
    from envs_jax.base import Environment, EnvParams, EnvState

    class BadRewards(Environment[Any, Any]):
        @property
        def default_params(self) -> EnvParams:
            return EnvParams(max_steps_in_episode=60)

        def reset_env(self, key: jax.Array, params: Any) -> Any:
            return jax.random.uniform(key, (3,)), EnvState(time=0)

        def step_env(self, key: jax.Array, state: Any, action: Any, params: Any) -> Any:
            reward = jnp.where((state.time == 50) | (state.time == 51), jnp.nan, action * 0.5)
            state = state.replace(time=state.time + 1)
            return jax.random.uniform(key, (3,)), state, reward, False, {}

        def action_space(self, params: Any) -> Any:
            return spaces.Discrete(2)

        def observation_space(self, params: Any) -> Any:
            return spaces.Box(0.0, 1.0, (3,))

    if "test/bad_rewards" not in envs_jax.available():
        envs_jax.register("test/bad_rewards", BadRewards)


def _bad(**changes: Any) -> Config:
    _bad_rewards()
    every = {"log_every": STEPS, "evaluation": {"max_steps": 10}}
    return merge(plain(env={"name": "test/bad_rewards"}, total_steps=12 * STEPS, **every), changes)


def _taken(run_dir: Path) -> list[float]:
    return [row["update/steps_taken"] for row in rows(run_dir) if "update/steps_taken" in row]


@pytest.mark.parametrize("scaled", [False, True])
def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path: Path, scaled: bool) -> None:
    config = _bad(env={"normalise_rewards": scaled, "normalise_observations": scaled})
    result = train(config, tmp_path / "run", console="silent")
    assert result.status == "finished" and result.summary["updates"] == 12
    assert result.summary["skipped_steps"] == _GRADIENT_STEPS
    assert _taken(result.run_dir) == [1.0] * 6 + [0.0] + [1.0] * 5


def test_an_evaluation_that_is_not_finite_is_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _bad(evaluation={"max_steps": 60}, total_steps=3 * STEPS)
    result = train(config, tmp_path / "run", console="rows")
    told = capsys.readouterr()
    assert "not finite in" in told.out + told.err
    assert result.status == "finished" and result.summary["eval_return"] is None
    assert result.summary["best_checkpoint"] is None


def test_or_training_stops_with_the_last_good_state_saved(tmp_path: Path) -> None:
    skipped = train(_bad(), tmp_path / "skipped", console="silent")
    result = train(_bad(nonfinite="stop"), tmp_path / "run", console="silent")
    assert result.status == NOT_FINITE == result.summary["status"]
    assert result.summary["updates"] < 12
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() == 5 * STEPS
    again = train(_bad(nonfinite="stop"), tmp_path / "run", resume=True, console="silent")
    assert again.status == NOT_FINITE
    # From there it goes on with skipping, as if it always had.
    last = train(_bad(nonfinite="skip"), tmp_path / "run", resume=True, console="silent")
    assert digest(last) == digest(skipped)
    assert rows(tmp_path / "run") == rows(tmp_path / "skipped")


def test_stopping_at_once_leaves_the_first_state(tmp_path: Path) -> None:
    config = _bad(nonfinite="stop", checkpoint={"every": 100 * STEPS})
    assert train(config, tmp_path / "run", console="silent").status == NOT_FINITE
    assert Checkpoints(tmp_path / "run" / "checkpoints").all_steps() == [0]


def test_members_are_told_apart(tmp_path: Path) -> None:
    config = rich(seed=5, seeds=2, total_steps=3 * STEPS)
    result = train(config, tmp_path / "run", console="silent")
    assert result.summary["seeds"] == [5, 6]
    members = result.summary["eval_return"]["members"]
    assert [member["seed"] for member in members] == [5, 6]
    row = rows(tmp_path / "run")[0]
    assert row["loss/value"] == pytest.approx(
        (row["seed5/loss/value"] + row["seed6/loss/value"]) / 2, rel=1e-6
    )
    assert row["seed5/loss/value"] != row["seed6/loss/value"]


def test_others_are_told_every_row(tmp_path: Path) -> None:
    told: dict[str, Any] = {"rows": [], "texts": []}

    class Listener:
        def log(self, metrics: Any, env_steps: int) -> None:
            told["rows"].append({"env_steps": env_steps, **metrics})

        def text(self, message: str) -> None:
            told["texts"].append(message)

        def close(self, status: str) -> None:
            told["status"] = status

    train(plain(), tmp_path / "run", console="silent", sinks=[Listener()])
    assert [row["env_steps"] for row in told["rows"]] == [
        row["env_steps"] for row in rows(tmp_path / "run")
    ]
    assert told["status"] == "finished" and told["texts"]
