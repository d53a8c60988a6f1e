"""The pytrees that travel between the packages."""

from __future__ import annotations

from typing import Any

import jax
from flax import struct


class Transition(struct.PyTreeNode):
    """Steps of B environments, time-major: every leaf is [T, B, ...].

    With several agents, actions, log probabilities and rewards are [T, B, n, ...], values [T, B]
    (of the team) or [T, B, n].

    Attributes:
        observation: what the action was chosen on, as the environment gave it.
        reset: bool, whether ``observation`` is an episode's first.
        action: the stored action, the one ``log_prob`` belongs to; in distillation beside what the
            teacher would have done.
        log_prob: float32, log probability (density) of ``action`` when it was drawn.
        value: float32, the critic's value of ``observation``.
        reward: float32, unscaled.
        terminated: bool, the world ended the episode.
        truncated: bool, its time limit did.
        final_value: float32, value of the true last observation; valid where the episode was
            truncated and not terminated, else 0.
    """

    observation: Any
    reset: jax.Array
    action: Any
    log_prob: jax.Array
    value: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    final_value: jax.Array


class EpisodeTotals(struct.PyTreeNode):
    """What episodes have gathered, [T, B]: valid where one ended.

    Attributes:
        ended: bool, an episode that counts ended with this step.
        total: float32, its undiscounted return; with several agents the mean of theirs.
        length: int32, its steps.
        success: bool, whether it succeeded; None for worlds without the notion.
        stage, group: int32, its stage and its group of levels; None for worlds without.
    """

    ended: jax.Array
    total: jax.Array
    length: jax.Array
    success: jax.Array | None
    stage: jax.Array | None = None
    group: jax.Array | None = None


class Actors(struct.PyTreeNode):
    """The environments and what is remembered about each; every leaf is [B, ...] and sharded.

    Attributes:
        env_id: int32, global number of the environment: all its randomness is folded from it.
        env_state: state of the (auto-resetting) environments.
        observation: what to act on next.
        reset: bool, whether ``observation`` is an episode's first.
        carry: recurrent state that ``observation`` will be consumed with.
        episode_return: float32, of the running episode so far.
        episode_length: int32, likewise.
        counts: bool, whether the running episode is part of the statistics (with a random initial
            phase the first, shortened one is not).
        discounted_return: float32, running discounted sum of rewards, for reward scaling.
    """

    env_id: jax.Array
    env_state: Any
    observation: Any
    reset: jax.Array
    carry: Any
    episode_return: jax.Array
    episode_length: jax.Array
    counts: jax.Array
    discounted_return: jax.Array


class TrainState(struct.PyTreeNode):
    """All that training carries.  Everything but ``actors`` is replicated over devices.

    What never changes, such as a world's parameters, is not part of it: a program closes over that.

    Attributes:
        params: network parameters.
        opt_state: optimiser state.
        hypers: traced hyperparameters (a struct of float32 scalars).
        observation_moments: statistics for observation normalisation, or None.
        return_moments: statistics of the discounted return for reward scaling, or None.
        value_norm: statistics of the critic's targets, or None.
        recent: window of recent episodes.
        key: the member's PRNG key; update u uses ``fold_in(key, u)``.
        updates: int32, updates done.  Environment steps are this times a Python integer, so they
            do not overflow.
        skipped: int32, gradient steps that were skipped for not being finite.
        actors: see :class:`Actors`.
        curriculum: stage reached, what decides the next one and what it means for the world, or
            None.
    """

    params: Any
    opt_state: Any
    hypers: Any
    observation_moments: Any
    return_moments: Any
    value_norm: Any
    recent: Any
    key: jax.Array
    updates: jax.Array
    skipped: jax.Array
    actors: Actors
    curriculum: Any = None


class PolicyState(struct.PyTreeNode):
    """The part of a :class:`TrainState` that acting needs."""

    params: Any
    observation_moments: Any


def policy_state(state: TrainState) -> PolicyState:
    """Return what acting needs of a training state."""
    return PolicyState(state.params, state.observation_moments)
