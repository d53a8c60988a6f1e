"""A curriculum: which stage a run is in, decided inside the compiled update.

All that decides is whole numbers, summed over environments and devices without rounding.  So the
devices agree, and runs on different numbers of them, whose episodes are the same, take the same
steps.  The rules are those of N++'s public training system (thresholds for each stage, regression,
early advance, a bonus for rising success, mixing, least-sampled generators first), made exact.

In scope environment nothing is decided here: each environment moves by itself
(:mod:`envs_jax.stages`), and what is left is to say where it starts, and to count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rljax.control.config import CurriculumConfig
from rljax.control.counting import (
    HISTORY,
    Counts,
    CurriculumState,
    History,
    Window,
    add,
    count,
    measure,
    start,
)
from rljax.control.stratify import least_sampled_first
from rljax.core.mesh import Shards
from rljax.core.types import EpisodeTotals

Metrics = dict[str, jax.Array]

# Rates of small whole numbers differ by more; what is less is rounding.
_ROUNDING = 1e-6


class Curriculum(NamedTuple):
    """Pure functions of a curriculum.

    Attributes:
        init: the state before training.
        apply: ``(env_params, state) -> env_params``, the staged world's parameters with what the
            state says of them: those of the next rollout.
        update: ``(state, episodes, updates, shards) -> (state, metrics)``, after a rollout [T, B]
            of update number ``updates``.
    """

    init: Callable[[], CurriculumState]
    apply: Callable[[Any, CurriculumState], Any]
    update: Callable[..., tuple[CurriculumState, Metrics]]


def make_curriculum(
    config: CurriculumConfig,
    num_envs: int,
    groups: int = 0,
    group_names: Sequence[str] = (),
    group_weights: np.ndarray | None = None,
) -> Curriculum:
    """Return the curriculum that a config describes.

    Args:
        config: stages and rules.
        num_envs: environments over all devices, which is how many episodes run at any time.
        groups: number of groups of levels (G), by which episodes are counted, too.
        group_names: what they are called, G words; success of groups without is no metric.
        group_weights: float [K, G], how likely each group of levels is in each stage where all
            were sampled alike (0: the stage has none of it); None: no stratification.
    """
    size = len(config.stages)
    weights = None if group_weights is None else np.asarray(group_weights, np.float32)

    def steer(state: CurriculumState, volume: jax.Array | int) -> CurriculumState:
        window = measure(state, config.window)
        state = state.replace(probabilities=stage_probabilities(config, state, window))
        if weights is None:
            return state
        assert state.groups is not None
        drawn = volume * state.probabilities
        chances = least_sampled_first(jnp.asarray(weights), state.groups.played, drawn)
        return state.replace(group_probabilities=chances)

    def init() -> CurriculumState:
        return steer(start(config, groups), num_envs)

    def apply(env_params: Any, state: CurriculumState) -> Any:
        params = env_params.replace(probabilities=state.probabilities)
        if state.group_probabilities is None:
            return params
        chances = {"group_probabilities": state.group_probabilities}
        return params.replace(stages=params.stages | chances)

    def update(
        state: CurriculumState, episodes: EpisodeTotals, updates: jax.Array, shards: Shards
    ) -> tuple[CurriculumState, Metrics]:
        counts = count(episodes, size, groups, shards)
        state = add(state, counts)
        window = measure(state, config.window)
        if config.scope == "run":
            state = move(state, decide(config, state, window), window.rate, updates + 1)
        state = steer(state, jnp.maximum(counts.played.sum(), num_envs))
        metrics = _tell(config, group_names, counts, window)
        if config.scope == "run":
            metrics["curriculum/stage"] = state.stage.astype(jnp.float32)
            metrics["curriculum/mixing"] = state.probabilities.at[state.stage].set(0.0).sum()
        return state, metrics

    return Curriculum(init, apply, update)


def _tell(
    config: CurriculumConfig, group_names: Sequence[str], counts: Counts, window: Window
) -> Metrics:
    """What is told of an update's episodes; NaN where there were none."""
    played = counts.played.astype(jnp.float32)
    share = played / played.sum()
    metrics = {"curriculum/level": (share * jnp.arange(len(share))).sum()}
    for i, name in enumerate(config.names):
        metrics[f"curriculum/success/{name}"] = window.rate[i]
        metrics[f"curriculum/episodes/{name}"] = played[i]
        metrics[f"curriculum/share/{name}"] = share[i]
    if counts.groups is not None:
        rate = counts.groups.won.sum(0) / counts.groups.played.sum(0)
        for g, name in enumerate(group_names):
            metrics[f"curriculum/group_success/{name}"] = rate[g]
    return metrics


