"""locomotion.py: what it says of a policy, and what may be asked of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import locomotion
from made_runs import make_run
from rljax.core.config import merge
from rljax.core.runtime import local_devices
from rljax.training.build import make_program
from rljax.training.checkpoint import Checkpoints
from rljax.training.config import Config
from rljax.training.presets import preset
from rljax.training.run_folder import RunFolder

FEW = ["--episodes", "16", "--seconds", "2.4"]
SMALL: dict[str, Any] = {
    "num_envs": 4,
    "devices": 1,
    "network": {"hidden_sizes": [8], "head_sizes": [8], "core_size": 8, "encoders": {"scan": [8]}},
    "ppo": {"minibatches": 1},
    "curriculum": {
        "stages": [{"name": f"level{level}", "params": {"level": level}} for level in range(2)],
        "start_up_to": "level1",
    },
    # Steps of 12 cm, of which the first is a metre and a half away.
    "env": {
        "params": {
            "ground": "stairs_up+gaps",
            "levels": 2,
            "cell": 0.2,
            "max_steps_in_episode": 120,
        }
    },
}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a preset for rough ground as it is before the first update, but for its sizes."""
    config = merge(preset("quadruped_rough"), SMALL)
    return save(config, tmp_path_factory.mktemp("runs") / "rough")


def save(config: Config, path: Path) -> Path:
    folder = RunFolder.create(path, config)
    with Checkpoints(folder.checkpoints_path) as checkpoints:
        checkpoints.save(0, make_program(config, local_devices(1)).init())
    return path


@pytest.fixture(scope="module")
def told(untrained: Path) -> dict[str, Any]:
    return told_of(untrained, "--levels")


def told_of(run: Path, *options: str) -> dict[str, Any]:
    """What it says as JSON, which is all that it writes."""
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(words)))
        assert locomotion.main([str(run), *FEW, *options, "--json"]) == 0
    (line,) = lines
    parsed = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return parsed[str(run)]


def test_errors_tracking_and_falls(told: dict[str, Any]) -> None:
    result = told["flat or any level"]
    assert set(result) == {
        "velocity_error",
        "yaw_rate_error",
        "track_velocity",
        "track_yaw",
        "falls",
        "episodes",
    }
    assert result["episodes"] == 16 and 0 <= result["falls"] <= 1
    assert 0.1 < result["velocity_error"] < 2 and 0 < result["track_velocity"] < 1


def test_a_row_for_each_kind_and_a_number_for_each_level(told: dict[str, Any]) -> None:
    table = told["levels"]
    assert set(table) == {"stairs_up", "gaps", "all kinds"}
    for row in table.values():
        assert len(row) == 2
        assert all(share is None or share == 0.0 for share in row)  # it cannot walk


def test_a_policy_that_forgets_walks_otherwise(untrained: Path, told: dict[str, Any]) -> None:
    forgetful = told_of(untrained, "--forget")["flat or any level"]
    assert forgetful["velocity_error"] != told["flat or any level"]["velocity_error"]


def test_a_policy_walks_otherwise_without_its_scan(untrained: Path, told: dict[str, Any]) -> None:
    blind = told_of(untrained, "--hide", "scan")["flat or any level"]
    assert blind["velocity_error"] != told["flat or any level"]["velocity_error"]


def test_a_table_for_a_person(told: dict[str, Any], capsys: Any) -> None:
    none = dict.fromkeys(told["flat or any level"]) | {"falls": 1.0, "episodes": 16}
    results = {"a run": told, "another": {"flat or any level": none}}
    locomotion._show(results)
    out = capsys.readouterr().out
    first = out.index("a run")
    assert first < out.index("velocity_error") < out.index("gets through") < out.index("another")
    assert "stairs_up" in out and "level 1" in out and "level 2" not in out
    assert "median" not in out  # of tables that differ there is none
    assert f"{told['flat or any level']['velocity_error']:.3f}" in out
    assert out.splitlines()[-1].split().count("-") == 4  # what nobody lived to see


def test_several_runs_have_a_median(capsys: Any) -> None:
    def run(error: float | None, shares: list[float | None]) -> dict[str, Any]:
        return {"flat or any level": {"error": error, "falls": 0.25}, "levels": {"gaps": shares}}

    results = [run(0.5, [1.0, 0.5]), run(0.1, [0.2, None]), run(0.4, [0.6, None])]
    locomotion._show(dict(zip("abc", results, strict=True)))
    lines = capsys.readouterr().out.splitlines()
    together = lines[lines.index("median of 3 runs [lowest, highest]") :]
    assert "0.400 [0.100, 0.500]  0.250 [0.250, 0.250]" in together[2]
    cells = ["0.60 [0.20, 1.00]", "0.50 [0.50, 0.50]", "0.60 [0.20, 0.75]"]
    assert all(cell in together[-1] for cell in cells), together[-1]
    locomotion._show({"alone": run(None, [None, None])})
    assert "median" not in (alone := capsys.readouterr().out)
    assert alone.splitlines()[-1].split() == ["gaps", "-", "-", "-"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are not there to be loaded: of another world, and on flat ground."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder / "cart", {"loss": [1.0]})
    for name, ground in (("flat", "flat"), ("unknown", "rogh")):
        file = make_run(folder / name, {"loss": [1.0]}, env="Quadruped-v1") / "config.json"
        config = json.loads(file.read_text())
        config["env"] |= {"params": {"ground": ground}, "reset": "full"}
        file.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: RUN"),
        (["{made}/flatt"], "Did you mean 'flat'?"),
        (["{made}/cart"], "trained in CartPole-v1, expected Quadruped-v1"),
        (["{made}/flat", "--levels"], "trained on flat ground, which has no levels"),
        (["{made}/flat"], "no checkpoint"),
        (["{made}/unknown"], "ground 'rogh': expected"),
        (["{run}", "--episodes", "0"], "--episodes 0: expected at least 1"),
        (["{run}", "--episodes", "many"], "invalid int value: 'many'"),
        (["{run}", "--seconds", "2"], "--seconds 2.0: expected at least 2.02"),
        (["{run}", "--seconds", "nan"], "--seconds nan: expected at least 2.02"),
        (["{run}", "--mujoco", "-1"], "--mujoco -1: expected at least 0"),
        (["{run}", "--mujoco", "1"], "trained on terrain; expected a run on flat ground"),
        (["{run}", "--env-steps", "100"], "the nearest is at 0"),
        (["{run}", "--env-steps", "last"], "got 'last', expected a number of env_steps, or best"),
        (["{run}", "--hide", "depth"], "what the policy sees: proprioception, scan"),
        (["{run}", "--level"], "unrecognized arguments: --level"),
    ],
)
def test_a_mistake_is_one_line(
    argv: list[str], message: str, untrained: Path, made: Path, capsys: Any
) -> None:
    assert locomotion.main([word.format(run=untrained, made=made) for word in argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1, err
    assert message in err
