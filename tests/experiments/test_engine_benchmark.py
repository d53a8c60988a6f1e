"""The engine's benchmark, on a few robots."""

import json
import subprocess
import sys

import pytest

from experiments import engine_benchmark


@pytest.mark.slow
def test_both_forms_are_timed():
    command = [sys.executable, engine_benchmark.__file__, "--forms", "--json", "--num-envs", "2"]
    few = ["--repeat", "1", "--ground", "flat", "--body", "feet"]
    result = subprocess.run([*command, *few], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert [row["engine"] for row in rows] == ["ours, feet", "ours fused, feet"]
    for row in rows:
        assert row["robots"] == 2 and row["ground"] == "flat" and row["clock"] == "processor"
        assert row["compile s"] > 0 and row["us/step"] > 0
        assert row["steps/s"] == pytest.approx(1e6 / row["us/step"], rel=1e-3)


def test_another_ground(capsys):
    assert engine_benchmark.main(["--ground", "sea"]) == 2
    assert "'sea'" in capsys.readouterr().err
