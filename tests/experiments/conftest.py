"""One tiny run, trained by the command line, that the tests of the programs share."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from experiments import run
from rljax.core.config import to_dict
from tiny_runs import plain


class Finished(NamedTuple):
    """A run that has ended: its folder, exit code and what it wrote to stdout."""

    folder: Path
    config_file: Path
    code: int
    stdout: str

    @property
    def summary(self) -> dict:
        return json.loads(self.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """``run.py --config tiny.yaml --run-dir ... --json``."""
    where = tmp_path_factory.mktemp("cli")
    file = where / "tiny.yaml"
    file.write_text(yaml.safe_dump(to_dict(plain())))
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        code = run.main(["--config", str(file), "--run-dir", str(where / "run"), "--json"])
    return Finished(where / "run", file, code, stdout.getvalue())
