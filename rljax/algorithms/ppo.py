"""Proximal policy optimisation (Schulman et al. 2017), feed-forward and recurrent in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from envs_jax.autoreset import AutoReset
from rljax.algorithms.base import Algorithm, Metrics
from rljax.algorithms.fit import Batch, make_optimiser
from rljax.algorithms.ppo_config import PPOConfig, make_hypers
from rljax.algorithms.ppo_update import make_optimise
from rljax.core.errors import UserError
from rljax.core.mesh import Shards
from rljax.core.types import Actors, PolicyState, TrainState, Transition, policy_state
from rljax.data.episodes import episode_metrics, no_episodes
from rljax.data.minibatches import choose_blocks, to_items
from rljax.data.rollout import Rollout, collect, next_values, start_actors
from rljax.networks import NetworkConfig, make_network
from rljax.ops import Moments, explained_variance, gae, normalisation

# Streams of a member's key and of an update's key.
_PARAMS, _ENVIRONMENTS, _UPDATES = 0, 1, 2
_ROLLOUT, _SHUFFLE = 0, 1


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

    Raises:
        UserError: for sizes that do not divide.
    """
    network = make_network(env.action_space(env_params), network_config)
    apply: Callable[..., Any] = network.apply
    recurrent = network_config.core != "none"
    length = config.rollout_length
    chunk_length = min(config.bptt_length, length) if recurrent else length
    if length % chunk_length:
        raise UserError(
            f"ppo.rollout_length {length} is not a multiple of ppo.bptt_length {chunk_length}; "
            f"the nearest that are: {length // chunk_length * chunk_length} or "
            f"{(length // chunk_length + 1) * chunk_length}"
        )
    item_length = chunk_length if recurrent else 1
    blocks = choose_blocks(
        num_envs, length // item_length, config.minibatches * config.accumulation
    )
    optimiser = make_optimiser(config)
    optimise = make_optimise(network, config, optimiser, total_updates, length // item_length)

    def init(key: jax.Array, env_ids: jax.Array) -> TrainState:
        actors = start_actors(
            env, network, jax.random.fold_in(key, _ENVIRONMENTS), env_ids, env_params, random_phase
        )
        example = jax.tree.map(
            lambda x: jnp.zeros((1, 1) + x.shape[1:], x.dtype), actors.observation
        )
        params = network.init(
            jax.random.fold_in(key, _PARAMS),
            network.initial_carry(1),
            example,
            jnp.zeros((1, 1), bool),
        )
        return TrainState(
            params=params,
            opt_state=optimiser.init(ravel_pytree(params)[0]),
            hypers=make_hypers(config),
            env_params=jax.tree.map(jnp.asarray, env_params),
            observation_moments=(
                normalisation.init(jax.tree.map(lambda x: x[0], actors.observation))
                if normalise_observations
                else None
            ),
            return_moments=normalisation.init(jnp.zeros(())) if normalise_rewards else None,
            recent=no_episodes(),
            key=jax.random.fold_in(key, _UPDATES),
            updates=jnp.int32(0),
            skipped=jnp.int32(0),
            actors=actors,
        )

    def update(state: TrainState, shards: Shards) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.updates)
        rollout_key, shuffle_key = (jax.random.fold_in(key, i) for i in (_ROLLOUT, _SHUFFLE))
        hypers = state.hypers

        def gather(actors: Actors) -> tuple[Actors, Rollout]:
            return collect(
                env,
                network,
                state.params,
                state.observation_moments,
                state.env_params,
                actors,
                rollout_key,
                length,
                chunk_length,
            )

        actors, rollout = shards.map(gather, shards.split(state.actors))
        return_moments = state.return_moments
        rewards = rollout.transitions.reward
        if return_moments is not None:
            actors, return_moments, rewards = _scale_rewards(
                actors, return_moments, rollout.transitions, hypers.gamma, shards
            )

        def prepare(rollout: Rollout, rewards: jax.Array, env_id: jax.Array) -> Batch:
            steps = rollout.transitions
            advantages, returns = gae(
                rewards,
                steps.value,
                next_values(rollout),
                steps.terminated,
                steps.truncated,
                hypers.gamma,
                hypers.gae_lambda,
            )
            observation = steps.observation
            if state.observation_moments is not None:
                observation = normalisation.normalise(state.observation_moments, observation)
            per_block = num_envs // blocks
            return Batch(
                observation=to_items(observation, item_length),
                reset=to_items(steps.reset, item_length),
                action=to_items(steps.action, item_length),
                log_prob=to_items(steps.log_prob, item_length),
                value=to_items(steps.value, item_length),
                advantage=to_items(advantages, item_length),
                returns=to_items(returns, item_length),
                carry=jax.tree.map(lambda x: x.reshape((-1,) + x.shape[2:]), rollout.carries),
                block_ids=env_id[::per_block] // per_block,
            )

        batch = shards.map(prepare, rollout, rewards, actors.env_id)
        params, opt_state, skipped, metrics = optimise(
            state.params, state.opt_state, hypers, state.updates, batch, shuffle_key, shards
        )
        recent, episode = episode_metrics(rollout.episodes, state.recent, shards)
        metrics |= episode | _value_metrics(batch, shards)
        metrics["update/skipped"] = skipped.astype(jnp.float32)
        moments = state.observation_moments
        if moments is not None:
            seen = shards.map(
                lambda r: normalisation.from_batch(r.transitions.observation, 2), rollout
            )
            moments = _add_moments(moments, seen, shards)
        state = state.replace(
            params=params,
            opt_state=opt_state,
            observation_moments=moments,
            return_moments=return_moments,
            recent=recent,
            updates=state.updates + 1,
            skipped=state.skipped + skipped,
            actors=shards.join(actors),
        )
        return state, metrics

    def act(
        policy: PolicyState, carry: Any, observation: Any, reset: jax.Array, key: jax.Array | None
    ) -> tuple[Any, jax.Array]:
        if policy.observation_moments is not None:
            observation = normalisation.normalise(policy.observation_moments, observation)
        carry, distribution = apply(
            policy.params,
            carry,
            jax.tree.map(lambda x: x[None], observation),
            reset[None],
            method="act",
        )
        if key is None:
            action = distribution.mode()
        else:
            action = distribution.sample(network.head.draw_noise(key, (1, reset.shape[0])))
        return carry, network.head.to_environment(distribution, action)[0]

    return Algorithm(
        init, update, policy_state, act, network.initial_carry, num_envs * length, blocks
    )


