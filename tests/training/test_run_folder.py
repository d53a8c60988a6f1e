"""The folder of a run: made once, read again, never half written."""

from __future__ import annotations

import errno
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rljax.core.errors import UserError
from rljax.training.run_folder import RunFolder, describe_environment
from tiny_runs import plain


def test_what_is_stored_is_read(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "deep" / "run", plain())
    assert RunFolder.open(made.path).read_config() == plain()
    assert list(made.path.iterdir()) == [made.config_path]


def test_an_empty_folder_may_be_used_and_another_not(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, plain())
    with pytest.raises(UserError, match="exists. Go on with --resume .* or choose another"):
        RunFolder.create(tmp_path, plain())


def test_without_a_path_the_name_tells_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = RunFolder.create(None, plain(name="mine", seed=3))
    assert made.path.parent == Path("runs") and made.path.name.startswith("mine-s3-20")


def test_a_missing_run_is_told_with_the_nearest(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "cartpole-1", plain())
    with pytest.raises(UserError, match="config.json is missing. Did you mean 'cartpole-1'"):
        RunFolder.open(tmp_path / "cartpole-l")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"name": "x"}', '{"env": {"name": 3}}'])
def test_a_damaged_config_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    folder = RunFolder.create(tmp_path, plain())
    folder.config_path.write_text(text)
    with pytest.raises(UserError) as error:
        folder.read_config()
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="run folder .*file/run: Not a directory"):
        RunFolder.create(tmp_path / "file" / "run", plain())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, plain())

    def full(self: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="could not write .*config.json: No space left on device"):
        folder.write_config(plain(seed=1))
    assert folder.read_config() == plain()


def test_the_environment_is_json_and_does_not_need_git(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = describe_environment()
    assert json.loads(json.dumps(environment)) == environment
    assert environment["processes"] == 1 and len(environment["devices"]) == 8

    def no_git(*args: Any, **options: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert describe_environment()["git_commit"] is None
