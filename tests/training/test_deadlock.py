"""Programs that can wait for ever on two cores, and must not under our number of threads.

XLA:CPU's thread pool has as many threads as there are cores.  Two are too few for collectives of
two devices: with two, the first of these programs is aborted after 40 seconds, every time.  They
can be too few for the loops of several members in one batch, too, in some programs and sizes (not
known of this one).  See :mod:`rljax.core.runtime`.
"""

from __future__ import annotations

import pytest

from tiny_runs import run_python

# As the command line would find it: nothing about threads or devices in the environment.
_FREE = {"XLA_FLAGS": "", "NPROC": "", "JAX_NUM_CPU_DEVICES": "-1"}
_CORES = """
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
"""

_MANY_CALLS = (
    _CORES
    + """
from rljax.core.runtime import prepare
prepare(2)
import jax
import tiny_runs
from rljax.training.build import make_program
from rljax.core.runtime import all_devices

program = make_program(tiny_runs.plain(devices=2), all_devices(2))
state = program.init()
for _ in range(500):  # none of them is waited for
    state, metrics = program.chunk(state, 1)
print(int(jax.block_until_ready(state.updates)[0]), os.environ["NPROC"])
"""
)

_FOUR_MEMBERS = (
    _CORES
    + """
from rljax.core.runtime import prepare
prepare(1)
import jax
import tiny_runs
from rljax.training.build import make_program
from rljax.core.runtime import all_devices

config = tiny_runs.plain(
    devices=1, seeds=4, num_envs=64, network={"hidden_sizes": [64, 64]},
    ppo={"rollout_length": 32, "epochs": 4, "minibatches": 4},
)
program = make_program(config, all_devices(1))
state = program.init()
for _ in range(10):
    state, metrics = program.chunk(state, 1)
print(int(jax.block_until_ready(state.updates)[3]), os.environ["NPROC"])
"""
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "told"), [(_MANY_CALLS, ["500", "4"]), (_FOUR_MEMBERS, ["10", "1"])]
)
def test_it_comes_to_an_end(script: str, told: list[str]) -> None:
    done = run_python(script, timeout=150, **_FREE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == told
