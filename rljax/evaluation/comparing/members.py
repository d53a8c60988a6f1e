"""What runs left behind, one record for each training seed: the unit that comparisons count."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rljax.core.config import fingerprint, merge
from rljax.core.errors import UserError
from rljax.tracking.jsonl import read_metrics
from rljax.training.config import CheckpointConfig, Config
from rljax.training.run_folder import RunFolder

# What may differ between two runs of the same experiment, with the value that stands for all.
_NEUTRAL: dict[str, Any] = {
    "name": "run",
    "seed": 0,
    "seeds": 1,
    "seeds_mode": "vmap",
    "devices": None,
    "exact": False,
    "log_every": None,
    "checkpoint": dict.fromkeys(("every", "keep_every"))
    | {name: getattr(CheckpointConfig(), name) for name in ("keep_latest", "keep_best")},
}


class Series(NamedTuple):
    """A logged metric: float64 [k] of env_steps, ascending, and of finite values."""

    env_steps: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One training seed of one run.

    Attributes:
        run: the run folder.
        config: the run's.
        seed: this member's.
        series: what was logged of it, by the names of docs/metrics.md.
        final: "return" and "success" of the last evaluation, as far as there are any.
        speed: env_steps per second of its run, all seeds together; None where unknown, and for all
            but the first member of a run, for that is one measurement.
        notes: what to know before trusting its numbers.
    """

    run: Path
    config: Config
    seed: int
    series: dict[str, Series]
    final: dict[str, float]
    speed: float | None
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The run folder, and the seed where it holds several."""
        return f"{self.run}" + (f" seed {self.seed}" if self.config.seeds > 1 else "")

    @property
    def env_steps(self) -> int:
        """How long it was trained, as far as was logged."""
        return int(max(series.env_steps[-1] for series in self.series.values()))

    def find(self, *names: str) -> Series | None:
        """Return the first of these metrics that was logged."""
        return next((self.series[name] for name in names if name in self.series), None)


def neutral(config: Config) -> Config:
    """Return a config without what does not decide what is learnt: equal in all seeds of one."""
    return merge(config, _NEUTRAL)


def identity(member: Member) -> tuple[str, int]:
    """What makes a member another piece of evidence than any other: its experiment and seed."""
    return fingerprint(neutral(member.config)), member.seed


def read_members(run: str | os.PathLike[str]) -> list[Member]:
    """Read the members of a run.

    Raises:
        UserError: if there is no run, its files are damaged, or it has logged nothing.
    """
    folder = RunFolder.open(run)
    try:
        config = folder.read_config()
    except UserError as error:
        raise UserError(f"run {run}: {error}") from None
    rows = read_metrics(folder.metrics_path) if folder.metrics_path.is_file() else []
    if not any(np.isfinite(x) for row in rows for name, x in row.items() if name != "env_steps"):
        raise UserError(f"run {run}: nothing is logged in {folder.metrics_path.name} yet")
    summary = _read_summary(folder)
    evaluated = {m["seed"]: m for m in (summary.get("eval_return") or {}).get("members", ())}
    series, lost = _series(rows)
    notes = tuple(_notes(config, summary, lost))
    speeds = series.get("speed/steps_per_s")
    speed = summary.get("steps_per_s") or (
        float(np.median(speeds.values)) if speeds is not None else None
    )
    members: list[Member] = []
    for seed in range(config.seed, config.seed + config.seeds):
        own = series if config.seeds == 1 else _of_seed(series, seed)
        if not own:
            raise UserError(f"run {run}: nothing is logged of seed {seed}")
        final = evaluated.get(seed, {})
        named = {"return": final.get("mean"), "success": final.get("success")}
        members.append(
            Member(
                run=folder.path,
                config=config,
                seed=seed,
                series=own,
                final={name: float(x) for name, x in named.items() if x is not None},
                speed=None if members else speed,
                notes=() if members else notes,
            )
        )
    return members


def _series(rows: list[dict[str, float]]) -> tuple[dict[str, Series], int]:
    """Return what was logged by name, and how many numbers were not finite."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name != "env_steps":
                points.setdefault(name, []).append((row["env_steps"], value))
    series, lost = {}, 0
    for name, pairs in points.items():
        table = np.array(pairs, np.float64)
        finite = np.isfinite(table).all(1)
        lost += int((~finite).sum())
        if finite.any():
            series[name] = Series(*table[finite].T)
    return series, lost


def _of_seed(series: dict[str, Series], seed: int) -> dict[str, Series]:
    prefix = f"seed{seed}/"
    return {name.removeprefix(prefix): s for name, s in series.items() if name.startswith(prefix)}


def _read_summary(folder: RunFolder) -> dict[str, Any]:
    """Return the summary of a run; empty if it has not ended."""
    if not folder.summary_path.is_file():
        return {}
    try:
        summary = json.loads(folder.summary_path.read_text())
    except ValueError:
        summary = None
    if not isinstance(summary, dict):
        raise UserError(f"run {folder.path}: {folder.summary_path.name} is damaged")
    return summary


def _notes(config: Config, summary: dict[str, Any], lost: int) -> Iterable[str]:
    status = summary.get("status", "has no summary: still running, or killed")
    if status != "finished":
        yield f"not finished ({status})"
    if summary.get("skipped_steps"):
        yield f"{summary['skipped_steps']:,} gradient steps skipped for not being finite"
    if lost:
        yield f"{lost:,} logged numbers were not finite and are left out"
    last = (summary.get("eval_return") or {}).get("env_steps")
    if last is not None and last != summary.get("env_steps"):
        yield f"its last evaluation was at {last:,} of {summary.get('env_steps', 0):,} env_steps"


def agents(member: Member) -> list[str]:
    """Return "agent0", "agent1", ..., or "actor" if they share one; empty without several."""
    found = [m[1] for n in member.series if (m := re.fullmatch(r"(agent\d+|actor)/\w+", n))]
    return sorted(dict.fromkeys(found), key=lambda name: (len(name), name))
