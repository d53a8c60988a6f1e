"""PPO's optimisation phase: epochs of minibatches over one rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from rljax.algorithms.ppo_config import Hypers, PPOConfig
from rljax.core.mesh import Shards
from rljax.data.minibatches import minibatch_indices, take_items
from rljax.networks import ActorCritic
from rljax.ops import (
    Gaussian,
    SquashedGaussian,
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    clipped_value_loss,
    schedule,
    value_loss,
)


class Batch(struct.PyTreeNode):
    """A rollout as items, leaves [items, L, ...] (L = 1 for feed-forward networks).

    Attributes:
        observation: normalised, if observations are.
        reset, action, log_prob, value: as in :class:`rljax.core.types.Transition`.
        advantage, returns: from generalised advantage estimation.
        carry: recurrent state at each item's start, leaves [items, n].
        block_ids: int32 [local blocks], global numbers of the blocks the items come from.
    """

    observation: Any
    reset: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    advantage: jax.Array
    returns: jax.Array
    carry: Any
    block_ids: jax.Array


Optimise = Callable[..., tuple[Any, Any, jax.Array, dict[str, jax.Array]]]


def make_optimiser(config: PPOConfig) -> optax.GradientTransformation:
    """Return Adam without its step size, which is applied as data (see :func:`make_optimise`).

    It works on all parameters as one vector: a dozen small arrays would cost a dozen kernels for
    each of its operations, and as many messages between devices.
    """
    return optax.scale_by_adam(eps=config.adam_epsilon)


def make_optimise(
    network: ActorCritic,
    config: PPOConfig,
    optimiser: optax.GradientTransformation,
    total_updates: int,
    chunks: int,
) -> Optimise:
    """Return ``optimise(params, opt_state, hypers, updates, batch, key, shards)``.

    It gives new parameters, new optimiser state, the number of gradient steps skipped for not
    being finite (int32), and mean metrics over the steps taken.

    Args:
        network: the policy and value to fit.
        config: static choices.
        optimiser: from :func:`make_optimiser`.
        total_updates: length of the run, which the schedule refers to.
        chunks: items of each environment in a rollout.
    """
    rate = schedule(config.schedule)
    loss_fn = _make_loss(network, config)

    def optimise(
        params: Any,
        opt_state: Any,
        hypers: Hypers,
        updates: jax.Array,
        batch: Batch,
        key: jax.Array,
        shards: Shards,
    ) -> tuple[Any, Any, jax.Array, dict[str, jax.Array]]:
        progress = updates.astype(jnp.float32) / total_updates
        learning_rate = hypers.learning_rate * rate(progress, hypers.final_fraction)
        if config.normalise_advantages == "batch":
            batch = batch.replace(advantage=_standardise(batch.advantage, shards))

        vector, unravel = ravel_pytree(params)

        def minibatch(carry: _Fit, index: jax.Array) -> tuple[_Fit, Any]:
            # index: [(n,) m], which items of the local shard(s)
            advantage = shards.map(lambda b, i: b[i], batch.advantage, index)
            if config.normalise_advantages == "minibatch":
                advantage = _standardise(advantage, shards)
            gradient, metrics = _gradient(
                loss_fn,
                unravel(carry.params),
                hypers,
                batch,
                index,
                advantage,
                config.accumulation,
                shards,
            )
            norm = jnp.sqrt(jnp.sum(jnp.square(gradient)))
            gradient = gradient * jnp.minimum(1.0, hypers.max_grad_norm / (norm + 1e-8))
            direction, opt_state = optimiser.update(gradient, carry.opt_state)
            if config.weight_decay:
                direction = direction + hypers.weight_decay * carry.params
            params = carry.params - learning_rate * direction
            finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss/total"])
            stopped = carry.stopped
            if config.target_kl is not None:
                stopped |= metrics["policy/approximate_kl"] > hypers.target_kl
            take = finite & ~stopped
            params, opt_state = jax.tree.map(
                lambda new, old: jnp.where(take, new, old),
                (params, opt_state),
                (carry.params, carry.opt_state),
            )
            metrics |= {"update/grad_norm": norm}
            skipped = carry.skipped + (~finite & ~stopped)
            return _Fit(params, opt_state, stopped, skipped), (metrics, take)

        def epoch(carry: _Fit, number: jax.Array) -> tuple[_Fit, Any]:
            epoch_key = jax.random.fold_in(key, number)
            per_block = batch.reset.shape[-2] // chunks // batch.block_ids.shape[-1]
            index = shards.map(
                lambda ids: minibatch_indices(
                    epoch_key, ids, chunks, per_block, config.minibatches
                ),
                batch.block_ids,
            )
            if shards.exact:  # [n, minibatches, m] -> minibatches first, to scan over
                index = index.swapaxes(0, 1)
            return jax.lax.scan(minibatch, carry, index)

        start = _Fit(vector, opt_state, jnp.bool(False), jnp.int32(0))
        fit, (metrics, taken) = jax.lax.scan(epoch, start, jnp.arange(config.epochs))
        # Of no step at all the mean is NaN, which is not logged.
        means = {n: jnp.where(taken, m, 0.0).sum() / taken.sum() for n, m in metrics.items()}
        means["update/learning_rate"] = learning_rate
        means["update/steps_taken"] = taken.mean(dtype=jnp.float32)
        return unravel(fit.params), fit.opt_state, fit.skipped, means

    return optimise


class _Fit(struct.PyTreeNode):
    """What is carried from minibatch to minibatch; ``params`` as one vector."""

    params: Any
    opt_state: Any
    stopped: jax.Array
    skipped: jax.Array


def _make_loss(network: ActorCritic, config: PPOConfig) -> Callable[..., Any]:
    apply: Callable[..., Any] = network.apply

    def loss_fn(
        params: Any, hypers: Hypers, batch: Batch, advantage: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean loss over a part of a minibatch; leaves [L, m, ...], carry [m, n]."""
        _, distribution, value = apply(params, batch.carry, batch.observation, batch.reset)
        log_prob = distribution.log_prob(batch.action)
        if config.value_clip is None:
            critic = value_loss(value, batch.returns)
        else:
            critic = clipped_value_loss(value, batch.value, batch.returns, hypers.value_clip)
        terms = {
            "loss/policy": clipped_surrogate(
                log_prob, batch.log_prob, advantage, hypers.clip_epsilon
            ),
            "loss/value": critic,
            "policy/entropy": distribution.entropy(),
            "policy/approximate_kl": approximate_kl(log_prob, batch.log_prob),
            "policy/clip_fraction": clip_fraction(log_prob, batch.log_prob, hypers.clip_epsilon),
        }
        # One reduction for all: on small minibatches the number of kernels is what costs.
        means = jnp.mean(jnp.stack(list(terms.values())), axis=(1, 2))
        metrics = dict(zip(terms, means, strict=True))
        total = (
            metrics["loss/policy"]
            + hypers.value_coefficient * metrics["loss/value"]
            - hypers.entropy_coefficient * metrics["policy/entropy"]
        )
        metrics["loss/total"] = total
        if isinstance(distribution, Gaussian | SquashedGaussian):
            metrics["policy/std"] = jnp.exp(distribution.log_std).mean()
        return total, jax.lax.stop_gradient(metrics)

    return loss_fn


