"""What is decided before the first backend: devices, threads, precision, cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from rljax.core import runtime
from rljax.core.errors import UserError
from tiny_runs import run_python

# What the environment of the tests settles, given back to the process.
_FREE = {"XLA_FLAGS": "", "NPROC": "", "JAX_NUM_CPU_DEVICES": "-1"}
_TWO = "--xla_force_host_platform_device_count=2"


def _in_a_process(script: str, *arguments: Any, **environment: str) -> Any:
    done = run_python(script, *arguments, **_FREE | environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_device_has_one_thread_and_more_have_two_each() -> None:
    assert [runtime.pool_size(n) for n in (1, 2, 3, 8)] == [1, 4, 6, 16]


_PREPARED = """
import json, os, sys
from rljax.core import runtime
devices = json.loads(sys.argv[1])
runtime.prepare(devices)
untouched = not runtime.backend_initialised()
import jax
told = [untouched, os.environ["NPROC"], len(runtime.local_devices(devices))]
told.append(jax.config.jax_default_matmul_precision)
runtime.prepare(5)  # too late for threads and devices, and harmless
try:
    runtime.local_devices(5)
except ValueError as error:
    told.append(str(error))
print(json.dumps([*told, os.environ["NPROC"], len(jax.devices())]))
"""
_TOO_MANY = (
    "devices: 5 asked for, but there {} (cpu). Choose {}; a CPU is split before the first use of "
    "JAX in a process."
)


@pytest.mark.parametrize(
    ("asked", "environment", "threads", "devices"),
    [
        (1, {}, "1", 1),
        (None, {}, "1", 1),
        (2, {}, "4", 2),
        (None, {"JAX_NUM_CPU_DEVICES": "3"}, "6", 3),
        (None, {"XLA_FLAGS": _TWO}, "4", 2),
        (None, {"XLA_FLAGS": _TWO, "JAX_NUM_CPU_DEVICES": "3"}, "6", 3),
        (2, {"NPROC": "7"}, "7", 2),
    ],
)
def test_threads_and_devices(
    asked: int | None, environment: dict[str, str], threads: str, devices: int
) -> None:
    told = _in_a_process(_PREPARED, json.dumps(asked), **environment)
    there = ("is 1", "1") if devices == 1 else (f"are {devices}", f"1 to {devices}")
    too_many = _TOO_MANY.format(*there)
    assert told == [True, threads, devices, "highest", too_many, threads, devices]


def test_what_was_pinned_for_one_run_does_not_bind_the_next_process() -> None:
    # A process that trains on one device starts one that trains on two.
    script = """
import json, os, subprocess, sys
from rljax.core.runtime import prepare
prepare(1)
code = "import os; from rljax.core.runtime import prepare; prepare(2); print(os.environ['NPROC'])"
child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
print(json.dumps([os.environ["NPROC"], child.stdout.strip()]))
"""
    assert _in_a_process(script) == ["1", "4"]


def test_precision_and_cache_are_left_as_the_user_set_them(tmp_path: Path) -> None:
    script = """
import json, jax
from rljax.core.runtime import prepare
prepare()
told = [jax.config.jax_default_matmul_precision, jax.config.jax_compilation_cache_dir]
print(json.dumps(told))
"""
    given = {"JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32"}
    told = _in_a_process(script, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "mine"), **given)
    assert told == ["tensorfloat32", str(tmp_path / "mine")]
    own = {"JAX_COMPILATION_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path)}
    assert _in_a_process(script, **own) == ["highest", str(tmp_path / "rljax" / "xla")]


def test_compiled_programs_are_kept_for_the_next_process(tmp_path: Path) -> None:
    script = """
import json, sys
from rljax.core.runtime import prepare
prepare(1, cache_dir=sys.argv[1])
import jax, jax.numpy as jnp
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
result = jax.jit(lambda x: jnp.sort(jnp.sin(x) @ jnp.cos(x).T).sum())(jnp.ones((50, 50)))
print(json.dumps([float(result), sum("cache_hits" in name for name in hits)]))
"""
    first, hits = _in_a_process(script, tmp_path / "cache")
    assert hits == 0 and any((tmp_path / "cache").iterdir())
    second, hits = _in_a_process(script, tmp_path / "cache")
    assert hits >= 1 and second == first
    assert _in_a_process(script, "")[1] == 0  # switched off


@pytest.mark.parametrize("first", ["jax", "json"])
def test_constants_are_handed_to_a_program(first: str) -> None:
    # Also in a process that has imported JAX before.
    script = f"""
import {first}
import json
from rljax.core.runtime import prepare
prepare()
prepare()
import jax, jax.numpy as jnp, numpy as np
told = []
for bank in (np.arange(1e6, dtype=np.float32), jnp.arange(1e6)):
    pick = jax.jit(lambda i: jnp.asarray(bank)[i])
    inside = jax.jit(lambda i: jax.lax.fori_loop(0, 3, lambda _, at: pick(at).astype(int) + 1, i))
    told += [len(inside.lower(0).as_text()) < 10_000, int(inside(5))]
print(json.dumps(told))
"""
    assert _in_a_process(script) == [True, 8, True, 8]


def test_here_the_devices_are_those_of_the_tests() -> None:
    assert runtime.backend_initialised() or len(jax.devices()) == 8
    runtime.prepare(3)
    assert len(runtime.local_devices()) == 8 and len(runtime.all_devices(2)) == 2
    for count in (0, 9):
        with pytest.raises(UserError, match=f"{count} asked for, but there are 8 .* 1 to 8"):
            runtime.local_devices(count)


def test_importing_it_starts_no_backend() -> None:
    code = (
        "import rljax.core.runtime, rljax.core.distributed, rljax.training.train;"
        "from jax._src import xla_bridge; assert not xla_bridge._backends"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
