"""What the documents say holds: examples run, names exist, links lead somewhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
METRIC = re.compile(
    r"(episode|recent|loss|policy|value|distil|update|evaluation|speed|curriculum)/[a-z_]+"
)


@pytest.mark.slow
def test_the_examples_of_adding_run(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "adding.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 4
    program = tmp_path / "adding.py"
    program.write_text("\n\n".join(blocks))
    result = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr[-3000:]


def _metrics_in_code() -> set[str]:
    """Names that the code makes: every text that is as a whole the name of a metric."""
    names = set()
    for package in ("algorithms", "control", "data", "training"):
        for path in (ROOT / "rljax" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and METRIC.fullmatch(str(node.value)):
                    names.add(str(node.value))
    return names


def test_every_metric_is_explained_and_no_other() -> None:
    # The first column of the tables; the prose names metrics too.
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    made = _metrics_in_code()
    assert len(made) > 20, "metric names not found"
    assert made == explained


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    linked = {path.parent / name for name in re.findall(r"\]\(([^)#:]+)\)", text)}
    # `rljax/core/mesh.py`, or `core/mesh.py` where the package is clear.
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", text)
    missing = [str(file) for file in linked if not file.exists()]
    missing += [f for f in named if not (ROOT / f).exists() and not (ROOT / "rljax" / f).exists()]
    assert not missing
