"""PPO's optimisation phase: actor and critic fitted together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rljax.algorithms.fit import (
    Batch,
    Loss,
    Metrics,
    fit,
    scheduled,
    standardise,
    standardise_whole,
    take,
)
from rljax.algorithms.ppo_config import Hypers, PPOConfig
from rljax.core.mesh import Shards
from rljax.networks import ActorCritic
from rljax.ops import (
    Distribution,
    Gaussian,
    SquashedGaussian,
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    clipped_value_loss,
    value_loss,
)

Optimise = Callable[..., tuple[Any, Any, jax.Array, Metrics]]


def make_optimise(
    network: ActorCritic,
    config: PPOConfig,
    optimiser: optax.GradientTransformation,
    total_updates: int,
    items_per_env: int,
) -> Optimise:
    """Return ``optimise(params, opt_state, hypers, updates, batch, key, shards)``.

    It gives new parameters, new optimiser state, the number of gradient steps skipped for not
    being finite (int32), and mean metrics over the steps taken.

    Args:
        network: the policy and value to fit.
        config: static choices.
        optimiser: from :func:`rljax.algorithms.fit.make_optimiser`.
        total_updates: length of the run, which the schedule refers to.
        items_per_env: items of each environment in a rollout.
    """
    loss = _make_loss(network, config)
    distributions = _make_distributions(network, config.minibatches * config.accumulation)

    def optimise(
        params: Any,
        opt_state: Any,
        hypers: Hypers,
        updates: jax.Array,
        batch: Batch,
        key: jax.Array,
        shards: Shards,
    ) -> tuple[Any, Any, jax.Array, Metrics]:
        if config.normalise_advantages == "batch":
            batch = batch.replace(advantage=standardise_whole(batch.advantage, shards))

        def prepare(memory: Any, batch: Batch, index: jax.Array, shards: Shards) -> tuple[Any, Any]:
            advantage = take(batch.advantage, index, shards)
            if config.normalise_advantages == "minibatch":
                advantage = standardise(advantage, shards)
            return memory, advantage

        if config.adaptive:
            batch = batch.replace(
                distribution=shards.map(lambda items: distributions(params, items), batch)
            )
        learning_rate = hypers.learning_rate * scheduled(config, hypers, updates, total_updates)
        fitted = fit(
            loss,
            prepare,
            optimiser,
            config,
            params=params,
            opt_state=opt_state,
            memory=(),
            hypers=hypers,
            learning_rate=learning_rate,
            batch=batch,
            items_per_env=items_per_env,
            key=key,
            shards=shards,
        )
        if config.adaptive:
            learning_rate = learning_rate * fitted.opt_state.share
        metrics = fitted.metrics | {"update/learning_rate": learning_rate}
        return fitted.params, fitted.opt_state, fitted.skipped, metrics

    return optimise


def policy_terms(
    log_prob: jax.Array,
    old_log_prob: jax.Array,
    entropy: jax.Array,
    advantage: jax.Array,
    hypers: Hypers,
) -> dict[str, jax.Array]:
    """Return the terms of a policy's loss and diagnostics, element by element."""
    return {
        "loss/policy": clipped_surrogate(log_prob, old_log_prob, advantage, hypers.clip_epsilon),
        "policy/entropy": entropy,
        "policy/approximate_kl": approximate_kl(log_prob, old_log_prob),
        "policy/clip_fraction": clip_fraction(log_prob, old_log_prob, hypers.clip_epsilon),
    }


def value_terms(
    value: jax.Array, old: jax.Array, returns: jax.Array, config: PPOConfig, hypers: Hypers
) -> jax.Array:
    """Return a critic's loss, element by element, with the options that are on."""
    delta = None if config.huber_delta is None else hypers.huber_delta
    if config.value_clip is None:
        return value_loss(value, returns, delta)
    return clipped_value_loss(value, old, returns, hypers.value_clip, delta)


def mean_terms(terms: dict[str, jax.Array]) -> Metrics:
    """Return the mean of each term over [L, m].

    One reduction for all: on small minibatches the number of kernels is what costs.
    """
    means = jnp.mean(jnp.stack(list(terms.values())), axis=(1, 2))
    return dict(zip(terms, means, strict=True))


def std_metric(distribution: Distribution) -> Metrics:
    """Return the mean standard deviation, of distributions that have one."""
    if isinstance(distribution, Gaussian | SquashedGaussian):
        return {"policy/std": jnp.exp(distribution.log_std).mean()}
    return {}


def _make_loss(network: ActorCritic, config: PPOConfig) -> Loss:
    apply: Callable[..., Any] = network.apply

    def loss(
        params: Any, hypers: Hypers, part: Batch, advantage: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        _, distribution, value = apply(params, part.carry, part.observation, part.reset)
        log_prob = distribution.log_prob(part.action)
        critic = value_terms(value, part.value, part.returns, config, hypers)
        terms = policy_terms(log_prob, part.log_prob, distribution.entropy(), advantage, hypers)
        metrics = mean_terms(terms | {"loss/value": critic})
        total = (
            metrics["loss/policy"]
            + hypers.value_coefficient * metrics["loss/value"]
            - hypers.entropy_coefficient * metrics["policy/entropy"]
        )
        metrics |= {"loss/total": total} | std_metric(distribution)
        if config.adaptive:
            metrics["policy/kl"] = part.distribution.kl(distribution).mean()
        return total, jax.lax.stop_gradient(metrics)

    return loss


def _make_distributions(network: ActorCritic, pieces: int) -> Callable[[Any, Batch], Distribution]:
    apply: Callable[..., Any] = network.apply

    def piece(params: Any, items: tuple[Any, jax.Array, Any]) -> Distribution:
        observation, reset, carry = items
        observation, reset = jax.tree.map(lambda x: x.swapaxes(0, 1), (observation, reset))
        _, distribution = apply(params, carry, observation, reset, method="act")
        # A standard deviation that is a parameter has no batch axes yet.
        spread: Distribution = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (*reset.shape, x.shape[-1])).swapaxes(0, 1), distribution
        )
        return spread

    def distributions(params: Any, batch: Batch) -> Distribution:
        """Return the policy's distributions of all items, leaves [items, L, ...].

        They are computed anew in parts no larger than a gradient's, for the sake of memory.
        """
        items = (batch.observation, batch.reset, batch.carry)
        parts = jax.tree.map(lambda x: x.reshape((pieces, -1) + x.shape[1:]), items)
        results = jax.lax.map(lambda part: piece(params, part), parts)
        whole: Distribution = jax.tree.map(lambda x: x.reshape((-1,) + x.shape[2:]), results)
        return whole

    return distributions
