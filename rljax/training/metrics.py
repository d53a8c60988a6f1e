"""From the program's metrics to logged rows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from rljax.training.plan import Plan

_EPISODES = "episode/count"


class Rows:
    """Gathers updates into rows, one for every ``plan.log`` updates.

    A metric's row is its mean over those updates, where it is not NaN (no episode ended, say); of
    ``episode/`` over their episodes, of ``*_min`` and ``*_max`` the smallest and the largest.  A
    metric that is NaN in all of them is left out.  Where rows begin and end depends on the plan
    only, not on how the run was cut into chunks nor, with :meth:`state`, into processes.

    Args:
        names: names of the metrics, in the order of the program's rows.
        seeds: seed of each member; several are logged one by one, too.
        plan: intervals of the run.

    Attributes:
        skipped: gradient steps skipped so far for not being finite, by this process.
    """

    def __init__(self, names: tuple[str, ...], seeds: tuple[int, ...], plan: Plan) -> None:
        self._names, self._seeds, self._plan = names, seeds, plan
        self._smallest = np.array([name.endswith("_min") for name in names])
        self._largest = np.array([name.endswith("_max") for name in names])
        extreme = self._smallest | self._largest
        of_episodes = [name.startswith("episode/") and name != _EPISODES for name in names]
        self._of_episodes = np.array(of_episodes) & ~extreme & (_EPISODES in names)
        # Of each metric a sum and what it is divided by; an extreme is a sum of one.
        self._sums = np.zeros((len(seeds), len(names)))
        self._counts = np.zeros((len(seeds), len(names)))
        self._updates = 0  # since the last row, by this process
        self._began = time.perf_counter()
        self.skipped = 0

    def add(self, first: int, values: np.ndarray) -> list[tuple[int, dict[str, float]]]:
        """Add updates ``first``, ``first + 1``, ...

        Args:
            first: updates done before these.
            values: float32 [members, updates, metrics].

        Returns:
            The rows that are complete now, each with its env_steps.
        """
        self.skipped += int(values[..., self._names.index("update/skipped")].sum())
        rows = []
        for i in range(values.shape[1]):
            # One by one: the bits of a sum must not depend on how many came together.
            self._gather(values[:, i].astype(np.float64))
            self._updates += 1
            done = first + i + 1
            if self._plan.due(self._plan.log, done):
                rows.append((done * self._plan.steps_per_update, self._row()))
        return rows

    def state(self) -> dict[str, Any]:
        """Return what the row under way has gathered, as JSON types, for a checkpoint."""
        return {
            "names": list(self._names),
            "sums": self._sums.tolist(),
            "counts": self._counts.tolist(),
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up the row of a :meth:`state`, unless the metrics are others by now."""
        if state.get("names") == list(self._names):
            self._sums = np.asarray(state["sums"], np.float64)
            self._counts = np.asarray(state["counts"], np.float64)

    def _gather(self, values: np.ndarray) -> None:
        """Add one update's metrics, [members, metrics]."""
        weights = (~np.isnan(values)).astype(np.float64)
        if self._of_episodes.any():
            episodes = values[:, [self._names.index(_EPISODES)]]
            weights = np.where(self._of_episodes, weights * episodes, weights)
        values = np.where(weights > 0, values, 0.0)
        old, is_first = self._sums, self._counts == 0
        sums = old + values * weights
        for those, chosen in ((self._smallest, np.minimum), (self._largest, np.maximum)):
            extreme = np.where(is_first, values, chosen(old, values))
            sums = np.where(those, np.where(weights > 0, extreme, old), sums)
        self._sums = sums
        extremes = self._smallest | self._largest
        total = self._counts + weights
        self._counts = np.where(extremes, np.minimum(total, 1.0), total)

    def _over_members(self, members: np.ndarray) -> np.ndarray:
        known = ~np.isnan(members)
        mean = _ratio(np.where(known, members, 0.0).sum(0), known.sum(0))
        low = np.where(known, members, np.inf).min(0)
        high = np.where(known, members, -np.inf).max(0)
        extreme = np.where(self._smallest, low, np.where(self._largest, high, mean))
        return np.where(known.any(0), extreme, np.nan)

    def _row(self) -> dict[str, float]:
        members = _ratio(self._sums, self._counts)
        row = dict(zip(self._names, self._over_members(members).tolist(), strict=True))
        if len(members) > 1:
            for seed, member in zip(self._seeds, members.tolist(), strict=True):
                named = zip(self._names, member, strict=True)
                row |= {f"seed{seed}/{name}": value for name, value in named}
        now = time.perf_counter()
        steps = self._updates * self._plan.steps_per_update * len(members)
        row["speed/steps_per_s"] = steps / max(now - self._began, 1e-9)
        self._sums[:], self._counts[:], self._updates, self._began = 0.0, 0.0, 0, now
        return {name: value for name, value in row.items() if not np.isnan(value)}


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean, NaN of nothing."""
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
