"""Proximal policy optimisation (Schulman et al. 2017), feed-forward and recurrent in one."""

from __future__ import annotations

from typing import Any

import jax
from jax.flatten_util import ravel_pytree

from envs_jax.autoreset import AutoReset
from rljax.algorithms.base import Algorithm
from rljax.algorithms.fit import Batch, make_optimiser
from rljax.algorithms.on_policy import (
    Learner,
    Learnt,
    cut,
    make_batch,
    make_on_policy,
    value_metrics,
)
from rljax.algorithms.ppo_config import PPOConfig, make_hypers
from rljax.algorithms.ppo_update import make_optimise
from rljax.control.curriculum import Curriculum
from rljax.core.mesh import Shards
from rljax.core.types import TrainState
from rljax.data.rollout import Rollout
from rljax.networks import NetworkConfig, make_network


def make_ppo(
    env: AutoReset,
    env_params: Any,
    network_config: NetworkConfig,
    config: PPOConfig,
    *,
    num_envs: int,
    total_updates: int,
    normalise_observations: bool = False,
    normalise_rewards: bool = False,
    random_phase: bool = False,
    curriculum: Curriculum | None = None,
) -> Algorithm:
    """Return PPO on an environment.

    Args:
        env: auto-resetting environment.
        env_params: its parameters.
        network_config: shape of the network.
        config: the algorithm's own choices.
        num_envs: environments over all devices (B).
        total_updates: length of the run, which schedules refer to.
        normalise_observations: whether to scale observations by running moments.
        normalise_rewards: whether to scale rewards by the spread of their discounted sum.
        random_phase: whether the first episodes start at random ages.
        curriculum: what decides the stages of a staged world; None for any other.

    Raises:
        UserError: for sizes that do not divide.
    """
    network = make_network(env.action_space(env_params), network_config)
    sizes = cut(config, network_config, num_envs, config.minibatches * config.accumulation)
    optimiser = make_optimiser(config)
    optimise = make_optimise(network, config, optimiser, total_updates, sizes.items)

    def learn(
        state: TrainState,
        rollout: Rollout,
        rewards: jax.Array,
        env_id: jax.Array,
        key: jax.Array,
        shards: Shards,
    ) -> Learnt:
        def prepare(rollout: Rollout, rewards: jax.Array, env_id: jax.Array) -> Batch:
            return make_batch(state, rollout, rewards, env_id, sizes, num_envs)

        batch = shards.map(prepare, rollout, rewards, env_id)
        params, opt_state, skipped, metrics = optimise(
            state.params, state.opt_state, state.hypers, state.updates, batch, key, shards
        )
        metrics |= value_metrics(batch.value, batch.returns, shards)
        return Learnt(params, opt_state, None, skipped, metrics)

    learner = Learner(
        hypers=lambda: make_hypers(config),
        init=lambda params: (optimiser.init(ravel_pytree(params)[0]), None),
        learn=learn,
    )
    return make_on_policy(
        env,
        env_params,
        network,
        learner,
        sizes,
        num_envs=num_envs,
        normalise_observations=normalise_observations,
        normalise_rewards=normalise_rewards,
        random_phase=random_phase,
        curriculum=curriculum,
    )
