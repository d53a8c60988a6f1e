"""Run folders that nobody trained, written as training writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rljax.core.config import merge
from rljax.tracking import JsonlSink
from rljax.training.config import Config, EnvConfig
from rljax.training.run_folder import RunFolder

STEPS = 1000
"""env_steps from one logged row to the next."""

Metrics = Mapping[str, ArrayLike]


def make_run(
    path: Path,
    *members: Metrics,
    final: list[dict[str, float]] | None = None,
    env: str = "CartPole-v1",
    summary: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write a run of as many seeds as there are ``members``: series of metrics by name.

    Args:
        path: the run folder.
        members: what each seed logged, one number a row.
        final: what the last evaluation of each said: "mean", "success"; None: there was none.
        env: the world.
        summary: what else the summary says.
        changes: of the config.
    """
    config = merge(Config(env=EnvConfig(name=env)), {"seeds": len(members)} | changes)
    folder = RunFolder.create(path, config)
    seeds = range(config.seed, config.seed + config.seeds)
    rows = max(len(np.asarray(values)) for member in members for values in member.values())
    sink = JsonlSink(folder.metrics_path)
    for i in range(rows):
        row: dict[str, float] = {}
        for seed, member in zip(seeds, members, strict=True):
            now = {name: float(np.asarray(v)[i]) for name, v in member.items() if i < len(v)}
            row |= now if len(members) == 1 else {f"seed{seed}/{k}": x for k, x in now.items()}
        sink.log(row | {"speed/steps_per_s": 100.0 + i}, STEPS * (i + 1))
    sink.close("finished")
    evaluation = None
    if final is not None:
        told = [{"seed": s} | dict(numbers) for s, numbers in zip(seeds, final, strict=True)]
        evaluation = {"env_steps": rows * STEPS, "members": told}
    folder.write_summary(
        {
            "status": "finished",
            "env_steps": rows * STEPS,
            "steps_per_s": 5000.0,
            "skipped_steps": 0,
            "eval_return": evaluation,
        }
        | dict(summary or {})
    )
    return path
