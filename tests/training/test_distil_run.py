"""A student's run goes on bit for bit beside its teacher's, and plays without; runs that start from
what another has learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

from rljax.core.errors import UserError
from rljax.evaluation.evaluate import evaluate
from rljax.evaluation.policy import load_policy
from rljax.training.build import make_program
from rljax.training.config import Config
from rljax.training.restore import begin, find_start
from rljax.training.run_folder import RunFolder
from rljax.training.train import Result, train
from tiny_runs import STEPS, digest, plain, rich, rows, train_until

FEW = {"total_steps": 8 * STEPS, "checkpoint": {"every": 4 * STEPS}}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Two recurrent members with moments of their observations."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    return train(rich(**FEW, ppo={"learning_rate": 0.01}), folder, console="silent")


def pupil(teacher: Path, **changes: Any) -> Config:
    """A student with a GRU of its own size, of the teacher's second member."""
    distil = {"teacher": str(teacher), "member": 1, "loss": "likelihood", "teacher_updates": 4}
    ppo = {"learning_rate": 0.01}
    return rich(distil=distil | changes, network={"core_size": 6}, ppo=ppo, **FEW)


@pytest.fixture(scope="module")
def student(teacher: Result, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A student of the teacher's half-way checkpoint, never stopped."""
    folder = tmp_path_factory.mktemp("student") / "run"
    return train(pupil(teacher.run_dir, env_steps=4 * STEPS), folder, console="silent")


def test_a_student_is_told_its_teachers_actions(student: Result, teacher: Result) -> None:
    told = [row for row in rows(student.run_dir) if "distil/error" in row]
    assert told[-1]["distil/error"] < told[0]["distil/error"]
    assert told[0]["distil/teacher_share"] > 0 == told[-1]["distil/teacher_share"]
    record = json.loads((student.run_dir / "teacher.json").read_text())
    assert record["env_steps"] == 4 * STEPS and record["member"] == 1
    assert record["network"]["core_size"] == 8
    assert not (teacher.run_dir / "teacher.json").exists()


def test_it_goes_on_to_the_same_bits_where_its_teacher_has_moved_on(
    student: Result, teacher: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(shutil.copytree(teacher.run_dir, tmp_path / "teacher"))
    newest = (home / "checkpoints" / str(8 * STEPS)).rename(tmp_path / "later")
    stopped = train_until(monkeypatch, 3, pupil(home), tmp_path / "run")
    assert stopped.status == "SIGTERM" and stopped.summary["env_steps"] == 3 * STEPS
    newest.rename(home / "checkpoints" / str(8 * STEPS))
    elsewhere = home.rename(tmp_path / "elsewhere")
    last = train(pupil(elsewhere), tmp_path / "run", resume=True, console="silent")
    assert digest(last) == digest(student)
    assert rows(last.run_dir) == rows(student.run_dir)


def test_it_plays_without_its_teacher(student: Result, teacher: Result, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(student.run_dir, tmp_path / "moved"))
    member = student.summary["eval_return"]["members"][1]
    away = teacher.run_dir.rename(teacher.run_dir.with_name("away"))
    try:
        policy = load_policy(moved, member=1)
        played = evaluate(policy, seed=member["seed"])["return"]
        with pytest.raises(UserError, match="distil.teacher: no run in"):
            train(student_config(moved), moved, resume=True, console="silent")
    finally:
        away.rename(teacher.run_dir)
    assert played == {name: member[name] for name in played}
    _, carry = policy.act(np.zeros((3, 4), np.float32))
    assert {x.shape for x in jax.tree.leaves(carry)} == {(3, 6)}  # nothing of the teacher's


def student_config(run_dir: Path) -> Config:
    """The config in a run folder."""
    return RunFolder.open(run_dir).read_config()


def _flip(run: Path) -> None:
    for path in [p for p in run.glob("checkpoints/*/state/**/d/*") if p.is_file()]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "changes", "told"),
    [
        (shutil.rmtree, {}, "distil.teacher: no run in .*teacher: config.json is missing"),
        (_flip, {}, "distil.teacher: no good checkpoint in"),
        (lambda run: (run / "config.json").write_text("{"), {}, "distil.teacher: .*config.json"),
        (lambda run: None, {"member": 2}, "distil.teacher: member 2: the run has 2"),
        (lambda run: None, {"env_steps": 65}, "distil.teacher: no checkpoint at 65 .* nearest"),
        (lambda run: None, {"loss": "error"}, "distil.loss error: actions are categorical"),
    ],
    ids=["missing", "flipped", "config", "member", "env_steps", "loss"],
)
def test_what_cannot_be_learnt_from_is_one_line_and_leaves_nothing(
    teacher: Result,
    tmp_path: Path,
    damage: Callable[[Path], Any],
    changes: dict[str, Any],
    told: str,
) -> None:
    home = Path(shutil.copytree(teacher.run_dir, tmp_path / "teacher"))
    damage(home)
    with pytest.raises(UserError, match=told) as error:
        train(pupil(home, **changes), tmp_path / "run", console="silent")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_another_teacher_in_the_same_place_is_noticed(student: Result, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(student.run_dir, tmp_path / "run"))
    record = run_dir / "teacher.json"
    record.write_text(record.read_text().replace('"env_steps": 256', '"env_steps": 512'))
    with pytest.raises(UserError, match="at 512 env_steps is not the one that this run began with"):
        train(student_config(run_dir), run_dir, resume=True, console="silent")
    record.unlink()
    with pytest.raises(UserError, match=r"teacher.json' does not exist"):
        load_policy(run_dir)


