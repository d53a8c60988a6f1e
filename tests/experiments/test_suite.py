"""Suites of levels from the command line."""

import json

import pytest

from experiments.suite import main


def test_a_baseline_plays_every_level_and_leaves_a_report(tmp_path, capsys):
    arguments = ["greedy", "--levels", "starter", "--category", "simplest", "--json"]
    assert main([*arguments, "--out", str(tmp_path / "report")]) == 0
    result = json.loads(capsys.readouterr().out)["greedy"]
    assert result["levels"] == 40
    assert list(result["categories"]) == ["simplest"]
    # Straight to the objective is all that these ask for.
    assert result["categories"]["simplest"]["success"] >= 0.9
    assert 0.5 < result["overall"]["efficiency"] <= 1.0
    assert json.loads((tmp_path / "report" / "suite.json").read_text())["greedy"] == result


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["greedy", "--levels", "tset"], "bank 'tset': expected one of starter, "),
        (["greedy", "--levels", "none.npz"], "bank file none.npz: there is no such file"),
        (["greedy", "--levels", "starter", "--category", "simpel"], "nearest is 'simple'"),
        (["no_such_run", "--levels", "starter"], "no_such_run"),
        ([], "the following arguments are required: PLAYER"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
