"""What cannot be done is told in one line, with exit code 2 and nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import run
from tiny_runs import ROOT

PRESET = ["--preset", "cartpole_ppo"]
GRU = ["--network.core", "gru", "--ppo.rollout_length", "64"]
EIGHT_BLOCKS = ["--num-envs", "24", "--ppo.rollout_length", "64", "--ppo.minibatches", "4"]


def _one_line(capsys: Any) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.endswith("\n") and err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        # Names: the nearest is named.
        (["--preset", "cartpol_ppo"], "'cartpol_ppo'. Did you mean 'cartpole_ppo'?"),
        (["--describe", "cartpol_ppo"], "'cartpol_ppo'. Did you mean 'cartpole_ppo'?"),
        ([*PRESET, "--env.name", "CartPol-v1"], "'CartPol-v1': nearest is CartPole-v1"),
        ([*PRESET, "--env.params.gravty", "9"], "no parameter 'gravty': nearest is gravity"),
        ([*PRESET, "--ppo.gama", "1"], "'--ppo.gama'. Did you mean '--ppo.gamma'?"),
        ([*PRESET, "--gamma", "1"], "Did you mean '--ppo.gamma'?"),
        ([*PRESET, "--run-dri", "x"], "'--run-dri'. Did you mean '--run-dir'?"),
        ([*PRESET, "--ppo.schedule", "lienar"], "Did you mean 'linear'?"),
        ([*PRESET, "--config", "mine.yml"], "'mine.yml' does not exist. Did you mean 'mine.yaml'?"),
        ([*PRESET, "--config", "mine.yaml"], "unknown option 'ppo.epoch'. Did you mean"),
        # Values.
        ([*PRESET, "--ppo.clip_epsilon", "1.5"], "got 1.5, expected float in (0, 1)"),
        ([*PRESET, "--seed", "4294967295", "--seeds", "2"], "all seeds to be below 2^32"),
        ([*PRESET, "--num-envs", "0"], "num_envs: got 0, expected int >= 1"),
        ([*PRESET, "--num-envs", "many"], "num_envs: got 'many', expected int >= 1"),
        ([*PRESET, "--exact", "--total-steps"], "--total-steps needs a value"),
        ([*PRESET, "500"], "unexpected argument '500'"),
        ([*PRESET, "--time-limit", "soon"], "time limit: got 'soon', expected"),
        ([*PRESET, "--distributed", "here"], "got 'here', expected auto or host:port,n,i"),
        # Sizes and devices.
        ([*PRESET, *GRU, "--ppo.bptt_length", "48"], "nearest that are: 48 or 96"),
        ([*PRESET, *EIGHT_BLOCKS, "--devices", "5"], "Devices that work: 1, 2, 4, 8"),
        ([*PRESET, "--devices", "9"], "devices: 9 asked for, but there are 8"),
        ([*PRESET, "--network.inputs", "observe"], "'observe', only observation. Did you mean"),
        # Folders.
        ([], "give --preset NAME"),
        ([*PRESET, "--run-dir", "."], "Go on with --resume"),
        ([*PRESET, "--run-dir", "mine.yaml/run"], "run folder mine.yaml/run: Not a directory"),
        (["--resume", "nowhere"], "no run in nowhere"),
        (["--resume", "nowhere", "--run-dir", "elsewhere"], "different runs"),
        ([*PRESET, "--resume", "auto"], "--resume auto needs a --run-dir"),
        ([*PRESET, "--resume"], "--resume needs a --run-dir"),
    ],
)
def test_a_mistake_is_one_line(
    argv: list[str], told: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("ppo: {epoch: 3}\n")
    assert run.main(argv) == 2
    assert told in _one_line(capsys)
    assert os.listdir(tmp_path) == ["mine.yaml"]


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _data(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoints/*/state/**/d/*") if path.is_file()]


def _every(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        files = _data(folder)
        assert files
        for path in files:
            damage(path)

    return apply


def _make_foreign(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["network"]["hidden_sizes"] = [16]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: shutil.rmtree(folder / "checkpoints"), "no checkpoint"),
        (_every(_truncate), "no good checkpoint"),
        (_every(_flip), "no good checkpoint"),
        (_make_foreign, "of another configuration: leaf"),
        (lambda folder: _truncate(folder / "config.json"), "config.json', line"),
    ],
    ids=["missing", "truncated", "flipped", "foreign", "config"],
)
def test_a_run_that_cannot_go_on_is_one_line(
    damage: Callable[[Path], None], told: str, finished: Any, tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    damage(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run.main(["--resume", str(folder)]) == 2
    assert told in _one_line(capsys)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_run_goes_on_only_as_what_it_was(finished: Any, capsys: Any) -> None:
    assert run.main(["--resume", str(finished.folder), "--num-envs", "16"]) == 2
    assert "num_envs is 8 in the run and cannot become 16" in _one_line(capsys)


def test_a_process_of_its_own_says_no_more_than_that(finished: Any, tmp_path: Path) -> None:
    """Libraries that log, or complain when Python ends, are heard only there."""
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    _every(_flip)(folder)
    process = subprocess.run(
        [sys.executable, ROOT / "experiments" / "run.py", "--resume", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.startswith("error: no good checkpoint in")
    assert process.stderr.count("\n") == 1, process.stderr
