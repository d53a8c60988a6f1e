"""evaluate.py: the same policy as in the run, and what may be asked of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments import evaluate


def _json(capsys: Any, *argv: object) -> dict[str, Any]:
    assert evaluate.main([*map(str, argv), "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err == ""
    return json.loads(out)


def test_it_plays_what_the_run_played_last(finished: Any, capsys: Any) -> None:
    result = _json(capsys, finished.folder, "--seed", 0)
    (member,) = finished.summary["eval_return"]["members"]
    assert result["return"] == {name: member[name] for name in result["return"]}
    assert result["env_steps"] == finished.summary["env_steps"]
    assert (result["env"], result["episodes"], result["greedy"]) == ("CartPole-v1", 4, True)


def test_other_episodes_by_default_and_as_many_as_asked(finished: Any, capsys: Any) -> None:
    result = _json(capsys, finished.folder, "--episodes", 12, "--sample")
    assert result["return"]["n"] == result["episodes"] == 12
    assert result["seed"] != 0 and not result["greedy"]
    assert {"mean", "median", "iqm", "low", "high"} <= set(result["return"])


def test_a_world_that_differs(finished: Any, capsys: Any) -> None:
    result = _json(capsys, finished.folder, "--env.params.max_steps_in_episode", 5)
    assert result["length"]["mean"] == 5


def test_best_is_the_checkpoint_with_the_best_evaluation(finished: Any, capsys: Any) -> None:
    best = finished.summary["best_checkpoint"]
    assert _json(capsys, finished.folder, "--env-steps", "best")["env_steps"] == best
    for number in ("640", "6.4e2"):
        assert _json(capsys, finished.folder, "--env-steps", number)["env_steps"] == 640


def test_report_for_a_person(finished: Any, capsys: Any) -> None:
    assert evaluate.main([str(finished.folder)]) == 0
    out = capsys.readouterr().out
    assert "CartPole-v1 after 1,280 env_steps: 4 episodes, greedy" in out
    assert "IQM" in out and "success" not in out


def test_video_of_one_episode(finished: Any, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "episode.gif"
    result = _json(capsys, finished.folder, "--video", file, "--max-frames", 6)
    assert result["video"] == {"file": str(file), "frames": 6}
    with Image.open(file) as film:
        assert 1 < film.n_frames <= 6  # like frames in a row are stored as one


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "required: RUN"),
        (["{run}x"], "Did you mean 'run'?"),
        (["{run}", "--episodes", "0"], "got '0', expected a whole number >= 1"),
        (["{run}", "--seed", "-1"], "got -1, expected a whole number in [0, 2^32)"),
        (["{run}", "--member", "1"], "member 1: the run has 1, numbered from 0"),
        (["{run}", "--env-steps", "650"], "the nearest is at 640"),
        (["{run}", "--env-steps", "worst"], "got 'worst', expected a number of env_steps, or best"),
        (["{run}", "--env.params.gravty", "1"], "nearest is gravity"),
        (["{run}", "--ppo.epochs", "1"], "only --env.params.NAME may differ"),
        (["{run}", "--greedy", "--sample"], "not allowed with argument"),
        (["{run}", "--video", "a.gfi"], "expected .gif or .mp4. Did you mean '.gif'?"),
        (["{run}", "--video", "nowhere/a.gif"], "folder nowhere does not exist"),
    ],
)
def test_a_mistake_is_one_line(argv: list[str], told: str, finished: Any, capsys: Any) -> None:
    assert evaluate.main([word.format(run=finished.folder) for word in argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert told in err
