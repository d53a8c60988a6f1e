"""The one place that talks to Orbax: folders of arrays and a record, committed atomically."""

import contextlib
import functools
import gc
import itertools
import logging
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import orbax.checkpoint as ocp

from rljax.training.checkpoint_record import ITEM, DamagedError
from rljax.training.checkpoint_retention import OrbaxPolicy

_STATE = "state"
_UNFINISHED = "*.orbax-checkpoint-tmp*"


class Store:
    """Whole checkpoints in `directory`, a folder for each step; all processes call alike."""

    def __init__(self, directory: Path, policy: OrbaxPolicy) -> None:
        self.directory = directory
        self._policy = policy
        self._orbax: ocp.CheckpointManager | None = None
        for logger in ("absl", "asyncio"):
            logging.getLogger(logger).addFilter(_is_no_orbax_error)

    def steps(self) -> list[int]:
        """Steps of the whole checkpoints on disk, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())

    def write(self, step: int, state: chex.ArrayTree, record: dict[str, Any]) -> None:
        """Copies `state` to the host and goes on writing in the background; see `wait`."""
        orbax = self._manager()
        if jax.process_index() == 0:
            for left in self.directory.glob(_UNFINISHED):  # by a kill or a full disk
                shutil.rmtree(left, ignore_errors=True)
        items = {_STATE: ocp.args.PyTreeSave(state), ITEM: ocp.args.JsonSave(record)}
        try:
            if not orbax.save(step, args=ocp.args.Composite(**items)):
                raise RuntimeError(f"refused by Orbax, whose newest is {orbax.latest_step()}")
        except Exception:
            self._abandon()
            raise

    def wait(self) -> None:
        """Blocks until the last `write` is on disk; raises its error, once."""
        if self._orbax is not None:
            try:
                self._orbax.wait_until_finished()
            except Exception:
                self._abandon()
                raise

    def read(self, step: int, abstract: chex.ArrayTree) -> chex.ArrayTree:
        """The arrays of `step` that `abstract` has, placed as it says, else on the first device.

        Raises:
            DamagedError: they cannot be read, by this or another process.
        """
        state, reason = None, None
        item = jax.tree.map(_placed, abstract)
        wanted = ocp.args.PyTreeRestore(
            item,
            restore_args=ocp.checkpoint_utils.construct_restore_args(item),
            partial_restore=True,
        )
        with _muted():
            try:
                args = ocp.args.Composite(**{_STATE: wanted})
                state = self._manager().restore(step, args=args)[_STATE]
            except Exception as error:  # Orbax raises many unrelated types for damaged files
                reason = one_line(error)
            if reason is not None:
                time.sleep(0.1)  # for the reads still under way to end
                gc.collect()
        if not _everywhere(reason is None):
            raise DamagedError(reason or "another process could not read it")
        return state

    def set_aside(self, steps: list[int]) -> None:
        """Renames the folders of `steps` to `aside-<step>-<n>`, which are no steps."""
        if jax.process_index() == 0:
            for step in steps:
                names = (self.directory / f"aside-{step}-{n}" for n in itertools.count(1))
                free = next(name for name in names if not name.exists())
                (self.directory / str(step)).rename(free)
        _together("rljax: set aside")

    def close(self) -> None:
        """Frees Orbax's threads, after the last `write`."""
        orbax, self._orbax = self._orbax, None
        if orbax is not None:
            orbax.close()

    def _abandon(self) -> None:
        # After a failure Orbax may hold further errors of the same save, to be raised much later,
        # and writes under way that find its event loop closed, which Python would print.
        sys.unraisablehook = functools.partial(_print_unless_abandoned, sys.unraisablehook)
        with contextlib.suppress(Exception):
            self.close()

    def _manager(self) -> ocp.CheckpointManager:
        if self._orbax is None:
            self._orbax = ocp.CheckpointManager(
                self.directory,
                options=ocp.CheckpointManagerOptions(preservation_policy=self._policy),
                item_names=(_STATE, ITEM),
            )
        if list(self._orbax.all_steps()) != self.steps():  # after `set_aside` or a failed `write`
            self._orbax.reload()
        return self._orbax


def one_line(error: Exception) -> str:
    """The gist of an error of Orbax, TensorStore or the system, e.g. "No space left on device"."""
    if code := re.search(r"os_error_code='(\d+)'", str(error)):
        return os.strerror(int(code[1]))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first_line = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first_line[:160]}"


def _placed(leaf: Any) -> Any:
    """`leaf` as a ShapeDtypeStruct with a sharding; host values stay as they are."""
    if not isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct)):
        return leaf
    # Without a sharding Orbax would use the devices of the writer, which need not be here.
    home = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=home)


def _is_no_orbax_error(entry: logging.LogRecord) -> bool:
    # For an error that Orbax raises, which is told in one line, it also logs pages of traceback,
    # and asyncio some more for what Orbax has left unawaited.
    where = entry.pathname if entry.name == "absl" else entry.getMessage()
    return entry.levelno < logging.ERROR or not re.search("orbax|OCDBT", where)


def _print_unless_abandoned(hook: Callable[[Any], Any], unraisable: Any) -> None:
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def _ignore(*_: Any) -> None:
    pass


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    # Behind the first read that fails Orbax abandons the others, whose exceptions nobody can catch:
    # Python would print pages of them around the one line that matters.
    hooks = sys.unraisablehook, sys.excepthook
    sys.unraisablehook, sys.excepthook = _ignore, _ignore
    try:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            yield
    finally:
        sys.unraisablehook, sys.excepthook = hooks


def _together(what: str) -> None:
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)


def _everywhere(here: bool) -> bool:
    if jax.process_count() == 1:
        return here
    from jax.experimental import multihost_utils

    return bool(np.all(multihost_utils.process_allgather(np.asarray(here))))
