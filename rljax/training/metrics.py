"""From the program's metrics to logged rows."""

from __future__ import annotations

import time
import warnings

import numpy as np

from rljax.training.plan import Plan


class Rows:
    """Gathers updates into rows, one for every ``plan.log`` updates.

    A metric's row is its mean over those updates, where it is not NaN (no episode ended, say); a
    metric that is NaN in all of them is left out.  Where rows begin and end depends on the plan
    only, not on how the run was cut into chunks.

    Args:
        names: names of the metrics, in the order of the program's rows.
        seeds: seed of each member; several are logged one by one, too.
        plan: intervals of the run.

    Attributes:
        skipped: gradient steps skipped so far for not being finite.
    """

    def __init__(self, names: tuple[str, ...], seeds: tuple[int, ...], plan: Plan) -> None:
        self._names, self._seeds, self._plan = names, seeds, plan
        self._parts: list[np.ndarray] = []
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
            self._parts.append(values[:, i])
            done = first + i + 1
            if self._plan.due(self._plan.log, done):
                rows.append((done * self._plan.steps_per_update, self._row()))
        return rows

    def _row(self) -> dict[str, float]:
        values = np.stack(self._parts, 1).astype(np.float64)  # [members, updates, metrics]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are wanted as NaN
            members = np.nanmean(values, 1)
            mean = np.nanmean(members, 0)
        row = dict(zip(self._names, mean.tolist(), strict=True))
        if len(members) > 1:
            for seed, member in zip(self._seeds, members.tolist(), strict=True):
                named = zip(self._names, member, strict=True)
                row |= {f"seed{seed}/{name}": value for name, value in named}
        now = time.perf_counter()
        steps = len(self._parts) * self._plan.steps_per_update * len(members)
        row["speed/steps_per_s"] = steps / max(now - self._began, 1e-9)
        self._parts, self._began = [], now
        return {name: value for name, value in row.items() if not np.isnan(value)}
