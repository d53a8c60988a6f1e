"""The notebooks run from top to bottom, and their .ipynb files are made from their text sources."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbclient
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.slow
def test_quickstart_runs_on_a_tiny_budget(tmp_path: Path) -> None:
    notebook = jupytext.read(NOTEBOOKS / "quickstart.py")
    parameters = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    parameters.source = f"total_steps = 4096\nrun_dir = {str(tmp_path / 'run')!r}"
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/gif" in output.get("data", {}) for output in outputs)
    assert any("mean return" in output.get("text", "") for output in outputs)
    assert (tmp_path / "run" / "summary.json").is_file()


def test_notebook_is_made_from_its_source() -> None:
    source = jupytext.read(NOTEBOOKS / "quickstart.py")
    made = jupytext.read(NOTEBOOKS / "quickstart.ipynb")
    assert [c.source for c in made.cells] == [c.source for c in source.cells]
    assert not any(c.get("outputs") for c in made.cells)
