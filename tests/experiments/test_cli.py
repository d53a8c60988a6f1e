"""Exit codes and one-line errors, whatever a program raises."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from experiments.cli import Parser, command, print_table
from rljax.core.errors import UserError
from rljax.training.config import Config
from tiny_runs import ROOT


def _ends(error: BaseException) -> int:
    @command
    def main(argv: list[str]) -> int:
        raise error

    return main([])


def test_mistakes_are_two_and_one_line(capsys: Any) -> None:
    assert _ends(UserError("first\n  second")) == 2
    assert capsys.readouterr().err == "error: first second\n"


def test_files_that_cannot_be_used_are_two_and_one_line(capsys: Any) -> None:
    assert _ends(OSError(28, "No space left on device", "some/file")) == 2
    assert capsys.readouterr().err == "error: some/file: No space left on device\n"
    assert _ends(OSError("cannot")) == 2
    assert capsys.readouterr().err == "error: cannot\n"


def test_the_second_ctrl_c_is_what_a_shell_expects(capsys: Any) -> None:
    assert _ends(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="a bug"):
        _ends(ValueError("a bug"))


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.run", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) in (0, 1)


def test_own_options_and_fields_are_told_apart() -> None:
    parser = Parser("")
    parser.add_argument("--run-dir")
    parser.add_argument("--list", action="store_true")
    argv = ["--seed", "-1", "--run-dir", "x", "--exact", "--list", "--ppo.learning-rate=1e-3"]
    options, overrides = parser.parse_with_config(argv, Config)
    assert (options.run_dir, options.list) == ("x", True)
    assert overrides == {"seed": -1, "exact": True, "ppo": {"learning_rate": 1e-3}}


def test_own_options_are_not_abbreviated() -> None:
    parser = Parser("")
    parser.add_argument("--seconds")
    with pytest.raises(UserError, match="--seco"):
        parser.parse_with_config(["--seco", "1"], Config)


def test_tables_keep_everything(capsys: Any) -> None:
    print_table(("name", "count"), [("a", "1"), ("b", "-"), ("c", "1,000")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [["a", "1"], ["b", "-"], ["c", "1,000"]]
    assert lines[1].index("1") > lines[3].index("1"), "numbers are aligned to the right"


@pytest.mark.parametrize("argv", [["--env.params.g", "-2", "RUN"], ["RUN", "--env.params.g=-2"]])
def test_the_value_of_a_field_is_no_argument_of_the_program(argv: list[str]) -> None:
    parser = Parser("")
    parser.add_argument("run")
    options, overrides = parser.parse_with_config(argv, Config)
    assert options.run == "RUN" and overrides == {"env": {"params": {"g": -2}}}
