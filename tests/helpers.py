"""A small PPO on a probe, and the loop that the tests run it in."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import envs_jax
import probe_envs  # noqa: F401  (registers the probes)
from envs_jax.autoreset import AutoReset
from rljax.algorithms import Algorithm, PPOConfig, make_ppo
from rljax.control import Curriculum
from rljax.core.mesh import Shards
from rljax.core.types import TrainState
from rljax.networks import ActorCritic, NetworkConfig, make_network

# As users compile, which conftest.py turns off: half the time to run, twice the time to compile.
optimised = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 3})
# Likewise: bits that do not depend on what else is computed.
_HAS_BOTH_EMITTERS = "xla_cpu_use_fusion_emitters" in os.environ.get("XLA_FLAGS", "")
EXACT: dict[str, Any] = {"xla_cpu_use_fusion_emitters": True} if _HAS_BOTH_EMITTERS else {}
SMALL: dict[str, Any] = {"hidden_sizes": (8,), "core_size": 8}


def as_state(params: Any) -> Curriculum:
    """Parameters of a world as a part of the state, ``state.curriculum``: one program for many."""
    return Curriculum(
        init=lambda: jax.tree.map(jnp.asarray, params),
        apply=lambda _, state: state,
        update=lambda state, *_: (state, {}),
    )


class Probe(NamedTuple):
    """An algorithm and what it was made of."""

    algorithm: Algorithm
    network: ActorCritic
    env: AutoReset
    env_params: Any

    @property
    def shards(self) -> Shards:
        """One device."""
        return Shards(blocks=self.algorithm.blocks)

    def init(self, num_envs: int, seed: int = 0) -> TrainState:
        """A member's state on one device."""
        init = jax.jit(self.algorithm.init)
        return init(jax.random.key(seed), jnp.arange(num_envs))


def make_probe(
    world: str,
    num_envs: int,
    network: dict[str, Any] | None = None,
    env: dict[str, Any] | None = None,
    world_options: dict[str, Any] | None = None,
    total_updates: int = 100,
    **config: Any,
) -> Probe:
    """PPO with a small network on a registered world, whose parameters are in the state.

    Args:
        world: registered name.
        num_envs: environments.
        network: fields of the network's config.
        env: options of `make_ppo` that concern the environment.
        world_options: options of the world.
        total_updates: length of the run.
        config: fields of PPO's config.
    """
    world_, params = envs_jax.make(world, **(world_options or {}))
    auto = AutoReset(world_, "bank", 2)
    network_config = NetworkConfig(**{**SMALL, **(network or {})})
    algorithm = make_ppo(
        auto,
        params,
        network_config,
        PPOConfig(**config),
        num_envs=num_envs,
        total_updates=total_updates,
        curriculum=as_state(params),
        **(env or {}),
    )
    return Probe(algorithm, make_network(auto.action_space(params), network_config), auto, params)


Loop = Callable[[TrainState, int], tuple[TrainState, dict[str, jax.Array]]]


def make_loop(probe: Probe, jit: Callable[..., Any] = jax.jit) -> Loop:
    """Return ``run(state, updates)``: state and last metrics after so many, compiled once."""
    update = jax.jit(lambda state: probe.algorithm.update(state, probe.shards))

    @jit
    def run(state: TrainState, updates: int) -> tuple[TrainState, dict[str, jax.Array]]:
        metrics = jax.eval_shape(update, state)[1]
        start = (state, jax.tree.map(lambda m: jnp.zeros(m.shape, m.dtype), metrics))
        return jax.lax.fori_loop(0, updates, lambda _, loop: update(loop[0]), start)

    return run
