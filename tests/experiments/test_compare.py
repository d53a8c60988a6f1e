"""compare.py: the report, what is printed, and what cannot be compared."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import compare
from made_runs import make_run
from rljax.core.config import merge
from rljax.evaluation.comparing import report
from rljax.training.run_folder import RunFolder

PNG = b"\x89PNG\r\n"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five seeds of a team that learns, in two runs, and five of one that does not."""
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)

    def member(level: float) -> dict[str, Any]:
        rise = level * np.linspace(0, 1, 40) + 0.05 * rng.random(40)
        metrics = {"episode/return": -15 + 20 * rise, "episode/success": rise.clip(0, 1)}
        for agent in ("agent0", "agent1"):
            metrics |= {
                f"{agent}/actor_grad_norm": 0.3 + 0.1 * rng.random(40),
                f"{agent}/dist_entropy": np.linspace(1.0, 0.5, 40),
            }
        return metrics | {
            "critic/critic_grad_norm": 1 + rng.random(40),
            "critic/value_loss": rng.random(40),
            "value/explained_variance": rng.random(40),
        }

    def run(name: str, level: float, seeds: int, **changes: Any) -> None:
        final = [{"mean": 20 * level - 15, "success": level + i / 100} for i in range(seeds)]
        members = [member(level) for _ in range(seeds)]
        world = "SpeakerListener-particles"
        make_run(Path("runs") / name, *members, final=final, env=world, **changes)

    safe = {"ppo": {"learning_rate": 3e-4, "max_grad_norm": 0.25}}
    run("basic-0", 0.2, 2, ppo={"learning_rate": 5e-4})
    run("basic-2", 0.2, 3, ppo={"learning_rate": 5e-4}, seed=2)
    run("safe", 0.9, 5, **safe)
    return tmp_path / "runs"


def test_report_has_everything_and_its_pictures(runs: Path, capsys: Any) -> None:
    assert compare.main([str(path) for path in sorted(runs.iterdir())]) == 0
    out = capsys.readouterr().out
    verdict = "B is better than A in final success: median 0.92 ["
    assert verdict in out and out.endswith("report comparison/report.md\n")
    text = Path("comparison/report.md").read_text()
    assert verdict in text and "| ppo.learning_rate | 0.0005 | 0.0003 |" in text
    themes = ["Return", "Success"]
    themes += [f"Gradient norm of {who}" for who in ("agent0", "agent1", "critic")]
    themes += ["Entropy of agent0", "Entropy of agent1"]
    themes += ["Value loss", "Explained variance", "Speed"]
    assert (
        re.findall(r"^### (.*)$", text, re.MULTILINE) == themes
    )  # what was not logged is left out
    assert "A: share of logged gradient norms above max_grad_norm 0.5: 0.0% of agent0" in text
    assert "share of logged gradient norms above max_grad_norm 0.25: 100.0% of agent0" in text
    assert "of log 3); it can be at most 1.1." in text and "`spike_factor` 10.0" in text
    pictures = re.findall(r"!\[.*\]\((.*)\)", text)
    assert sorted(pictures) == sorted(p.name for p in Path("comparison").glob("*.png"))
    assert len(pictures) == 5
    for name in pictures:
        data = Path("comparison", name).read_bytes()
        assert data.startswith(PNG) and len(data) > 5000


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time."""
    monkeypatch.setattr(report, "draw", lambda comparison, folder: {})


def test_nothing_is_overwritten_unasked(runs: Path, no_pictures: None, capsys: Any) -> None:
    argv = ["--sides", "basic=runs/basic-*", "safe=runs/safe", "--out", "here/there"]
    assert compare.main(argv) == 0
    assert "safe is better than basic" in Path("here/there/report.md").read_text()
    Path("here/there/report.md").write_text("mine")
    assert compare.main(argv) == 2
    assert "folder here/there is not empty" in capsys.readouterr().err
    assert Path("here/there/report.md").read_text() == "mine"
    assert compare.main([*argv, "--force"]) == 0
    assert Path("here/there/report.md").read_text() != "mine"


def test_json_is_one_line_and_options_are_rules(runs: Path, no_pictures: None, capsys: Any) -> None:
    argv = ["runs/basic-0", "--json", "runs/safe", "--spike-factor", "1.2", "--entropy.std_low=0.2"]
    assert compare.main(argv) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err == ""
    told = json.loads(out)
    assert told["rules"]["spike_factor"] == 1.2 and told["rules"]["entropy"]["std_low"] == 0.2
    assert told["report"] == "comparison/report.md" and Path(told["report"]).is_file()
    kinds = {f["kind"] for side in told["sides"] for m in side["members"] for f in m["findings"]}
    assert kinds == {"spikes"}
    assert told["contrasts"][0]["better"] is None, "2 against 5 seeds: p cannot be below 2 / 21"


def test_a_run_that_was_trained(
    finished: Any, tmp_path: Path, no_pictures: None, capsys: Any
) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished.folder, other, ignore=shutil.ignore_patterns("checkpoints"))
    folder = RunFolder.open(other)
    folder.write_config(merge(folder.read_config(), {"ppo": {"gamma": 0.5}}))
    out = tmp_path / "out"
    assert compare.main([str(finished.folder), str(other), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "No difference in final return can be shown with n = 1 seed a side" in printed
    assert "B: gamma 0.5" in printed and "better" not in printed and "success" not in printed
    mean = finished.summary["eval_return"]["mean"]
    text = (out / "report.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| {finished.folder}"))
    assert row.endswith(f" {mean:.3g} |")
    assert "### Policy loss" in text and "### Entropy of policy" in text


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "no run given"),
        (["runs/safe"], "1 run given"),
        (["runs/safe", "runs/saf"], "no run in runs/saf: config.json is missing. Did you mean"),
        (["runs/basic-0", "runs/basic-2"], "of one configuration, which makes one side"),
        (["runs/safe", "runs/basic-0", "--forse"], "unknown option '--forse'. Did you mean"),
        (["runs/safe", "--spike-facto", "2"], "'--spike-facto'. Did you mean '--spike-factor'?"),
        (["runs/safe", "runs/basic-0", "--drop", "much"], "drop: got 'much', expected float >= 0"),
        (["runs/safe", "runs/basic-0", "--confidence", "2"], "confidence: got 2.0, expected"),
        (["--sides", "a=runs/safe"], "got a alone, expected two or more sides"),
        (["--sides", "a=runs/safe", "runs/basic-0"], "got 'runs/basic-0', expected NAME=RUN"),
        (["--sides", "a=runs/safe", "a=runs/basic-0"], "a is given twice"),
        (["--sides", "a=runs/x*", "b=runs/safe"], "no run matches 'runs/x*'"),
        (["runs/basic-0", "--sides", "a=runs/safe", "b=runs/basic-2"], "not both"),
        (["runs/safe", "runs/basic-0", "--out", "runs"], "folder runs is not empty"),
        (["runs/safe", "runs/basic-0", "--out", "runs/safe/config.json"], "expected a folder"),
    ],
)
def test_a_mistake_is_one_line(argv: list[str], told: str, runs: Path, capsys: Any) -> None:
    before = sorted(Path().rglob("*"))
    assert compare.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and told in err and err.startswith("error: ") and err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before, "nothing is written"


def test_what_draws_is_asked_for_by_name(
    runs: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert compare.main(["runs/safe", "runs/basic-0"]) == 2
    assert "pip install -e '.[plot]'" in capsys.readouterr().err
    assert not Path("comparison").exists()


def test_help_shows_the_rules(capsys: Any) -> None:
    assert compare.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "--entropy.std_high" in out and "Degradation" in out and "--sides" in out
