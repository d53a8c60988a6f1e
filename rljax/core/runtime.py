"""What must be decided before JAX starts its first backend.

That is: host devices, thread pool, precision of products, compilation cache.

XLA's CPU client sizes one thread pool when it starts, from the environment variable ``NPROC``
(default: the number of cores), and shares it between all host devices.  Two things follow:

* A pool with fewer threads than a collective has participants can deadlock (on two cores the
  default pool does), so with several devices it gets at least twice as many threads as devices.
* The pool's size decides how XLA splits reductions, hence the low bits of every result.  It is
  pinned and recorded, so that the same run gives the same bits on machines with other core counts.

Within one device's program a single thread is right: the matrices of reinforcement learning are
small, and splitting them costs more processor time than it saves.  More cores are used by more
devices.  So :func:`prepare` also sets ``PJRT_NPROC``, the threads that one program is split over,
to one: two devices on two cores become almost twice as fast by it.  The price is that a program
with collectives must not be launched before its inputs are there, or its parts wait for each other
in that one thread; :meth:`rljax.training.program.Program.chunk` sees to that.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

from rljax.core.errors import UserError

_PINNED_BY_US = "RLJAX_PINNED_NPROC"
_FLAG = re.compile(r"--xla_force_host_platform_device_count=(\d+)")


def host_devices_requested() -> int:
    """Return how many CPU devices flags or JAX's options ask for (1 when they do not say)."""
    import jax

    option = int(jax.config.values["jax_num_cpu_devices"])
    match = _FLAG.search(os.environ.get("XLA_FLAGS", ""))
    if option > 0:  # goes before the flag, for JAX, too
        return option
    return int(match.group(1)) if match else 1


def pool_size(devices: int) -> int:
    """Return the thread-pool size that is safe for this many CPU devices."""
    return 1 if devices == 1 else max(4, 2 * devices)


def pin_thread_pool(devices: int | None = None) -> bool:
    """Set ``NPROC`` unless the user has; only effective before the first use of a backend.

    Returns:
        Whether the pool is ours to choose.
    """
    ours = os.environ.get(_PINNED_BY_US)
    if os.environ.get("NPROC") and os.environ["NPROC"] != ours:
        return False
    size = str(pool_size(devices or host_devices_requested()))
    os.environ["NPROC"] = os.environ[_PINNED_BY_US] = size
    return True


def prepare(devices: int | None = None, cache_dir: str | None = None) -> None:
    """Configure JAX for a program on ``devices`` local devices.  Call before any JAX computation.

    On a machine without an accelerator ``devices`` host devices are made; with one, the first
    ``devices`` of what is there are used later by :func:`local_devices`.

    Args:
        devices: number of devices wanted, or None for all that there are.
        cache_dir: directory of the persistent compilation cache; an empty string switches it
            off, None takes ``JAX_COMPILATION_CACHE_DIR`` or the user's cache directory.
    """
    import jax

    already_running = backend_initialised()
    if not already_running:
        if pin_thread_pool(devices):
            os.environ.setdefault("PJRT_NPROC", "1")
        if (
            devices
            and devices > host_devices_requested()
            and not _FLAG.search(os.environ.get("XLA_FLAGS", ""))
        ):
            jax.config.update("jax_num_cpu_devices", devices)
    # float32 means float32: no silent TF32 on recent GPUs.
    if jax.config.values["jax_default_matmul_precision"] is None:
        jax.config.update("jax_default_matmul_precision", "highest")
    _hand_over_constants()
    if cache_dir is None:
        cache_dir = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(
            Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rljax" / "xla"
        )
    if cache_dir:
        jax.config.update("jax_compilation_cache_dir", cache_dir)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    else:
        jax.config.update("jax_enable_compilation_cache", False)


def _hand_over_constants() -> None:
    """Let what a function closes over, such as a bank of levels, be an argument of its program.

    Written into the program it would be megabytes to compile, to hash for the cache and to keep
    there.  JAX's option for this is also read once, when JAX is imported, as a default of how
    programs are lowered; by now that default is there to be changed.
    """
    import jax
    from jax._src.interpreters.mlir import LoweringParameters

    jax.config.update("jax_use_simplified_jaxpr_constants", True)
    if not LoweringParameters().hoist_constants_as_args:
        LoweringParameters.__init__ = functools.partialmethod(  # type: ignore[assignment]
            LoweringParameters.__init__, hoist_constants_as_args=True
        )


def backend_initialised() -> bool:
    """Return whether JAX has started a backend already (then the settings above are fixed)."""
    from jax._src import xla_bridge

    return bool(xla_bridge._backends)


def all_devices(count: int | None = None) -> list[Any]:
    """Return the first ``count`` devices of every process (all when None).

    Raises:
        UserError: if there are fewer here; says how many there are.
    """
    import jax

    here = local_devices(count)
    if jax.process_count() == 1:
        return here
    everywhere = [
        [device for device in jax.devices() if device.process_index == process]
        for process in range(jax.process_count())
    ]
    return [device for devices in everywhere for device in devices[:count]]


def local_devices(count: int | None = None) -> list[Any]:
    """Return the first ``count`` local devices (all when None).

    Raises:
        UserError: if there are fewer; says how many there are.
    """
    import jax

    there = jax.local_devices()
    if count is None:
        return there
    if not 1 <= count <= len(there):
        choice = "1" if len(there) == 1 else f"1 to {len(there)}"
        late = there[0].platform == "cpu"
        raise UserError(
            f"devices: {count} asked for, but there {'is' if len(there) == 1 else 'are'} "
            f"{len(there)} ({there[0].platform}). Choose {choice}"
            f"{'; a CPU is split before the first use of JAX in a process' if late else ''}."
        )
    return there[:count]
