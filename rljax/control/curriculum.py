"""A curriculum: which stage a run is in, decided inside the compiled update.

All that decides is whole numbers, summed over environments and devices without rounding.  So the
devices agree, and runs on different numbers of them, whose episodes are the same, take the same
steps.  The rules are those of N++'s public training system (thresholds for each stage, regression,
early advance, a bonus for rising success, mixing, least-sampled generators first), made exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rljax.control.config import CurriculumConfig
from rljax.control.stratify import add_groups, least_sampled_first
from rljax.core.mesh import Shards
from rljax.core.types import EpisodeTotals

Metrics = dict[str, jax.Array]

HISTORY = 256
"""Transitions that are remembered: the newest."""
_MOST = np.iinfo(np.int32).max
# Rates of small whole numbers differ by more; what is less is rounding.
_ROUNDING = 1e-6


class History(struct.PyTreeNode):
    """The newest transitions, [HISTORY]: number i is at place i modulo HISTORY.

    Attributes:
        update: int32, updates done when it was decided, that of the decision included.
        origin, target: int32, stage left and stage entered.
        rate: float32, success in the stage left.
    """

    update: jax.Array
    origin: jax.Array
    target: jax.Array
    rate: jax.Array


class CurriculumState(struct.PyTreeNode):
    """What a curriculum remembers; K stages, G groups of levels.

    Attributes:
        stage: int32 [], where the run is.
        since: int32 [], episodes of that stage since it was entered.
        episodes: int32 [K], episodes so far; stays at 2^31 - 1.
        played, won: int32 [K, window], episodes and successes of the newest updates that had any
            of a stage, newest first.
        groups: int32 [K, G], episodes of each group, in proportion (see
            :func:`rljax.control.stratify.add_groups`); None without.
        transitions: int32 [], how many there have been.
        history: the newest of them.
        probabilities: float32 [K], how likely an episode is to start in each stage.
        group_probabilities: float32 [K, G], and to have a level of each group; None without.
    """

    stage: jax.Array
    since: jax.Array
    episodes: jax.Array
    played: jax.Array
    won: jax.Array
    groups: jax.Array | None
    transitions: jax.Array
    history: History
    probabilities: jax.Array
    group_probabilities: jax.Array | None


class Counts(NamedTuple):
    """Episodes that ended in an update, over all environments.

    Attributes:
        played, won: int32 [K], all and successful ones.
        groups: int32 [K, G]; None without.
    """

    played: jax.Array
    won: jax.Array
    groups: jax.Array | None


class Window(NamedTuple):
    """Success over the newest episodes, [K].

    Attributes:
        rate: float32, of the window; NaN for no episodes.
        trend: float32, of its newer half less that of its older half; 0 until both are full.
    """

    rate: jax.Array
    trend: jax.Array


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
    config: CurriculumConfig, num_envs: int, group_weights: np.ndarray | None = None
) -> Curriculum:
    """Return the curriculum that a config describes.

    Args:
        config: stages and rules.
        num_envs: environments over all devices, which is how many episodes run at any time.
        group_weights: float [K, G], how likely each group of levels is in each stage where all
            were sampled alike (0: the stage has none of it); None: no stratification.
    """
    size = len(config.stages)
    weights = None if group_weights is None else np.asarray(group_weights, np.float32)
    groups = 0 if weights is None else weights.shape[1]

    def steer(state: CurriculumState, volume: jax.Array | int) -> CurriculumState:
        window = measure(state, config.window)
        state = state.replace(probabilities=stage_probabilities(config, state, window))
        if weights is None:
            return state
        assert state.groups is not None
        drawn = volume * state.probabilities
        chances = least_sampled_first(jnp.asarray(weights), state.groups, drawn)
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
        state = move(state, decide(config, state, window), window.rate, updates + 1)
        state = steer(state, jnp.maximum(counts.played.sum(), num_envs))
        mixed = state.probabilities.at[state.stage].set(0.0).sum()
        metrics = {
            "curriculum/stage": state.stage.astype(jnp.float32),
            "curriculum/mixing": mixed,
        }
        for i, name in enumerate(config.names):
            metrics[f"curriculum/success/{name}"] = window.rate[i]
            metrics[f"curriculum/episodes/{name}"] = counts.played[i].astype(jnp.float32)
        return state, metrics

    return Curriculum(init, apply, update)


def start(config: CurriculumConfig, groups: int = 0) -> CurriculumState:
    """Return the state before training."""
    size, none = len(config.stages), jnp.zeros(HISTORY, jnp.int32)
    depth = 2 * _half(config.window)  # entries hold an episode each, at least
    return CurriculumState(
        stage=jnp.int32(config.first),
        since=jnp.int32(0),
        episodes=jnp.zeros(size, jnp.int32),
        played=jnp.zeros((size, depth), jnp.int32),
        won=jnp.zeros((size, depth), jnp.int32),
        groups=jnp.zeros((size, groups), jnp.int32) if groups else None,
        transitions=jnp.int32(0),
        history=History(none, none, none, jnp.zeros(HISTORY)),
        probabilities=jnp.zeros(size),
        group_probabilities=jnp.zeros((size, groups)) if groups else None,
    )


def count(episodes: EpisodeTotals, stages: int, groups: int, shards: Shards) -> Counts:
    """Count the episodes [T, B] that ended, over steps, environments and devices.

    What belongs to no stage or group (its number is out of range) is not counted there.
    """

    def local(episodes: EpisodeTotals) -> Counts:
        assert episodes.stage is not None and episodes.success is not None

        def total(number: jax.Array, valid: jax.Array, size: int) -> jax.Array:
            place = jnp.where(valid, number, size)  # beyond the end: dropped
            return jnp.zeros(size, jnp.int32).at[place.ravel()].add(1, mode="drop")

        stage = episodes.stage
        ended = episodes.ended & (stage >= 0) & (stage < stages)
        by_group = None
        if groups:
            group = episodes.group
            assert group is not None
            known = ended & (group >= 0) & (group < groups)
            by_group = total(stage * groups + group, known, stages * groups)
            by_group = by_group.reshape(stages, groups)
        return Counts(
            total(stage, ended, stages), total(stage, ended & episodes.success, stages), by_group
        )

    counts: Counts = shards.sum(shards.map(local, episodes))
    return counts


def add(state: CurriculumState, counts: Counts) -> CurriculumState:
    """Add the episodes of an update."""
    some = (counts.played > 0)[:, None]

    def push(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(some, jnp.concatenate([new[:, None], old[:, :-1]], 1), old)

    groups = state.groups
    if groups is not None and counts.groups is not None:
        groups = add_groups(groups, counts.groups)
    return state.replace(
        since=_saturating(state.since, counts.played[state.stage]),
        episodes=_saturating(state.episodes, counts.played),
        played=push(counts.played, state.played),
        won=push(counts.won, state.won),
        groups=groups,
    )


def measure(state: CurriculumState, window: int) -> Window:
    """Return success of each stage over its newest updates that hold ``window`` episodes.

    The newer half is the newest updates that hold half as many, the older half those before that
    do; so an update's episodes are never torn apart.
    """
    half = _half(window)
    newer = jnp.cumsum(state.played, 1) - state.played  # episodes in newer updates

    def within(low: jax.Array | int, high: jax.Array | int) -> tuple[jax.Array, jax.Array]:
        inside = (newer >= low) & (newer < high)
        won, played = (jnp.where(inside, x, 0).sum(1) for x in (state.won, state.played))
        return won, played

    won, played = within(0, window)
    new_won, new_played = within(0, half)
    first = new_played[:, None]
    old_won, old_played = within(first, first + half)
    rise = new_won / jnp.maximum(new_played, 1) - old_won / jnp.maximum(old_played, 1)
    full = (new_played >= half) & (old_played >= half)
    return Window(won / played, jnp.where(full, rise, 0.0))


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
    failing = window.rate[state.stage] < config.failing_below - _ROUNDING
    share = jnp.where(failing, config.mixing_when_failing, config.mixing)
    earlier = number < state.stage
    if config.mixing_over == "previous":
        earlier &= number == state.stage - 1
    many = earlier.sum()
    share = jnp.where(many > 0, share, 0.0)
    return here * (1.0 - share) + earlier * share / jnp.maximum(many, 1)


def _half(window: int) -> int:
    return (window + 1) // 2


def _saturating(total: jax.Array, more: jax.Array) -> jax.Array:
    return total + jnp.minimum(more, _MOST - total)
