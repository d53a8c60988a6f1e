"""HAPPO, MAPPO and IPPO (see :class:`TeamConfig`): PPO for several agents at once."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from envs_jax.autoreset import AutoReset
from envs_jax.spaces import ACTIVE, action_kind
from rljax.algorithms.base import Algorithm, Metrics
from rljax.algorithms.fit import Batch, make_optimiser
from rljax.algorithms.happo_config import TeamConfig, critic_config, make_team_hypers
from rljax.algorithms.happo_update import OptimiseTeam, TeamBatch
from rljax.algorithms.on_policy import Learner, Learnt, Sizes, cut, make_on_policy, value_metrics
from rljax.algorithms.ppo_config import PPOConfig
from rljax.control.curriculum import Curriculum
from rljax.core.errors import UserError
from rljax.core.mesh import Shards
from rljax.core.types import TrainState
from rljax.data.minibatches import to_items
from rljax.data.rollout import Rollout, next_values
from rljax.networks import NetworkConfig, Team, make_team
from rljax.ops import gae, normalisation, value_norm


def make_happo(
    env: AutoReset,
    env_params: Any,
    network_config: NetworkConfig,
    config: PPOConfig,
    options: TeamConfig,
    *,
    num_envs: int,
    total_updates: int,
    normalise_observations: bool = False,
    random_phase: bool = False,
    curriculum: Curriculum | None = None,
) -> Algorithm:
    """Return the multi-agent PPO that ``options`` describe, on a multi-agent environment.

    Args:
        env: auto-resetting multi-agent environment.
        env_params: its parameters.
        network_config: shape of every actor and of the critic.
        config: PPO's own choices.
        options: what several agents add to it.
        num_envs: environments over all devices (B).
        total_updates: length of the run, which schedules refer to.
        normalise_observations: whether to scale observations by running moments.
        random_phase: whether the first episodes start at random ages.
        curriculum: what decides the stages of a staged world; None for any other.

    Raises:
        UserError: for a world of one agent, sizes that do not divide, or options that do not fit
            the world.
    """
    agents = _check(env, env_params, network_config, config, options)
    if normalise_observations and options.share_parameters:
        raise UserError(
            "env.normalise_observations with team.share_parameters: each agent's observations have "
            "moments of their own, which would hide from one actor what tells agents apart; "
            "expected either"
        )
    team = make_team(
        env.action_space(env_params),
        network_config,
        agents,
        options.share_parameters,
        options.critic,
    )
    of_critic = critic_config(config, options)
    most = max(config.minibatches, of_critic.minibatches)
    if most % config.minibatches or most % of_critic.minibatches:
        raise UserError(
            f"team.critic_minibatches {of_critic.minibatches} and ppo.minibatches "
            f"{config.minibatches}: expected one to be a multiple of the other"
        )
    sizes = cut(config, network_config, num_envs, most * config.accumulation)
    optimiser = make_optimiser(config)
    optimise = OptimiseTeam(team, config, options, optimiser, total_updates, sizes.items)

    def learn(
        state: TrainState,
        rollout: Rollout,
        rewards: jax.Array,
        env_id: jax.Array,
        key: jax.Array,
        shards: Shards,
    ) -> Learnt:
        batch, values, returns = shards.map(
            lambda *parts: _prepare(state, team, options, sizes, num_envs, *parts),
            rollout,
            rewards,
            env_id,
        )
        learnt: Learnt = optimise(
            state.params,
            state.opt_state,
            state.value_norm,
            state.hypers,
            state.updates,
            batch,
            key,
            shards,
        )
        return learnt._replace(metrics=learnt.metrics | value_metrics(values, returns, shards))

    def init(params: Any) -> tuple[Any, Any]:
        state = {
            "actor": jax.vmap(lambda p: optimiser.init(ravel_pytree(p)[0]))(params["actor"]),
            "critic": optimiser.init(ravel_pytree(params["critic"])[0]),
        }
        return state, value_norm.init() if options.value_norm else None

    algorithm = make_on_policy(
        env,
        env_params,
        team,
        Learner(lambda: make_team_hypers(config, options), init, learn),
        sizes,
        num_envs=num_envs,
        normalise_observations=normalise_observations,
        random_phase=random_phase,
        curriculum=curriculum,
    )

    def update(state: TrainState, shards: Shards) -> tuple[TrainState, Metrics]:
        state, metrics = algorithm.update(state, shards)
        # Under HARL's name, too, for what reads its logs.
        return state, metrics | {"train_episode_rewards": metrics["episode/return"]}

    return algorithm._replace(update=update)


def _check(
    env: AutoReset, env_params: Any, network: NetworkConfig, config: PPOConfig, options: TeamConfig
) -> int:
    """Return the number of agents, if the options fit the world."""
    if env.num_agents is None:
        raise UserError(f"{env.env.name} has one agent and no num_agents: expected several")
    if options.action_aggregation == "mean":
        kind = action_kind(env.action_space(env_params))
        if kind != "continuous":
            raise UserError(f"team.action_aggregation mean: {env.env.name} has {kind} actions")
    if not network.separate_value:
        raise UserError(
            "network.separate_value False: the critic of a team has a network of its own"
        )
    if config.adaptive:
        raise UserError(
            "ppo.schedule adaptive_kl: the critic of a team has a learning rate of its own and no "
            "KL divergence; expected constant, linear or cosine"
        )
    return env.num_agents


def _prepare(
    state: TrainState,
    team: Team,
    options: TeamConfig,
    sizes: Sizes,
    num_envs: int,
    rollout: Rollout,
    rewards: jax.Array,
    env_id: jax.Array,
) -> tuple[TeamBatch, jax.Array, jax.Array]:
    """Return a shard's rollout as items, and its values and returns in units of the reward."""
    steps, hypers = rollout.transitions, state.hypers
    scale = functools.partial(value_norm.denormalise, state.value_norm)
    values, following = steps.value, next_values(rollout)
    if options.value_norm:
        values, following = scale(values), scale(following)
    rewards = _critic_rewards(rewards, values, options)
    flags = (steps.terminated, steps.truncated)
    terminated, truncated = (
        jnp.broadcast_to(flag.reshape(flag.shape + (1,) * (values.ndim - 2)), values.shape)
        for flag in flags
    )
    if options.harl_truncation:  # delta is then V - V: no advantage, and the value as its target
        cut_off = truncated & ~terminated
        rewards, terminated = jnp.where(cut_off, values, rewards), terminated | cut_off
    advantages, returns = gae(
        rewards, values, following, terminated, truncated, hypers.gamma, hypers.gae_lambda
    )
    observation = steps.observation
    if state.observation_moments is not None:
        observation = normalisation.normalise(state.observation_moments, observation)
    own = team.seen_by_actor(observation)
    active = own.pop(ACTIVE, None) if isinstance(own, dict) else None
    shape = steps.log_prob.shape

    def by_agent(tree: Any) -> Any:
        """[T, B, n, ...] -> [n, items, L, ...]."""
        return jax.tree.map(
            lambda x: jnp.moveaxis(to_items(x, sizes.item), 2, 0),
            tree,
        )

    def starts(carry: jax.Array) -> jax.Array:
        """[chunks, B, n, h] -> [n, items, h]."""
        return jnp.moveaxis(carry.reshape((-1, *carry.shape[2:])), 1, 0)

    every_agent = advantages if team.valued_agents else advantages[..., None]
    actors = Batch(
        observation=by_agent(own),
        reset=by_agent(jnp.broadcast_to(steps.reset[..., None], shape)),
        action=by_agent(steps.action),
        log_prob=by_agent(steps.log_prob),
        value=(),
        advantage=by_agent(jnp.broadcast_to(every_agent, shape)),
        returns=(),
        carry=jax.tree.map(starts, rollout.carries["actor"]),
        block_ids=(),
    )
    seen = team.seen_by_critic(observation)
    critic_starts = rollout.carries["critic"]
    items = functools.partial(to_items, chunk_length=sizes.item)
    parts = (seen, jnp.broadcast_to(steps.reset[..., None], shape), steps.value, returns)
    if team.valued_agents:
        merged = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), by_agent(parts))
        carry = jax.tree.map(lambda x: starts(x).reshape((-1, x.shape[-1])), critic_starts)
    else:
        merged = jax.tree.map(items, (seen, steps.reset, steps.value, returns))
        carry = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), critic_starts)
    per_block = num_envs // sizes.blocks
    critic = Batch(
        observation=merged[0],
        reset=merged[1],
        action=(),
        log_prob=(),
        value=merged[2],
        advantage=(),
        returns=merged[3],
        carry=carry,
        block_ids=env_id[::per_block] // per_block,
    )
    batch = TeamBatch(actors, critic, None if active is None else by_agent(active))
    return batch, values, returns


def _critic_rewards(rewards: jax.Array, values: jax.Array, options: TeamConfig) -> jax.Array:
    """Return the rewards [T, B, n] that the critic's values [T, B] or [T, B, n] are of."""
    if options.reward == "per_agent":
        return rewards
    if options.reward == "agent0":
        team = rewards[..., 0]
    else:
        team = rewards.mean(-1) if options.reward == "mean" else rewards.sum(-1)
    return team if values.ndim == 2 else jnp.broadcast_to(team[..., None], values.shape)
