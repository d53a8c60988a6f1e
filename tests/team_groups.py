"""Algorithms of several agents on the worlds of :mod:`team_worlds`, and what tests ask of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import envs_jax
import team_worlds  # noqa: F401  (registers the worlds)
from envs_jax.autoreset import AutoReset
from helpers import SMALL, as_state
from rljax.algorithms import Algorithm, PPOConfig, TeamConfig, happo, make_happo, on_policy
from rljax.core.mesh import Shards
from rljax.core.types import TrainState
from rljax.networks import NetworkConfig, Team, make_team


@dataclass
class Group:
    """An algorithm of several agents and what it was made of."""

    algorithm: Algorithm
    team: Team
    env: AutoReset
    env_params: Any
    num_envs: int
    options: dict[str, Any] | None

    @property
    def shards(self) -> Shards:
        """One device."""
        return Shards(blocks=self.algorithm.blocks)

    def init(self, seed: int = 0, **changes: Any) -> TrainState:
        """A member's state, in a world with other parameters if ``changes`` are given."""
        state = self._init(jax.random.key(seed), jnp.arange(self.num_envs))
        if not changes:
            return state
        changes = jax.tree.map(jnp.asarray, changes)
        params = state.curriculum.replace(**changes)
        keys = jax.random.split(jax.random.key(seed), self.num_envs)
        env_state, observation = self._start(keys, params)
        actors = state.actors.replace(env_state=env_state, observation=observation)
        return state.replace(curriculum=params, actors=actors)

    @functools.cached_property
    def _init(self) -> Callable[..., TrainState]:
        return jax.jit(self.algorithm.init, compiler_options=self.options)

    @functools.cached_property
    def _start(self) -> Callable[..., Any]:
        return jax.jit(self.env.init, compiler_options=self.options)

    @functools.cached_property
    def _act(self) -> Callable[..., Any]:
        return jax.jit(self.algorithm.act, compiler_options=self.options)

    def act(self, state: TrainState, key: jax.Array | None = None, **seen: jax.Array) -> np.ndarray:
        """Actions [B, n, ...] at the start of episodes, on what is seen but for ``seen``."""
        policy, carry = self.algorithm.policy(state), self.algorithm.initial_carry(self.num_envs)
        observation = {**state.actors.observation, **seen}
        reset = jnp.ones(self.num_envs, bool)
        return np.asarray(self._act(policy, carry, observation, reset, key)[1])

    @functools.cached_property
    def update(self) -> Callable[[TrainState], Any]:
        """``update(state) -> (state, metrics)``."""
        return jax.jit(
            lambda s: self.algorithm.update(s, self.shards), compiler_options=self.options
        )

    @functools.cached_property
    def recorded(self) -> Callable[[TrainState], Any]:
        """``recorded(state) -> (state, metrics, rollout, batch)``: what was learnt from, too."""

        @functools.partial(jax.jit, compiler_options=self.options)
        def update(state: TrainState) -> Any:
            collect, prepare, seen = on_policy.collect, happo._prepare, []

            def record(function: Any, pick: Any) -> Any:
                def run(*args: Any) -> Any:
                    result = function(*args)
                    seen.append(pick(result))
                    return result

                return run

            with (
                mock.patch.object(on_policy, "collect", record(collect, lambda r: r[1])),
                mock.patch.object(happo, "_prepare", record(prepare, lambda r: r[0])),
            ):
                after = self.algorithm.update(state, self.shards)
            return *after, *seen

        return update

    @functools.cached_property
    def run(self) -> Callable[[TrainState, int], Any]:
        """``run(state, updates) -> (state, last metrics)``."""
        update = jax.jit(lambda s: self.algorithm.update(s, self.shards))

        @functools.partial(jax.jit, compiler_options=self.options)
        def run(state: TrainState, updates: int) -> Any:
            metrics = jax.eval_shape(update, state)[1]
            start = (state, jax.tree.map(lambda m: jnp.zeros(m.shape, m.dtype), metrics))
            return jax.lax.fori_loop(0, updates, lambda _, loop: update(loop[0]), start)

        return run


def make_group(
    world: str,
    num_envs: int,
    team: dict[str, Any] | None = None,
    network: dict[str, Any] | None = None,
    env: dict[str, Any] | None = None,
    world_options: dict[str, Any] | None = None,
    total_updates: int = 100,
    options: dict[str, Any] | None = None,
    **config: Any,
) -> Group:
    """Several agents with small networks on a registered world, its parameters in the state.

    Args:
        world: registered name.
        num_envs: environments.
        team: fields of the team's config.
        network: fields of the network's config.
        env: options of `make_happo` that concern the environment.
        world_options: options of the world.
        total_updates: length of the run.
        options: the compiler's.
        config: fields of PPO's config.
    """
    world_, params = envs_jax.make(world, **(world_options or {}))
    auto = AutoReset(world_, "bank", 2)
    shape, choices = NetworkConfig(**{**SMALL, **(network or {})}), TeamConfig(**(team or {}))
    algorithm = make_happo(
        auto,
        params,
        shape,
        PPOConfig(**config),
        choices,
        num_envs=num_envs,
        total_updates=total_updates,
        curriculum=as_state(params),
        **(env or {}),
    )
    agents, space = world_.num_agents, auto.action_space(params)
    networks = make_team(space, shape, agents, choices.share_parameters, choices.critic)
    return Group(algorithm, networks, auto, params, num_envs, options)