def _gradient(
    loss_fn: Callable[..., Any],
    params: Any,
    hypers: Hypers,
    batch: Batch,
    index: jax.Array,
    advantage: jax.Array,
    parts: int,
    shards: Shards,
) -> tuple[Any, dict[str, jax.Array]]:
    """Mean gradient (one vector) and metrics over a minibatch, in pieces, reduced over shards."""
    local_params = shards.vary(params)

    def gradient(*args: Any) -> tuple[jax.Array, Any]:
        grads, metrics = jax.grad(loss_fn, has_aux=True)(*args)
        return ravel_pytree(grads)[0], metrics

    def piece(batch: Batch, index: jax.Array, advantage: jax.Array) -> Any:
        items, starts = batch.replace(carry=(), advantage=(), block_ids=()), batch.carry
        part = take_items(items, index).replace(carry=jax.tree.map(lambda c: c[index], starts))
        return gradient(local_params, hypers, part, advantage.swapaxes(0, 1))

    def local(batch: Batch, index: jax.Array, advantage: jax.Array) -> Any:
        if parts == 1:
            return piece(batch, index, advantage)
        pieces = (index.reshape(parts, -1), advantage.reshape((parts, -1) + advantage.shape[1:]))
        results = jax.lax.map(lambda p: piece(batch, *p), pieces)
        return jax.tree.map(lambda x: x.mean(0), results)

    return shards.mean(shards.map(local, batch, index, advantage))


def _standardise(x: jax.Array, shards: Shards) -> jax.Array:
    """Centre and scale to unit variance over all shards."""
    mean = shards.mean(shards.map(jnp.mean, x))
    variance = shards.mean(shards.map(lambda part: jnp.square(part - mean).mean(), x))
    return (x - mean) / (jnp.sqrt(variance) + 1e-8)