def test_a_world_of_several_agents_is_refused(teacher: Result, tmp_path: Path) -> None:
    distil = {"teacher": str(teacher.run_dir), "loss": "likelihood"}
    env = {"name": "Spread-particles", "normalise_rewards": False}
    with pytest.raises(UserError, match="distil.teacher: Spread-particles has several agents"):
        train(rich(distil=distil, env=env), tmp_path / "run", console="silent")


# Starting from what another run has learnt.


def test_a_run_starts_from_anothers_parameters_and_moments(student: Result) -> None:
    config = rich(network={"core_size": 6}, init_from=str(student.run_dir))
    program = make_program(config, jax.devices()[:1])
    state = begin(program, find_start(config, program))
    for member, policy in enumerate(program.policies(state)):
        old = load_policy(student.run_dir, member=member).state
        chex.assert_trees_all_equal(policy, old)
        assert old.observation_moments.count[1] == 8 * STEPS
    assert not any(leaf.any() for leaf in jax.tree.leaves(state.opt_state))
    assert (state.updates == 0).all()


def test_all_members_start_from_the_only_one_and_go_on_without(tmp_path: Path) -> None:
    one = train(plain(total_steps=STEPS), tmp_path / "one", console="silent").run_dir
    two = plain(seeds=2, init_from=str(one))
    program = make_program(two, jax.devices()[:1])
    state = begin(program, find_start(two, program))
    for policy in program.policies(state):
        chex.assert_trees_all_equal(policy, load_policy(one).state)
    still = plain(total_steps=STEPS, init_from=str(one), ppo={"learning_rate": 1e-30})
    run = train(still, tmp_path / "run", console="silent")
    chex.assert_trees_all_equal(load_policy(run.run_dir).state, load_policy(one).state)
    shutil.rmtree(one)
    assert train(still, run.run_dir, resume=True, console="silent").status == "finished"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": {"core_size": 7}}, "learnt does not fit: leaf .*float32"),
        ({"env": {"normalise_observations": False}}, "does not fit: leaf .*moments"),
        ({"seeds": 3}, "has 2 members, expected 1 or as many as seeds, 3"),
        ({"init_from": "nowhere"}, "init_from: no run in nowhere"),
    ],
)
def test_a_start_that_does_not_fit_is_one_line(
    student: Result, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    fitting = {"network": {"core_size": 6}, "init_from": str(student.run_dir)}
    with pytest.raises(UserError, match=told) as error:
        train(rich(**{**fitting, **changes}), tmp_path / "run", console="silent")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
