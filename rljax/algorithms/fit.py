"""Fitting parameters to a rollout: epochs of minibatches, each one step of Adam.

PPO fits actor and critic together, the multi-agent family each agent's actor and the critic one
after the other; what differs is the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from rljax.algorithms.ppo_config import ADAPTIVE_RATES, Hypers, PPOConfig
from rljax.core.mesh import Shards
from rljax.data.minibatches import minibatch_indices, take_items
from rljax.ops import schedule


class Batch(struct.PyTreeNode):
    """A rollout as items, leaves [items, L, ...] (L = 1 for feed-forward networks).

    Fields that a loss has no use for are empty pytrees.

    Attributes:
        observation: normalised, if observations are.
        reset, action, log_prob, value: as in :class:`rljax.core.types.Transition`.
        advantage, returns: from generalised advantage estimation.
        carry: recurrent state at each item's start, leaves [items, n].
        block_ids: int32 [local blocks], global numbers of the blocks the items come from.
        distribution: the policy's at the time of the rollout.
    """

    observation: Any
    reset: jax.Array
    action: Any
    log_prob: Any
    value: Any
    advantage: Any
    returns: Any
    carry: Any
    block_ids: Any
    distribution: Any = ()


Metrics = dict[str, jax.Array]

Loss = Callable[[Any, Hypers, Batch, Any], tuple[jax.Array, Metrics]]
"""``loss(params, hypers, part, inputs) -> (mean, metrics)`` over a part of a minibatch: leaves
[L, m, ...], carry [m, n].  The metrics hold "loss/total", the mean itself, too."""

Prepare = Callable[[Any, Batch, jax.Array, Shards], tuple[Any, Any]]
"""``prepare(memory, batch, index, shards) -> (memory, inputs)``: what a loss takes beside the batch
and must be computed over whole minibatches, for all minibatches of an epoch at once, because a
message between devices costs more than the arithmetic.  Index int32 [(n,) minibatches, m]; inputs
have leaves [(n,) minibatches, m, L, ...]."""


class Fitted(NamedTuple):
    """What a fit gives.

    Attributes:
        params, opt_state: after the last step.
        memory: as ``prepare`` left it in the last epoch.
        skipped: int32, gradient steps that were not taken for not being finite.
        metrics: means over the steps taken; "update/grad_norm" is before clipping.
    """

    params: Any
    opt_state: Any
    memory: Any
    skipped: jax.Array
    metrics: Metrics


class _Carry(struct.PyTreeNode):
    """What goes from minibatch to minibatch; ``params`` as one vector."""

    params: Any
    opt_state: Any
    stopped: jax.Array
    skipped: jax.Array


class AdaptiveState(NamedTuple):
    """The optimiser's state where the learning rate follows the KL divergence.

    Attributes:
        adam: Adam's.
        share: float32 scalar, the present learning rate as a share of ``hypers.learning_rate``.
    """

    adam: Any
    share: jax.Array


def make_optimiser(config: PPOConfig) -> optax.GradientTransformation:
    """Return Adam without its step size, which is applied as data.

    It works on all parameters as one vector: a dozen small arrays would cost a dozen kernels for
    each of its operations, and as many messages between devices.
    """
    adam = optax.scale_by_adam(eps=config.adam_epsilon)
    if not config.adaptive:
        return adam

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        direction, after = adam.update(gradient, state.adam, params)
        return direction, state._replace(adam=after)

    return optax.GradientTransformation(
        lambda params: AdaptiveState(adam.init(params), jnp.float32(1.0)), update
    )


def scheduled(config: PPOConfig, hypers: Hypers, updates: jax.Array, total: int) -> jax.Array:
    """Return the share of a learning rate that is left after some updates of ``total``."""
    progress = updates.astype(jnp.float32) / total
    kind = "constant" if config.adaptive else config.schedule
    rate: jax.Array = schedule(kind)(progress, hypers.final_fraction)
    return rate


def adapted(share: jax.Array, kl: jax.Array, hypers: Hypers) -> jax.Array:
    """Return the share of the learning rate to go on with after a minibatch.

    The rule of rsl_rl (https://github.com/leggedrobotics/rsl_rl, ``algorithms/ppo.py``), but for
    one thing: there a KL of exactly 0 changes nothing.  In the first minibatch of an update it is
    rounding that makes a KL 0 or not, so here 0 is a small KL like any other.

    Args:
        share: float32 scalar, of ``hypers.learning_rate``.
        kl: float32 scalar, KL(old || new) over the whole minibatch before its step.
        hypers: desired_kl and learning_rate.
    """
    low, high = (limit / hypers.learning_rate for limit in ADAPTIVE_RATES)
    lower, higher = jnp.maximum(share / 1.5, low), jnp.minimum(share * 1.5, high)
    assert hypers.desired_kl is not None
    kept = jnp.where(kl < hypers.desired_kl / 2, higher, share)
    return jnp.where(kl > 2 * hypers.desired_kl, lower, kept)


def fit(
    loss: Loss,
    prepare: Prepare,
    optimiser: optax.GradientTransformation,
    config: PPOConfig,
    *,
    params: Any,
    opt_state: Any,
    memory: Any,
    hypers: Hypers,
    learning_rate: jax.Array,
    batch: Batch,
    items_per_env: int,
    key: jax.Array,
    shards: Shards,
) -> Fitted:
    """Fit parameters to a batch.

    Args:
        loss: what to minimise.
        prepare: what it takes beside the batch.
        optimiser: from :func:`make_optimiser`.
        config: static choices: epochs, minibatches, accumulation, and which options are on.
        params: where to start, replicated over shards.
        opt_state: the optimiser's.
        memory: what ``prepare`` carries from epoch to epoch, or ().
        hypers: max_grad_norm, weight_decay, target_kl and what the loss takes of them.
        learning_rate: float32 scalar; with schedule adaptive_kl what the optimiser's share is of.
        batch: the items.
        items_per_env: items of each environment.
        key: of the shuffles.
        shards: how the items are spread.
    """
    vector, unravel = ravel_pytree(params)

    def minibatch(carry: _Carry, part: tuple[jax.Array, Any]) -> tuple[_Carry, Any]:
        gradient, metrics = _gradient(
            loss, unravel(carry.params), hypers, batch, *part, config.accumulation, shards
        )
        norm = jnp.sqrt(jnp.sum(jnp.square(gradient)))
        gradient = gradient * jnp.minimum(1.0, hypers.max_grad_norm / (norm + 1e-8))
        direction, opt_state = optimiser.update(gradient, carry.opt_state)
        if config.weight_decay:
            direction = direction + hypers.weight_decay * carry.params
        rate = learning_rate
        if config.adaptive:
            share = adapted(opt_state.share, metrics["policy/kl"], hypers)
            rate = learning_rate * share
        params = carry.params - rate * direction
        finite = jnp.isfinite(norm) & jnp.isfinite(metrics["loss/total"])
        stopped = carry.stopped
        if config.target_kl is not None and "policy/approximate_kl" in metrics:
            stopped |= metrics["policy/approximate_kl"] > hypers.target_kl
        taking = finite & ~stopped
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(taking, new, old),
            (params, opt_state),
            (carry.params, carry.opt_state),
        )
        if config.adaptive:  # the KL that stops an update lowers the rate for the next, once
            known = finite & ~carry.stopped
            opt_state = opt_state._replace(share=jnp.where(known, share, carry.opt_state.share))
        skipped = carry.skipped + (~finite & ~stopped)
        metrics = metrics | {"update/grad_norm": norm}
        return _Carry(params, opt_state, stopped, skipped), (metrics, taking)

    def epoch(loop: tuple[_Carry, Any], number: jax.Array) -> tuple[tuple[_Carry, Any], Any]:
        carry, memory = loop
        epoch_key = jax.random.fold_in(key, number)
        per_block = batch.reset.shape[-2] // items_per_env // batch.block_ids.shape[-1]
        index = shards.map(
            lambda ids: minibatch_indices(
                epoch_key, ids, items_per_env, per_block, config.minibatches
            ),
            batch.block_ids,
        )
        memory, inputs = prepare(memory, batch, index, shards)
        parts = (index, inputs)
        if shards.exact:  # [n, minibatches, ...] -> minibatches first, to scan over
            parts = jax.tree.map(lambda x: x.swapaxes(0, 1), parts)
        carry, results = jax.lax.scan(minibatch, carry, parts)
        return (carry, memory), results

    start = _Carry(vector, opt_state, jnp.bool(False), jnp.int32(0))
    (end, memory), (metrics, taken) = jax.lax.scan(
        epoch, (start, memory), jnp.arange(config.epochs)
    )
    # Of no step at all the mean is NaN, which is not logged.
    means = {n: jnp.where(taken, m, 0.0).sum() / taken.sum() for n, m in metrics.items()}
    means["update/steps_taken"] = taken.mean(dtype=jnp.float32)
    return Fitted(unravel(end.params), end.opt_state, memory, end.skipped, means)


def take(batch_field: jax.Array, index: jax.Array, shards: Shards) -> jax.Array:
    """Return a field's minibatches, [(n,) minibatches, m, L, ...], for a ``prepare``."""
    taken: jax.Array = shards.map(lambda field, i: field[i], batch_field, index)
    return taken


def mean_over(x: jax.Array, shards: Shards) -> jax.Array:
    """Return the mean of [(n,) k, ...] over all but k, shaped to be broadcast over a shard."""
    local = shards.map(lambda part: part.mean(tuple(range(1, part.ndim))), x)
    average: jax.Array = shards.mean(local)
    return average.reshape(average.shape + (1,) * (x.ndim - shards.exact - 1))


def standardise(x: jax.Array, shards: Shards, weight: jax.Array | None = None) -> jax.Array:
    """Centre and scale to unit variance over all shards.

    Args:
        x: [(n,) k, ...]: each of the k apart.
        shards: how the other axes are spread.
        weight: of the same shape and mean 1 for each k; None weighs all alike.
    """

    def mean(x: jax.Array) -> jax.Array:
        return mean_over(x if weight is None else weight * x, shards)

    centred = x - mean(x)
    return centred / (jnp.sqrt(mean(jnp.square(centred))) + 1e-8)


def standardise_whole(x: jax.Array, shards: Shards, weight: jax.Array | None = None) -> jax.Array:
    """Centre and scale [(n,) ...] over all of it, see :func:`standardise`."""

    def one(part: Any) -> Any:
        return jax.tree.map(lambda y: y[None], part)

    standard = standardise(shards.map(one, x), shards, shards.map(one, weight))
    whole: jax.Array = shards.map(lambda part: part[0], standard)
    return whole


def _gradient(
    loss: Loss,
    params: Any,
    hypers: Hypers,
    batch: Batch,
    index: jax.Array,
    inputs: Any,
    parts: int,
    shards: Shards,
) -> tuple[jax.Array, Metrics]:
    """Mean gradient (one vector) and metrics over a minibatch, in pieces, reduced over shards."""
    local_params = shards.vary(params)

    def piece(batch: Batch, index: jax.Array, inputs: Any) -> tuple[jax.Array, Metrics]:
        items, starts = batch.replace(carry=(), block_ids=()), batch.carry
        part = take_items(items, index).replace(carry=jax.tree.map(lambda c: c[index], starts))
        inputs = jax.tree.map(lambda x: x.swapaxes(0, 1), inputs)
        grads, metrics = jax.grad(loss, has_aux=True)(local_params, hypers, part, inputs)
        return ravel_pytree(grads)[0], metrics

    def local(batch: Batch, index: jax.Array, inputs: Any) -> tuple[jax.Array, Metrics]:
        if parts == 1:
            return piece(batch, index, inputs)
        pieces = jax.tree.map(lambda x: x.reshape((parts, -1) + x.shape[1:]), (index, inputs))
        results = jax.lax.map(lambda p: piece(batch, *p), pieces)
        mean: tuple[jax.Array, Metrics] = jax.tree.map(lambda x: x.mean(0), results)
        return mean

    result: tuple[jax.Array, Metrics] = shards.mean(shards.map(local, batch, index, inputs))
    return result