def decide(config: CurriculumConfig, state: CurriculumState, window: Window) -> jax.Array:
    """Return +1 to advance, -1 to regress, 0 to stay (int32 scalar)."""
    if config.fixed is not None:
        return jnp.int32(0)

    def here(values: list[float] | list[int]) -> jax.Array:
        return jnp.asarray(np.asarray(values))[state.stage]

    stages = config.stages
    rate, trend = window.rate[state.stage], window.trend[state.stage]  # NaN: all comparisons fail
    wanted = here([stage.advance_at for stage in stages])
    wanted -= jnp.where(trend > config.trend_margin + _ROUNDING, config.trend_bonus, 0.0)
    advance = (rate >= wanted - _ROUNDING) & (state.since >= here([s.min_episodes for s in stages]))
    if config.early_advance_at is not None:
        early = rate >= config.early_advance_at - _ROUNDING
        advance |= early & (state.since >= config.early_min_episodes)
    regress = rate < here([stage.regress_below for stage in stages]) - _ROUNDING
    regress &= state.since >= config.regress_min_episodes
    advance &= state.stage < len(stages) - 1
    regress &= (state.stage > 0) & ~advance
    return advance.astype(jnp.int32) - regress.astype(jnp.int32)


def move(
    state: CurriculumState, direction: jax.Array, rate: jax.Array, updates: jax.Array
) -> CurriculumState:
    """Enter the stage in a direction (int32 scalar, 0: stay), with an empty window.

    Args:
        state: before.
        direction: from :func:`decide`.
        rate: float32 [K], success by which it was decided.
        updates: int32 scalar, updates done by now.
    """
    target = state.stage + direction
    moves = direction != 0
    place = jnp.where(moves, state.transitions % HISTORY, HISTORY)  # beyond the end: dropped
    entry = History(updates, state.stage, target, rate[state.stage])
    entered = moves & (jnp.arange(len(rate)) == target)
    return state.replace(
        stage=target,
        since=jnp.where(moves, 0, state.since),
        played=jnp.where(entered[:, None], 0, state.played),
        won=jnp.where(entered[:, None], 0, state.won),
        transitions=state.transitions + moves,
        history=jax.tree.map(
            lambda ring, new: ring.at[place].set(new, mode="drop"), state.history, entry
        ),
    )


def stage_probabilities(
    config: CurriculumConfig, state: CurriculumState, window: Window
) -> jax.Array:
    """Return how likely an episode is to start in each stage, float32 [K], of sum 1."""
    number = jnp.arange(len(config.stages))
    here = (number == state.stage).astype(jnp.float32)
    if config.fixed is not None:
        return here
    if config.scope == "environment":
        last = config.index(config.start_up_to or config.names[0])
        return (number <= last) / jnp.float32(last + 1)
    failing = window.rate[state.stage] < config.failing_below - _ROUNDING
    share = jnp.where(failing, config.mixing_when_failing, config.mixing)
    earlier = number < state.stage
    if config.mixing_over == "previous":
        earlier &= number == state.stage - 1
    many = earlier.sum()
    share = jnp.where(many > 0, share, 0.0)
    return here * (1.0 - share) + earlier * share / jnp.maximum(many, 1)
