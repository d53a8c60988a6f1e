"""Kills, full disks and damaged files: what is restored is right, or an error is told."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.training.checkpoint import Checkpoints


def _state(step: int) -> dict[str, jax.Array]:
    noise = np.random.default_rng(step).normal(size=(300, 300)).astype(np.float32)
    return {"w": jnp.asarray(noise), "step": jnp.asarray(step), "key": jax.random.key(step)}


def _restored_step(directory: Path) -> int:
    """The step restored, after checking that all of its content is of that step."""
    with Checkpoints(directory) as checkpoints:
        step, state, meta = checkpoints.restore(jax.eval_shape(_state_shape))
    assert meta == {"step": step}
    expected = _state(step)
    np.testing.assert_array_equal(state["w"], expected["w"])
    assert int(state["step"]) == step and bool(state["key"] == expected["key"])
    return step


def _state_shape() -> dict[str, jax.Array]:
    return {"w": jnp.zeros((300, 300)), "step": jnp.zeros((), int), "key": jax.random.key(0)}


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    with Checkpoints(directory) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, _state(step), metric=float(step), meta={"step": step})
    return directory


def _damage(rng: random.Random, step: Path) -> str:
    file = rng.choice(sorted(path for path in step.rglob("*") if path.is_file()))
    data = bytearray(file.read_bytes())
    kind = rng.choice(["flip", "truncate", "delete"] if data else ["delete"])
    if kind == "delete":
        file.unlink()
    elif kind == "truncate":
        file.write_bytes(data[: rng.randrange(len(data))])
    else:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
    return f"{kind} {file.name}"


def test_random_damage_never_gives_wrong_content(tmp_path: Path, two_checkpoints: Path) -> None:
    rng, restored = random.Random(0), []
    for case in range(24):
        directory = tmp_path / str(case)
        shutil.copytree(two_checkpoints, directory)
        damage = _damage(rng, directory / "2")
        restored.append((_restored_step(directory), damage))
        shutil.rmtree(directory)
    # Damage to files that hold nothing of ours is harmless; the rest must have been noticed.
    assert {step for step, _ in restored} == {1, 2}, restored


def test_a_flipped_bit_in_any_array_is_noticed(tmp_path: Path, two_checkpoints: Path) -> None:
    rng = random.Random(1)
    for case in range(6):
        directory = tmp_path / str(case)
        shutil.copytree(two_checkpoints, directory)
        files = (path for path in (directory / "2").rglob("*") if path.is_file())
        file = max(files, key=lambda path: path.stat().st_size)
        data = bytearray(file.read_bytes())
        data[rng.randrange(len(data) // 4, 3 * len(data) // 4)] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        assert _restored_step(directory) == 1


_KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoint_damage import Checkpoints, _state, _state_shape, jax
with Checkpoints(sys.argv[1]) as checkpoints:
    step = checkpoints.restore(jax.eval_shape(_state_shape))[0] if checkpoints.latest() else 0
    while True:
        step += 1
        checkpoints.save(step, _state(step), metric=-step, meta={"step": step})
        print(step, flush=True)
"""


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": root, "JAX_PLATFORMS": "cpu", "NPROC": "8", "XLA_FLAGS": ""}


def test_killed_at_any_instant_restores_the_newest_whole_one(tmp_path: Path) -> None:
    rng, newest = random.Random(2), 0
    for _ in range(3):
        script = [sys.executable, "-c", _KILLED, str(tmp_path), str(Path(__file__).parent)]
        with subprocess.Popen(
            script, stdout=subprocess.PIPE, env=_environment(), text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(3):  # the second save returns once the first is on disk
                last = int(process.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            last = max([last, *map(int, process.stdout.read().split())])
        restored = _restored_step(tmp_path)
        assert restored > newest and restored >= last - 1
        newest = restored


_FULL = """
import json, os, resource, sys
sys.path.insert(0, sys.argv[3])
from test_checkpoint_damage import Checkpoints, _restored_step, _state
from pathlib import Path
how, directory, junk = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[2] + ".junk")

def fill():
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        return
    with open(junk, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(10_000))
        except OSError:
            pass

def free():
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        junk.unlink()

def save(step):
    checkpoints.save(step, _state(step), metric=float(step), meta={"step": step})

def attempt(*calls):
    lines = []
    for call in calls:
        try:
            call()
        except ValueError as error:
            lines.append(f"{type(error).__name__}: {error}")
    return lines

checkpoints = Checkpoints(directory, keep_latest=1)
save(1)
checkpoints.wait()
fill()
told = {"next save": attempt(lambda: save(2), lambda: save(3))}
told["close"] = attempt(checkpoints.wait, checkpoints.close, checkpoints.close)
told["restored"] = _restored_step(directory)
free()
checkpoints = Checkpoints(directory, keep_latest=1)
told["afterwards"] = attempt(lambda: save(2), lambda: save(3), checkpoints.close)
told["restored afterwards"] = _restored_step(directory)
told["left"] = sorted(os.listdir(directory))
print(json.dumps(told))
"""


@pytest.mark.parametrize(
    ("how", "reason"), [("limit", "File too large"), ("disk", "No space left on device")]
)
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, how: str, reason: str) -> None:
    script = [sys.executable, "-c", _FULL, how, str(tmp_path / "c"), str(Path(__file__).parent)]
    if how == "disk":
        mounted = f'mount -t tmpfs -o size=3m tmpfs "{tmp_path}" && exec "$@"'
        script = ["unshare", "--mount", "sh", "-c", mounted, "sh", *script]
        probe = [*script[:2], "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
        if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
            pytest.skip("may not mount a small file system here")
    run = subprocess.run(script, env=_environment(), capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    # Nothing logged by Orbax; TensorStore may still print a short "Event loop is closed".
    assert "ERROR:" not in run.stderr, run.stderr
    told = json.loads(run.stdout)
    line = "UserError: could not save the checkpoint at {} env steps: " + reason
    line += "; the one at 1 is still good"
    saves = told["next save"] + told["close"]
    assert line.format(2) in saves and all("\n" not in text for text in saves), told
    assert told["restored"] == 1
    assert told["afterwards"] == [] and told["restored afterwards"] == 3
    assert told["left"] == ["3"]
