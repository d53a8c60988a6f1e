"""What every test runs under: pinned threads, eight CPU devices, a compilation cache of its own.

All of it must be in the environment before the first import of JAX.  It is inherited by the
processes that tests start, unless they set their own.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

# With fewer threads than twice the devices, collectives on a CPU can wait for each other for ever;
# if they ever do, end the process after a minute instead of hanging.
os.environ.setdefault("NPROC", "32")
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("MUJOCO_GL", "egl")  # which needs no display
_FLAGS = (
    "--xla_force_host_platform_device_count=8",
    "--xla_cpu_collective_call_terminate_timeout_seconds=60",
    # Most of what tests compile runs for a moment only; see `helpers.optimised` for the rest.
    "--xla_backend_optimization_level=0",
    # A worker has one core: several threads for one program only cost.
    "--xla_cpu_parallel_codegen_split_count=1",
    # JAX 0.11 has the newer emitters of kernels alone, and refuses an option that it does not know.
    # With the older ones the tests' programs, of many small kernels, compile three times as fast.
    *(("--xla_cpu_use_fusion_emitters=false",) if version("jax").startswith("0.10.") else ()),
)
_given = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = " ".join(
    [_given, *(flag for flag in _FLAGS if flag.split("=")[0] not in _given)]
).strip()


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs between test runs: compiling is most of what the tests do."""
    cache = getattr(config, "cache", None)  # none under -p no:cacheprovider
    if cache is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(cache.mkdir("xla"))))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_collection_finish() -> None:
    """Take what was imported out of the garbage collector's rounds: tracing sets off many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fresh_trace_counters() -> Iterator[None]:
    """Let ``chex.assert_max_traces`` count from zero in every test."""
    import chex

    chex.clear_trace_counter()
    yield


_MOST_MAPPINGS = 25_000  # Linux allows a process 65,530; LLVM aborts when there is none left


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Let go of compiled programs now and then: each holds some mappings of memory."""
    yield
    mappings = Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        import jax

        jax.clear_caches()
        gc.collect()
