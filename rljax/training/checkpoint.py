"""Checkpoints that survive kills, full disks, flipped bits and another number of devices.

Orbax writes in the background and commits atomically (`checkpoint_store`). Added to it: digests,
for it restores flipped bits and other dtypes without a word; retention that never drops the
newest; a way back to older steps; and failures told in one line.
"""

import logging
import os
from pathlib import Path
from typing import Any, Self

import chex

from rljax.core.digest import leaf_digests, leaf_specs
from rljax.core.errors import UserError
from rljax.training import checkpoint_record as records
from rljax.training.checkpoint_retention import OrbaxPolicy, Retention, ranked
from rljax.training.checkpoint_store import Store, one_line

_log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one run: one folder `directory/<env_steps>` each.

    Keeps the `keep_latest` newest, the `keep_best` of the highest metric (of equals the newest;
    None and NaN are never best) and the first of each `keep_every` env steps. For local and
    shared POSIX file systems; one writer per directory, any number of readers. With several
    processes all of them make the same calls on one shared directory.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        keep_latest: int = 2,
        keep_best: int = 1,
        keep_every: int | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        policy = OrbaxPolicy(Retention(keep_latest, keep_best, keep_every), self._metric)
        self._store = Store(self.directory, policy)
        self._metrics: dict[int, float | None] = {}
        self._head: int | None = None  # where this run stands: the step last restored or saved
        self._previous_head: int | None = None

    def save(
        self,
        env_steps: int,
        state: chex.ArrayTree,
        metric: float | None = None,
        meta: dict[str, Any] | None = None,
    ) -> bool:
        """Starts to save `state` at `env_steps` (>= 0, may exceed 2^31) and returns.

        The buffers of `state` may be donated as soon as this returns. `metric`: higher is better.
        `meta`: any JSON object, handed back by `restore`. Checkpoints beyond where this run stands
        (it went back to an older one) are moved aside with a warning, not deleted.

        Returns:
            False if exactly this is stored at `env_steps` already (nothing is done), else True.

        Raises:
            UserError: this save failed, or the one before it, which ran in the background.
                Whole checkpoints are untouched and another save may be tried.
        """
        self.wait()
        record = records.new_record(env_steps, state, metric, meta)
        step = record["env_steps"]
        if step == self._head and records.same(record, records.peek(self.directory / str(step))):
            return False
        try:
            self._clear_way(step)
            self._metrics[step] = record["metric"]
            self._store.write(step, state, record)
        except Exception as error:
            raise self._failure(step, error) from error
        self._previous_head, self._head = self._head, step
        return True

    def wait(self) -> None:
        """Blocks until the save under way is on disk; raises UserError if it failed."""
        try:
            self._store.wait()
        except Exception as error:
            failed, self._head = self._head, self._previous_head
            raise self._failure(failed, error) from error

    def restore(
        self, abstract_state: chex.ArrayTree, env_steps: int | None = None, partial: bool = False
    ) -> tuple[int, chex.ArrayTree, dict[str, Any]]:
        """Reads the newest good checkpoint, or the one at `env_steps` and no other.

        `abstract_state` gives structure, shapes, dtypes and shardings (`jax.ShapeDtypeStruct`s or
        arrays); a leaf without sharding goes to the first local device. `partial`: it is a part of
        what was saved, with the same paths; nothing else is read. Damaged checkpoints are
        skipped with a warning each; they stay where they are until this run saves.

        Returns:
            (env_steps, state, meta) as they were saved.

        Raises:
            UserError: nothing there, nothing good, or saved with other leaves, shapes or dtypes.
        """
        self.wait()
        damaged: dict[int, Exception] = {}
        for step in self._wanted_steps(env_steps):
            try:
                state, record = self._load(step, abstract_state, partial)
            except records.DamagedError as error:
                damaged[step] = error
                continue
            for bad, problem in damaged.items():  # only now, for the error below names them too
                _log.warning("skipped the damaged checkpoint at %d env steps: %s", bad, problem)
            self._head = step
            return step, state, record["meta"]
        tried = ", ".join(f"{step} ({problem})" for step, problem in damaged.items())
        raise UserError(f"no good checkpoint in {self.directory}; tried {tried}")

    def all_steps(self) -> list[int]:
        """Steps of the whole checkpoints on disk, oldest first, without the save under way."""
        return self._store.steps()

    def latest(self) -> int | None:
        """The newest step on disk, or None."""
        return max(self.all_steps(), default=None)

    def best_step(self) -> int | None:
        """The step on disk with the highest metric, or None if none has a metric."""
        best = ranked({step: self._metric(step) for step in self.all_steps()})
        return best[0] if best else None

    def close(self) -> None:
        """Waits for the save under way and frees threads; raises UserError if that save failed."""
        try:
            self.wait()
        finally:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            self.close()
        except UserError as failure:
            if error is None:
                raise
            _log.error("%s", failure)  # must not hide what stopped the run

    def _wanted_steps(self, env_steps: int | None) -> list[int]:
        steps = self.all_steps()
        if not steps:
            what = "no checkpoint in" if self.directory.is_dir() else "no checkpoint directory"
            raise UserError(f"{what} {self.directory}")
        if env_steps is None:
            return steps[::-1]
        if env_steps in steps:
            return [env_steps]
        near = min(steps, key=lambda step: abs(step - env_steps))
        raise UserError(
            f"no checkpoint at {env_steps} env steps in {self.directory}; the nearest is at {near}"
        )

    def _load(
        self, step: int, abstract: chex.ArrayTree, partial: bool
    ) -> tuple[chex.ArrayTree, dict[str, Any]]:
        record = records.read_record(self.directory / str(step))
        here, there, digests = leaf_specs(abstract), record["leaves"], record["leaf_sha256"]
        if partial:
            there, digests = ({k: v for k, v in x.items() if k in here} for x in (there, digests))
        if difference := records.first_difference(there, here):
            raise UserError(
                f"the checkpoint at {step} env steps in {self.directory} is of another "
                f"configuration: {difference}"
            )
        state = self._store.read(step, abstract)
        if leaf_digests(state) != digests:
            raise records.DamagedError("its contents do not match their digest")
        if changes := records.version_changes(record):
            _log.warning("the checkpoint at %d env steps is of other versions: %s", step, changes)
        return state, record

    def _clear_way(self, step: int) -> None:
        """Orbax saves nothing older than its newest, and what is newer is of another future."""
        base = step if self._head is None else min(step, self._head + 1)
        stale = [s for s in self.all_steps() if s >= base]
        if stale:
            _log.warning("moved the checkpoints at %s env steps aside: saving at %d", stale, step)
        self._store.set_aside(stale)
        self._metrics = {s: self._metric(s) for s in self.all_steps()}

    def _metric(self, step: int) -> float | None:
        if step not in self._metrics:
            self._metrics[step] = (records.peek(self.directory / str(step)) or {}).get("metric")
        return self._metrics[step]

    def _failure(self, step: int | None, error: Exception) -> UserError:
        good = self.latest()
        left = "there is none before it" if good is None else f"the one at {good} is still good"
        return UserError(
            f"could not save the checkpoint at {step} env steps: {one_line(error)}; {left}"
        )
