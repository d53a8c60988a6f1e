"""What PPO and its multi-agent family share: gather a rollout, learn from it, keep statistics."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from envs_jax.autoreset import AutoReset
from rljax.algorithms.base import Act, Algorithm, Metrics
from rljax.algorithms.fit import Batch
from rljax.algorithms.ppo_config import Hypers, PPOConfig
from rljax.control.curriculum import Curriculum
from rljax.core.errors import UserError
from rljax.core.mesh import Shards
from rljax.core.types import Actors, PolicyState, TrainState, Transition, policy_state
from rljax.data.episodes import episode_metrics, no_episodes
from rljax.data.minibatches import choose_blocks, to_items
from rljax.data.rollout import Rollout, collect, next_values, start_actors
from rljax.networks import ActorCritic, NetworkConfig, Pair, Team
from rljax.ops import Moments, ValueNorm, explained_variance, gae, normalisation

# Streams of a member's key and of an update's key.
_PARAMS, _ENVIRONMENTS, _UPDATES = 0, 1, 2
_ROLLOUT, _SHUFFLE = 0, 1


class Sizes(NamedTuple):
    """How a rollout is cut.

    Attributes:
        length: steps of each environment (T).
        chunk: steps between stored recurrent states.
        item: steps of an item (L).
        items: items of each environment.
        blocks: groups of environments that minibatches are drawn from.
    """

    length: int
    chunk: int
    item: int
    items: int
    blocks: int


def cut(config: PPOConfig, network: NetworkConfig, num_envs: int, minibatches: int) -> Sizes:
    """Return how a rollout is cut into items, for a number of minibatches.

    Raises:
        UserError: for sizes that do not divide.
    """
    recurrent = network.core != "none"
    length = config.rollout_length
    chunk = min(config.bptt_length, length) if recurrent else length
    if length % chunk:
        raise UserError(
            f"ppo.rollout_length {length} is not a multiple of ppo.bptt_length {chunk}; "
            f"the nearest that are: {length // chunk * chunk} or {(length // chunk + 1) * chunk}"
        )
    item = chunk if recurrent else 1
    blocks = choose_blocks(num_envs, length // item, minibatches)
    return Sizes(length, chunk, item, length // item, blocks)


class Learnt(NamedTuple):
    """What learning from a rollout gives.

    Attributes:
        params, opt_state, value_norm: new ones.
        skipped: int32, gradient steps that were not taken for not being finite.
        metrics: float32 scalars.
    """

    params: Any
    opt_state: Any
    value_norm: ValueNorm | None
    skipped: jax.Array
    metrics: Metrics


def _acting(state: TrainState) -> tuple[Any, Moments | None]:
    return state.params, state.observation_moments


class Learner(NamedTuple):
    """How an algorithm learns from rollouts.

    Attributes:
        hypers: traced hyperparameters at the start; called once for each member.
        init: parameters -> (optimiser state, statistics of value targets or None).
        learn: (state, rollout, rewards, env_id, key, shards) -> :class:`Learnt`.
        acting: state -> (what the network acts by in rollouts, moments of its observations).
    """

    hypers: Callable[[], Hypers]
    init: Callable[[Any], tuple[Any, ValueNorm | None]]
    learn: Callable[[TrainState, Rollout, jax.Array, jax.Array, jax.Array, Shards], Learnt]
    acting: Callable[[TrainState], tuple[Any, Moments | None]] = _acting


def make_on_policy(
    env: AutoReset,
    env_params: Any,
    network: ActorCritic | Team | Pair,
    learner: Learner,
    sizes: Sizes,
    *,
    num_envs: int,
    normalise_observations: bool = False,
    normalise_rewards: bool = False,
    random_phase: bool = False,
    curriculum: Curriculum | None = None,
) -> Algorithm:
    """Return the algorithm that acts with a network and learns as a learner says.

    Args:
        env: auto-resetting environment.
        env_params: its parameters, constants of the program.
        network: policy and value.
        learner: what is done with a rollout.
        sizes: from :func:`cut`.
        num_envs: environments over all devices (B).
        normalise_observations: whether to scale observations by running moments.
        normalise_rewards: whether to scale rewards by the spread of their discounted sum.
        random_phase: whether the first episodes start at random ages.
        curriculum: what decides the stages of a staged world; None for any other.
    """
    constants = jax.tree.map(jnp.asarray, env_params)  # on a device once, not for every launch

    def world_params(progress: Any) -> Any:
        return constants if curriculum is None else curriculum.apply(constants, progress)

    def init(key: jax.Array, env_ids: jax.Array) -> TrainState:
        progress = None if curriculum is None else curriculum.init()
        actors = start_actors(
            env,
            network,
            jax.random.fold_in(key, _ENVIRONMENTS),
            env_ids,
            world_params(progress),
            random_phase,
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
        opt_state, value_norm = learner.init(params)
        return TrainState(
            params=params,
            opt_state=opt_state,
            hypers=learner.hypers(),
            observation_moments=(
                normalisation.init(jax.tree.map(lambda x: x[0], actors.observation))
                if normalise_observations
                else None
            ),
            return_moments=normalisation.init(jnp.zeros(())) if normalise_rewards else None,
            value_norm=value_norm,
            recent=no_episodes(),
            key=jax.random.fold_in(key, _UPDATES),
            updates=jnp.int32(0),
            skipped=jnp.int32(0),
            actors=actors,
            curriculum=progress,
        )

    def update(state: TrainState, shards: Shards) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.updates)
        rollout_key, shuffle_key = (jax.random.fold_in(key, i) for i in (_ROLLOUT, _SHUFFLE))
        params_now = world_params(state.curriculum)

        def gather(actors: Actors) -> tuple[Actors, Rollout]:
            return collect(
                env,
                network,
                *learner.acting(state),
                params_now,
                actors,
                rollout_key,
                sizes.length,
                sizes.chunk,
            )

        actors, rollout = shards.map(gather, shards.split(state.actors))
        return_moments = state.return_moments
        rewards = rollout.transitions.reward
        if return_moments is not None:
            actors, return_moments, rewards = _scale_rewards(
                actors, return_moments, rollout.transitions, state.hypers.gamma, shards
            )
        learnt = learner.learn(state, rollout, rewards, actors.env_id, shuffle_key, shards)
        recent, episode = episode_metrics(rollout.episodes, state.recent, shards)
        told = rollout.told  # empty for worlds that tell nothing: no shards to map over
        if told:
            told = shards.mean(shards.map(lambda told: jax.tree.map(jnp.mean, told), told))
        metrics = learnt.metrics | episode | {f"world/{name}": x for name, x in told.items()}
        metrics["update/skipped"] = learnt.skipped.astype(jnp.float32)
        progress = state.curriculum
        if curriculum is not None:
            progress, stages = curriculum.update(progress, rollout.episodes, state.updates, shards)
            metrics |= stages
        moments = state.observation_moments
        if moments is not None:
            seen = shards.map(
                lambda r: normalisation.from_batch(r.transitions.observation, 2), rollout
            )
            moments = _add_moments(moments, seen, shards)
        state = state.replace(
            params=learnt.params,
            opt_state=learnt.opt_state,
            observation_moments=moments,
            return_moments=return_moments,
            value_norm=learnt.value_norm,
            recent=recent,
            updates=state.updates + 1,
            skipped=state.skipped + learnt.skipped,
            actors=shards.join(actors),
            curriculum=progress,
        )
        return state, metrics

    steps = num_envs * sizes.length
    player = network.student if isinstance(network, Pair) else network  # who acts after training
    act, initial_carry = make_act(player), player.initial_carry
    return Algorithm(init, update, policy_state, act, initial_carry, steps, sizes.blocks)


def make_act(network: ActorCritic | Team) -> Act:
    """Return how a policy of this network acts."""
    apply: Callable[..., Any] = network.apply

    def act(
        policy: PolicyState, carry: Any, observation: Any, reset: jax.Array, key: jax.Array | None
    ) -> tuple[Any, jax.Array]:
        seen = network.seen_by_actor
        observation, moments = seen(observation), policy.observation_moments
        if moments is not None:
            moments = moments.replace(mean=seen(moments.mean), variance=seen(moments.variance))
            observation = normalisation.normalise(moments, observation)
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
            action = distribution.sample(network.draw_noise(key, (1, reset.shape[0])))
        return carry, network.to_environment(distribution, action)[0]

    return act


def make_batch(
    state: TrainState,
    rollout: Rollout,
    rewards: jax.Array,
    env_id: jax.Array,
    sizes: Sizes,
    num_envs: int,
) -> Batch:
    """Return a shard's rollout as items, with advantages.

    Args:
        state: what is known before learning from it.
        rollout: of B_local environments.
        rewards: float32 [T, B_local], scaled.
        env_id: int32 [B_local].
        sizes: how it is cut.
        num_envs: environments over all devices (B).
    """
    steps, hypers = rollout.transitions, state.hypers
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
    items = functools.partial(to_items, chunk_length=sizes.item)
    per_block = num_envs // sizes.blocks
    return Batch(
        observation=items(observation),
        reset=items(steps.reset),
        action=items(steps.action),
        log_prob=items(steps.log_prob),
        value=items(steps.value),
        advantage=items(advantages),
        returns=items(returns),
        carry=jax.tree.map(lambda x: x.reshape((-1,) + x.shape[2:]), rollout.carries),
        block_ids=env_id[::per_block] // per_block,
    )


def value_metrics(values: jax.Array, returns: jax.Array, shards: Shards) -> Metrics:
    """How well the critic explained the returns of a rollout, before it learnt from them."""
    parts = {"residual": returns - values, "returns": returns, "value": values}

    def mean(parts: dict[str, jax.Array]) -> dict[str, jax.Array]:
        means: dict[str, jax.Array] = shards.mean(
            shards.map(lambda part: jax.tree.map(jnp.mean, part), parts)
        )
        return means

    means = mean(parts)
    variance = mean({name: jnp.square(x - means[name]) for name, x in parts.items()})
    return {
        "value/explained_variance": explained_variance(variance["residual"], variance["returns"]),
        "value/mean": means["value"],
    }


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
