"""A curriculum's state in words: for ``curriculum.json`` and for the screen."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from rljax.control.config import CurriculumConfig
from rljax.control.curriculum import HISTORY, CurriculumState, measure


def report(
    config: CurriculumConfig, state: CurriculumState, steps_per_update: int
) -> dict[str, Any]:
    """Return all that a member's curriculum tells, as JSON types.

    Args:
        config: stages and rules.
        state: of one member.
        steps_per_update: env_steps of one update.

    Returns:
        ``stage`` (name), ``episodes_since`` it was entered, ``stages``: for each its ``episodes``,
        ``success`` over its window (None: no episodes) and, with groups of levels, their counters
        ``groups``; ``transitions``: how many there were, ``history``: the newest of them, oldest
        first, each with ``update``, ``env_steps``, ``from``, ``to`` and ``success``.
    """
    state = jax.device_get(state)
    rates = np.asarray(measure(state, config.window).rate)
    stages: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(config.names):
        stages[name] = {"episodes": int(state.episodes[i]), "success": _number(rates[i])}
        if state.groups is not None:
            stages[name]["groups"] = state.groups[i].tolist()
    return {
        "stage": config.names[int(state.stage)],
        "episodes_since": int(state.since),
        "stages": stages,
        "transitions": int(state.transitions),
        "history": transitions(config, state, steps_per_update),
    }


def transitions(
    config: CurriculumConfig, state: CurriculumState, steps_per_update: int
) -> list[dict[str, Any]]:
    """Return the transitions that are remembered, oldest first; see :func:`report`."""
    total, history = int(state.transitions), jax.device_get(state.history)
    found = []
    for number in range(max(0, total - HISTORY), total):
        place = number % HISTORY
        update = int(history.update[place])
        found.append(
            {
                "update": update,
                "env_steps": update * steps_per_update,
                "from": config.names[int(history.origin[place])],
                "to": config.names[int(history.target[place])],
                "success": _number(history.rate[place]),
            }
        )
    return found


def in_words(transition: dict[str, Any]) -> str:
    """Return one line for one of :func:`transitions`."""
    return (
        f"Stage {transition['from']} -> {transition['to']} at {transition['env_steps']:,} "
        f"env_steps, with {100 * transition['success']:.0f} % success"
    )


def _number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
