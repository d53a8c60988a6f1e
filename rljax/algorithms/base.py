"""The protocol that everything which trains, evaluates or plays is written against."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax

from rljax.core.mesh import Shards
from rljax.core.types import PolicyState, TrainState

Metrics = dict[str, jax.Array]


class Init(Protocol):
    """``init(key, env_ids) -> TrainState``: key [], int32 [B] global environment numbers."""

    def __call__(self, key: jax.Array, env_ids: jax.Array) -> TrainState: ...


class Update(Protocol):
    """One whole iteration; metrics are float32 scalars, reduced over devices."""

    def __call__(self, state: TrainState, shards: Shards) -> tuple[TrainState, Metrics]: ...


class Act(Protocol):
    """``act(policy, carry, observation, reset, key) -> (carry, action)``.

    Observation leaves [B, ...], reset bool [B] (the observation begins an episode).  The action is
    the environment's, [B, ...]: a sample, or the mode where ``key`` is None.
    """

    def __call__(
        self,
        policy: PolicyState,
        carry: Any,
        observation: Any,
        reset: jax.Array,
        key: jax.Array | None,
    ) -> tuple[Any, jax.Array]: ...


class InitialCarry(Protocol):
    """``initial_carry(batch) -> carry`` at the start of an episode."""

    def __call__(self, batch: int) -> Any: ...


class PolicyOf(Protocol):
    """``policy(state) -> PolicyState``: the part of a training state that acting needs."""

    def __call__(self, state: TrainState) -> PolicyState: ...


class Algorithm(NamedTuple):
    """Pure functions over one member (one seed).

    Attributes:
        init: makes a member's state.
        update: one iteration.
        policy: what of a state acting needs.
        act: acts with it.
        initial_carry: recurrent state at an episode's start.
        steps_per_update: env_steps that one update takes, over all environments.
        blocks: virtual shards that minibatches are drawn from.
    """

    init: Init
    update: Update
    policy: PolicyOf
    act: Act
    initial_carry: InitialCarry
    steps_per_update: int
    blocks: int
