"""A study trains each combination once, and says what is wrong with its file in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments import study

STUDY = """
preset: cartpole_ppo
common:
  {total_steps: 64, num_envs: 8, seeds: 2, network: {hidden_sizes: [4]},
   ppo: {rollout_length: 8, epochs: 1, minibatches: 1}, evaluation: {episodes: 2, max_steps: 9}}
factors:
  rate:
    low: {ppo: {learning_rate: 0.001}}
    high: {ppo: {learning_rate: 0.1}}
  clip:
    off: {}
"""


def test_cells_are_trained_once_and_reported(tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(STUDY.replace("off:", "free:"))
    argv = [str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out")]
    assert study.main(argv) == 0
    out = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert [cell["levels"] for cell in found] == [
        {"rate": "low", "clip": "free"},
        {"rate": "high", "clip": "free"},
    ]
    assert all(len(cell["return"]) == 2 for cell in found)
    rates = [
        json.loads((tmp_path / "out" / f"rate={rate}+clip=free" / "config.json").read_text())
        for rate in ("low", "high")
    ]
    assert [config["ppo"]["learning_rate"] for config in rates] == [0.001, 0.1]
    assert "rate=low" in out and "clip=free" in out
    low, high = (float(np.median(cell["return"])) for cell in found)
    line = next(line for line in out.splitlines() if line.startswith("rate: low to high"))
    assert f"{high - low:+.3g} [" in line and line.split()[4:6] == ["1", str(int(high > low))]
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/summary.json")}
    assert study.main([*argv, "--report"]) == 0 and capsys.readouterr().out == out
    assert study.main(argv) == 0
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}  # nothing was trained again
    (tmp_path / "study.yaml").write_text(STUDY.replace("off:", "free:").replace("0.1}", "0.2}"))
    assert study.main(argv) == 2  # nor are old results told for a study that says otherwise
    assert "ppo.learning_rate is 0.1 in the run and cannot become 0.2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("preset: cartpole_ppo", "preset, common and factors"),
        ("preset: cartpole_ppo\nfactors: {rate: 3}", "factor rate"),
        (
            "preset: cartpole_ppo\nfactors: {rate: {low: 1e-4}}",
            "factor rate, level low: got 0.0001",
        ),
        ("preset: cartpole_ppo\ncommon: 3\nfactors: {a: {b: {}}}", "common: got 3"),
        ("preset: cartpole_po\nfactors: {a: {b: {}}}", "cartpole_ppo"),
        ("preset: cartpole_ppo\nfactors: {a: {b: {ppo: {rate: 1}}}}", "rate"),
    ],
)
def test_what_is_no_study_is_one_line(text, told, tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(text)
    assert study.main([str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and told in error
    assert not (tmp_path / "out").exists()
