"""What a curriculum counts and remembers: whole numbers, summed over devices without rounding."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rljax.control.config import CurriculumConfig
from rljax.control.stratify import Groups, add_groups
from rljax.core.mesh import Shards
from rljax.core.types import EpisodeTotals

HISTORY = 256
"""Transitions that are remembered: the newest."""
_MOST = np.iinfo(np.int32).max


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
        stage: int32 [], where the run is; stays where it starts in scope environment.
        since: int32 [], episodes of that stage since it was entered.
        episodes: int32 [K], episodes so far; stays at 2^31 - 1.
        played, won: int32 [K, window], episodes and successes of the newest updates that had any
            of a stage, newest first.
        environments: int32 [K], how many played in each stage at the end of the newest update.
        groups: episodes so far, in proportion (see :func:`rljax.control.stratify.add_groups`);
            None without.
        transitions: int32 [], how many there have been.
        history: the newest of them.
        probabilities: float32 [K], how likely an episode is to start in each stage.
        group_probabilities: float32 [K, G], and to have a level of each group; None where that is
            not decided here.
    """

    stage: jax.Array
    since: jax.Array
    episodes: jax.Array
    played: jax.Array
    won: jax.Array
    environments: jax.Array
    groups: Groups | None
    transitions: jax.Array
    history: History
    probabilities: jax.Array
    group_probabilities: jax.Array | None


class Counts(NamedTuple):
    """Episodes that ended in an update, over all environments.

    Attributes:
        played, won: int32 [K], all and successful ones.
        environments: int32 [K], environments by the stage of their last step.
        groups: the episodes by group, too; None without.
    """

    played: jax.Array
    won: jax.Array
    environments: jax.Array
    groups: Groups | None


class Window(NamedTuple):
    """Success over the newest episodes, [K].

    Attributes:
        rate: float32, of the window; NaN for no episodes.
        trend: float32, of its newer half less that of its older half; 0 until both are full.
    """

    rate: jax.Array
    trend: jax.Array


def start(config: CurriculumConfig, groups: int = 0) -> CurriculumState:
    """Return the state before training."""
    size, none = len(config.stages), jnp.zeros(HISTORY, jnp.int32)
    by_group = jnp.zeros((size, groups), jnp.int32)
    depth = 2 * _half(config.window)  # entries hold an episode each, at least
    return CurriculumState(
        stage=jnp.int32(config.first),
        since=jnp.int32(0),
        episodes=jnp.zeros(size, jnp.int32),
        played=jnp.zeros((size, depth), jnp.int32),
        won=jnp.zeros((size, depth), jnp.int32),
        environments=jnp.zeros(size, jnp.int32),
        groups=Groups(by_group, by_group) if groups else None,
        transitions=jnp.int32(0),
        history=History(none, none, none, jnp.zeros(HISTORY)),
        probabilities=jnp.zeros(size),
        group_probabilities=None,
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

        stage, won = episodes.stage, episodes.success
        staged = (stage >= 0) & (stage < stages)
        ended = episodes.ended & staged
        by_group = None
        if groups:
            group = episodes.group
            assert group is not None
            known, place = ended & (group >= 0) & (group < groups), stage * groups + group
            by_group = Groups(
                *(
                    total(place, valid, stages * groups).reshape(stages, groups)
                    for valid in (known, known & won)
                )
            )
        return Counts(
            played=total(stage, ended, stages),
            won=total(stage, ended & won, stages),
            environments=total(stage[-1], staged[-1], stages),
            groups=by_group,
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
        environments=counts.environments,
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


def _half(window: int) -> int:
    return (window + 1) // 2


def _saturating(total: jax.Array, more: jax.Array) -> jax.Array:
    return total + jnp.minimum(more, _MOST - total)