def _scale_rewards(
    actors: Actors, moments: Moments, steps: Transition, gamma: jax.Array, shards: Shards
) -> tuple[Actors, Moments, jax.Array]:
    """Divide rewards [T, B] by the running spread of their discounted sum."""

    def sums(start: jax.Array, reward: jax.Array, ended: jax.Array) -> tuple[jax.Array, Moments]:
        def step(carry: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> Any:
            return normalisation.discounted_return(carry, *inputs, gamma)

        carry, values = jax.lax.scan(step, start, (reward, ended))
        return carry, normalisation.from_batch(values, 2)

    ended = steps.terminated | steps.truncated
    carry, seen = shards.map(sums, actors.discounted_return, steps.reward, ended)
    moments = _add_moments(moments, seen, shards)
    rewards = normalisation.scale(moments, steps.reward)
    return actors.replace(discounted_return=carry), moments, rewards


def _add_moments(moments: Moments, seen: Moments, shards: Shards) -> Moments:
    """Add every shard's statistics, unless they are not finite: those would stay for ever."""
    total = normalisation.merge(moments, normalisation.merge_stacked(shards.stack(seen)))
    finite = jnp.isfinite(ravel_pytree(total)[0]).all()
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), total, moments)


def _value_metrics(batch: Batch, shards: Shards) -> Metrics:
    """How well the critic explained the returns of this rollout, before it learnt from them."""
    values = {
        "residual": batch.returns - batch.value,
        "returns": batch.returns,
        "value": batch.value,
    }

    def mean(values: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return shards.mean(shards.map(lambda part: jax.tree.map(jnp.mean, part), values))

    means = mean(values)
    variance = mean({name: jnp.square(x - means[name]) for name, x in values.items()})
    return {
        "value/explained_variance": explained_variance(variance["residual"], variance["returns"]),
        "value/mean": means["value"],
    }
