"""A curriculum's state in words: for ``curriculum.json`` and for the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rljax.control.config import CurriculumConfig
from rljax.control.counting import HISTORY, CurriculumState, measure
from rljax.control.stratify import Groups


def report(
    config: CurriculumConfig,
    state: CurriculumState,
    steps_per_update: int,
    group_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Return all that a member's curriculum tells, as JSON types.

    Args:
        config: stages and rules.
        state: of one member.
        steps_per_update: env_steps of one update.
        group_names: of the groups of levels that it counts by; empty: their numbers.

    Returns:
        ``level``: the mean stage number of environments, ``stages``: for each its ``episodes``,
        ``success`` over its window (None: no episodes), ``environments`` in it and, with groups of
        levels, ``groups``: for each that was played its ``episodes``, in proportion, and their
        ``success``. In
        scope run also ``stage`` (name), ``episodes_since`` it was entered, ``transitions``: how
        many there were, ``history``: the newest of them, oldest first, each with ``update``,
        ``env_steps``, ``from``, ``to`` and ``success``.
    """
    state = jax.device_get(state)
    rates = np.asarray(measure(state, config.window).rate)
    stages: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(config.names):
        stages[name] = {
            "episodes": int(state.episodes[i]),
            "success": _number(rates[i]),
            "environments": int(state.environments[i]),
        }
        if state.groups is not None:
            stages[name]["groups"] = _groups(state.groups, i, group_names)
    many = state.environments.sum()
    level = state.environments @ np.arange(len(rates)) / many if many else np.nan
    told = {"level": _number(level), "stages": stages}
    if config.scope == "environment":
        return told
    return told | {
        "stage": config.names[int(state.stage)],
        "episodes_since": int(state.since),
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


def _groups(counts: Groups, stage: int, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for g, played in enumerate(counts.played[stage].tolist()):
        if played:
            success = _number(counts.won[stage, g] / played)
            told[names[g] if names else str(g)] = {"episodes": played, "success": success}
    return told


def _number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
