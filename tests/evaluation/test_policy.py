"""A policy that is loaded is the policy that was trained, wherever it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import rljax
from rljax.core.errors import UserError
from rljax.core.types import TrainState
from rljax.evaluation.evaluate import evaluate
from rljax.evaluation.policy import load_policy
from rljax.training.config import Config
from rljax.training.program import Program
from rljax.training.train import Result, train
from tiny_runs import rich, run_python

_STEPS, _BATCH = 5, 3


def _config() -> Config:
    """Two members with recurrent networks and running moments of the observations."""
    evaluation = {"episodes": 16, "max_steps": 200, "greedy": False}  # members act differently then
    return rich(evaluation=evaluation, ppo={"learning_rate": 0.01})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(_config(), tmp_path_factory.mktemp("policy") / "run", console="silent")


def _actions(run_dir: str | Path) -> list[list[int]]:
    """What the second member does on made-up observations, some of which begin an episode."""
    observations = np.random.default_rng(0).normal(size=(_STEPS, _BATCH, 4)).astype(np.float32)
    policy = rljax.load_policy(run_dir, member=1)
    actions, carry = [], None
    for step, observation in enumerate(observations):
        reset = np.array([step == 2, False, False])
        key = jax.random.key(step)
        action, carry = policy.act(observation, carry, reset, key)
        actions.append(action.tolist())
    return actions


def test_three_lines_are_enough(run: Result) -> None:
    policy = rljax.load_policy(run.run_dir)
    action, carry = policy.act(np.zeros((2, 4), np.float32))
    assert action.shape == (2,) and jax.tree.leaves(carry)[0].shape[0] == 2


def test_a_world_may_have_another_state_since(run: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only parameters and moments are read of a checkpoint, so what else it has does not matter."""
    before = _actions(run.run_dir)
    trace = Program._trace_init

    def grown(program: Program) -> TrainState:
        state = trace(program)
        return state.replace(actors=state.actors.replace(env_state=(state.actors.env_state, 1)))

    monkeypatch.setattr(Program, "_trace_init", grown)
    with pytest.raises(UserError, match="leaf .actors.env_state"):
        train(_config(), run.run_dir, resume=True, console="silent")
    assert _actions(run.run_dir) == before


def test_a_new_process_acts_the_same(run: Result) -> None:
    here = _actions(run.run_dir)
    assert len({tuple(row) for row in here}) > 1, "the test could not fail"
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[2]); import test_policy;"
        "print(json.dumps(test_policy._actions(sys.argv[1])))"
    )
    there = run_python(script, run.run_dir, Path(__file__).parent)
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout.splitlines()[-1]) == here


def test_it_plays_as_in_the_evaluation_of_its_run(run: Result) -> None:
    """With recurrent state and moments, each member for itself."""
    for i, member in enumerate(run.summary["eval_return"]["members"]):
        mine, other = (
            evaluate(load_policy(run.run_dir, member=j), seed=member["seed"])["return"]
            for j in (i, 1 - i)
        )
        assert mine == {name: member[name] for name in mine}
        assert mine != other, "the test could not fail"


def test_which_checkpoint(run: Result) -> None:
    total = run.summary["env_steps"]
    assert load_policy(run.run_dir).env_steps == total
    assert load_policy(run.run_dir, env_steps=640).env_steps == 640
    best = run.summary["best_checkpoint"]
    assert load_policy(run.run_dir, env_steps="best").env_steps == best


def test_an_older_checkpoint_is_another_policy(run: Result) -> None:
    old, new = (load_policy(run.run_dir, env_steps=n).state.params for n in (320, 640))
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    assert any((a != b).any() for a, b in pairs)


def test_mistakes_are_told(run: Result, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run in"):
        load_policy(tmp_path)
    with pytest.raises(UserError, match="member 2: the run has 2"):
        load_policy(run.run_dir, member=2)
    with pytest.raises(UserError, match="expected a number or 'best'"):
        load_policy(run.run_dir, env_steps="newest")
    with pytest.raises(UserError, match="nearest is at 640"):
        load_policy(run.run_dir, env_steps=641)


def test_best_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    """A run that was stopped before its first evaluation."""
    run = train(rich(), tmp_path / "run", console="silent", time_limit=1e-6)
    assert run.summary["eval_return"] is None
    with pytest.raises(UserError, match="has an evaluation yet"):
        load_policy(run.run_dir, env_steps="best")
    assert load_policy(run.run_dir).env_steps == 64
