"""Several processes (hosts) as one run: starting them, and having them decide alike.

Each process runs the same program; whatever one of them decides from its own clock, signals or
files must be agreed upon first, or the others would wait for it in a collective for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from rljax.core.errors import UserError
from rljax.core.runtime import backend_initialised

T = TypeVar("T")

_SPEC = re.compile(r"(?P<address>[^\s,]+:\d+),(?P<count>\d+),(?P<index>\d+)")


def initialise(spec: str) -> None:
    """Join this process to a group, before anything else touches JAX's devices.

    Args:
        spec: "auto" where the cluster tells (SLURM, Open MPI, Kubernetes, Cloud TPU), or
            "host:port,n,i": address of process 0, number of processes, which of them (from 0)
            this one is.

    Raises:
        UserError: for another spec, if a backend runs already, or if nothing tells "auto" what to
            do.  Should the processes not come together, JAX ends this one after five minutes.
    """
    arguments = {} if spec == "auto" else _parse(spec)
    if backend_initialised():
        raise UserError("distributed: JAX's devices are in use already; call initialise first")
    try:
        jax.distributed.initialize(**arguments)
    except (RuntimeError, ValueError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        if spec == "auto":
            first_line += "; without a cluster that tells, give host:port,n,i"
        raise UserError(f"distributed {spec!r}: {first_line}") from None


def _parse(spec: str) -> dict[str, Any]:
    match = _SPEC.fullmatch(spec.strip())
    if not match:
        raise UserError(
            f"distributed: got {spec!r}, expected auto or host:port,n,i, like 10.0.0.1:1234,2,0"
        )
    count, index = int(match["count"]), int(match["index"])
    if index >= count:
        raise UserError(
            f"distributed: process {index} of {count} cannot be; the last one is {count - 1}"
            if count
            else "distributed: got 0 processes, expected 1 or more"
        )
    return {"coordinator_address": match["address"], "num_processes": count, "process_id": index}


def is_leader() -> bool:
    """Return whether this is process 0, the one that writes files."""
    return jax.process_index() == 0


def gather(values: Sequence[int]) -> np.ndarray:
    """Return the values of every process, int32 [processes, len(values)]; all must call it."""
    here = np.asarray(values, np.int32)
    if jax.process_count() == 1:
        return here[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(here))


def leader_first(action: Callable[[], T]) -> T | None:
    """Do something on process 0 while the others wait; all must call it.

    Returns:
        What ``action`` returns; None on the other processes.

    Raises:
        UserError: on every process, if ``action`` raises one.
    """
    result, failure = None, None
    if is_leader():
        try:
            result = action()
        except UserError as error:
            failure = error
    failed = bool(gather([failure is not None])[0, 0])
    if failure is not None:
        raise failure
    if failed:
        raise UserError("process 0 stopped; its own message says why")
    return result
