"""The optimisation phase of several agents: their actors one by one, then the critic.

Kuba et al. 2022 (arXiv:2109.11251), algorithm 1, and Zhong et al. 2024 (HARL, arXiv:2304.09870): in
an order drawn anew each update, agent m maximises E[min(r M, clip(r) M)] with its own ratio r and
M = A prod_j<m r_j, in which the ratios of those before it enter as they are.  All r_j are positive,
so this is PPO's surrogate of A times a factor.  Without that factor it is MAPPO and IPPO.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rljax.algorithms.fit import (
    Batch,
    Fitted,
    Loss,
    Metrics,
    fit,
    mean_over,
    scheduled,
    standardise,
    take,
)
from rljax.algorithms.happo_config import TeamConfig, TeamHypers, critic_config
from rljax.algorithms.on_policy import Learnt
from rljax.algorithms.ppo_config import Hypers, PPOConfig
from rljax.algorithms.ppo_update import mean_terms, policy_terms, std_metric, value_terms
from rljax.core.mesh import Shards
from rljax.networks import Team
from rljax.ops import Distribution, ValueNorm, value_norm

# Stream of an update's key; epochs shuffle by those of their small numbers.
_ORDER = 0x6F726472

_NAMES = {
    "loss/policy": "policy_loss",
    "policy/entropy": "dist_entropy",
    "policy/approximate_kl": "approximate_kl",
    "policy/clip_fraction": "clip_fraction",
    "policy/std": "std",
    "update/grad_norm": "actor_grad_norm",
}
"""Metrics of an actor's fit, and what they are called under the name of one agent."""


class TeamBatch(NamedTuple):
    """A rollout of a team as items.

    Attributes:
        actors: leaves [n, items, L, ...]; no values, returns or blocks.
        critic: leaves [items, L, ...], of all agents one after the other where each has a value.
        active: bool [n, items, L], whether the agent acted; None: all did always.
    """

    actors: Batch
    critic: Batch
    active: jax.Array | None


@dataclass(frozen=True)
class OptimiseTeam:
    """The optimisation phase, to be called with a rollout as items.

    Attributes:
        team: the networks.
        config: PPO's static choices.
        options: those of a team.
        optimiser: from :func:`rljax.algorithms.fit.make_optimiser`.
        total_updates: length of the run, which the schedule refers to.
        items_per_env: items of each environment in a rollout.
    """

    team: Team
    config: PPOConfig
    options: TeamConfig
    optimiser: optax.GradientTransformation
    total_updates: int
    items_per_env: int

    @property
    def _together(self) -> bool:
        """Whether agents are one actor that learns from all of them at once."""
        return self.options.share_parameters and not self.options.sequential

    def __call__(
        self,
        params: Any,
        opt_state: Any,
        norm: ValueNorm | None,
        hypers: TeamHypers,
        updates: jax.Array,
        batch: TeamBatch,
        key: jax.Array,
        shards: Shards,
    ) -> Learnt:
        """Fit all actors, then the critic.

        Args:
            params: {"actor": leaves [1 or n, ...], "critic": ...}.
            opt_state: the optimiser's, likewise.
            norm: statistics of value targets, if they are normalised.
            hypers: traced hyperparameters.
            updates: int32, how many there have been.
            batch: the items.
            key: of the order of agents and of shuffles.
            shards: how the items are spread.
        """
        config, options, team = self.config, self.options, self.team
        rate = scheduled(config, hypers, updates, self.total_updates)
        rest: dict[str, Any] = {"hypers": hypers, "key": key, "shards": shards}
        if config.normalise_advantages == "batch":
            # As HARL does: all agents' values at once, the team's for each agent by itself.
            at_once = team.valued_agents or self._together
            advantage = _standardise_active(batch.actors.advantage, batch.active, at_once, shards)
            batch = batch._replace(actors=batch.actors.replace(advantage=advantage))
        actors = (params["actor"], opt_state["actor"], batch)
        actors_rest = rest | {"learning_rate": hypers.learning_rate * rate}
        if self._together:
            results = self._fit_together(*actors, **actors_rest)
        else:
            order = jnp.arange(team.num_agents)
            if options.sequential and not options.fixed_order and team.num_agents > 1:
                order = jax.random.permutation(jax.random.fold_in(key, _ORDER), team.num_agents)
            results = self._fit_one_by_one(*actors, order, **actors_rest)
        actor_params, actor_opt_state, skipped, metrics = results
        critic = fit(
            _make_critic_loss(team, config),
            _prepare_critic,
            self.optimiser,
            critic_config(config, options),
            params=params["critic"],
            opt_state=opt_state["critic"],
            memory=norm,
            batch=batch.critic,
            items_per_env=self.items_per_env * (team.num_agents if team.valued_agents else 1),
            learning_rate=hypers.critic_learning_rate * rate,
            **rest,
        )
        metrics |= {
            "loss/value": critic.metrics["loss/value"],
            "critic/value_loss": critic.metrics["loss/value"],
            "critic/critic_grad_norm": critic.metrics["update/grad_norm"],
            "update/learning_rate": hypers.learning_rate * rate,
        }
        return Learnt(
            {"actor": actor_params, "critic": critic.params},
            {"actor": actor_opt_state, "critic": critic.opt_state},
            critic.memory,
            skipped + critic.skipped,
            metrics,
        )

    def _fit_one_by_one(
        self, params: Any, opt_state: Any, batch: TeamBatch, order: jax.Array, **rest: Any
    ) -> tuple[Any, Any, jax.Array, Metrics]:
        shards: Shards = rest["shards"]
        options, at_rollout = self.options, params

        def learn(carry: Any, agent: jax.Array) -> Any:
            params, opt_state, factor = carry
            row = jnp.int32(0) if options.share_parameters else agent
            mine, active = shards.map(
                lambda stacked: jax.tree.map(lambda x: x[agent], stacked),
                (batch.actors, batch.active),
            )
            mine = mine.replace(block_ids=batch.critic.block_ids)
            old = _row(params, row)
            fitting = mine
            if options.action_aggregation == "mean":  # by dimension, which no rollout stores
                log_prob = self._log_probs(_row(at_rollout, row), mine, shards)
                fitting = mine.replace(log_prob=log_prob)
            fitted = self._fit_actor(old, _row(opt_state, row), fitting, active, factor, **rest)
            if factor is not None:
                before, after = (
                    self._log_probs(params, mine, shards) for params in (old, fitted.params)
                )
                ratio = jnp.exp(_log_ratio(after, before, options))
                # What an agent would have done while inactive changes nothing for the others.
                factor = factor * (ratio if active is None else jnp.where(active, ratio, 1.0))
            params, opt_state = jax.tree.map(
                lambda stacked, new: stacked.at[row].set(new),
                (params, opt_state),
                (fitted.params, fitted.opt_state),
            )
            return (params, opt_state, factor), (fitted.skipped, fitted.metrics)

        factor = None
        if options.sequential:
            factor = shards.map(lambda reset: jnp.ones(reset.shape[1:]), batch.actors.reset)
        (params, opt_state, _), (skipped, metrics) = jax.lax.scan(
            learn, (params, opt_state, factor), order
        )
        # Rows are in the order of learning.
        metrics = jax.tree.map(lambda m: jnp.zeros_like(m).at[order].set(m), metrics)
        named = {
            f"agent{i}/{short}": metrics[name][i]
            for name, short in _NAMES.items()
            if name in metrics
            for i in range(self.team.num_agents)
        }
        means = {name: values.mean() for name, values in metrics.items()}
        return params, opt_state, skipped.sum(), named | means

    def _fit_together(
        self, params: Any, opt_state: Any, batch: TeamBatch, **rest: Any
    ) -> tuple[Any, Any, jax.Array, Metrics]:
        shards: Shards = rest["shards"]
        merged, active = shards.map(
            lambda stacked: jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), stacked),
            (batch.actors, batch.active),
        )
        merged = merged.replace(block_ids=batch.critic.block_ids)
        params, opt_state = _row((params, opt_state), jnp.int32(0))
        if self.options.action_aggregation == "mean":
            merged = merged.replace(log_prob=self._log_probs(params, merged, shards))
        fitted = self._fit_actor(params, opt_state, merged, active, None, **rest)
        params, opt_state = jax.tree.map(lambda x: x[None], (fitted.params, fitted.opt_state))
        named = {
            f"actor/{short}": fitted.metrics[name]
            for name, short in _NAMES.items()
            if name in fitted.metrics
        }
        return params, opt_state, fitted.skipped, named | fitted.metrics

    def _fit_actor(
        self,
        params: Any,
        opt_state: Any,
        batch: Batch,
        active: jax.Array | None,
        factor: jax.Array | None,
        **rest: Any,
    ) -> Fitted:
        def prepare(memory: Any, batch: Batch, index: jax.Array, shards: Shards) -> tuple[Any, Any]:
            inputs = {"advantage": take(batch.advantage, index, shards)}
            if active is not None:
                inputs["weight"] = _weights(take(active, index, shards), shards)
            if factor is not None:
                inputs["factor"] = take(factor, index, shards)
            if self.config.normalise_advantages == "minibatch":
                standard = standardise(inputs["advantage"], shards, inputs.get("weight"))
                inputs["advantage"] = standard
            return memory, inputs

        return fit(
            _make_actor_loss(self.team, self.options),
            prepare,
            self.optimiser,
            self.config,
            params=params,
            opt_state=opt_state,
            memory=(),
            batch=batch,
            items_per_env=self.items_per_env * (self.team.num_agents if self._together else 1),
            **rest,
        )

    def _log_probs(self, params: Any, batch: Batch, shards: Shards) -> jax.Array:
        """Log probabilities of all items' actions, [items, L] (mean: [items, L, d])."""

        def of_shard(items: Batch) -> jax.Array:
            starts, whole = items.carry, items.replace(carry=(), block_ids=())
            part = jax.tree.map(lambda x: x.swapaxes(0, 1), whole).replace(carry=starts)
            distribution = _distribution(self.team, params, part)
            return _log_prob(distribution, part.action, self.options).swapaxes(0, 1)

        values: jax.Array = shards.map(of_shard, batch)
        return values


def _make_actor_loss(team: Team, options: TeamConfig) -> Loss:
    def loss(
        params: Any, hypers: Hypers, part: Batch, inputs: dict[str, jax.Array]
    ) -> tuple[jax.Array, Metrics]:
        distribution = _distribution(team, params, part)
        new = _log_prob(distribution, part.action, options)
        log_ratio = _log_ratio(new, part.log_prob, options)
        terms = policy_terms(
            log_ratio,
            jnp.zeros_like(log_ratio),
            distribution.entropy(),
            inputs["advantage"],
            hypers,
        )
        if "factor" in inputs:
            terms["loss/policy"] = inputs["factor"] * terms["loss/policy"]
        if "weight" in inputs:
            terms = {name: inputs["weight"] * term for name, term in terms.items()}
        metrics = mean_terms(terms)
        total = metrics["loss/policy"] - hypers.entropy_coefficient * metrics["policy/entropy"]
        metrics |= {"loss/total": total} | std_metric(distribution)
        return total, jax.lax.stop_gradient(metrics)

    return loss


def _distribution(team: Team, params: Any, part: Batch) -> Distribution:
    apply: Callable[..., Any] = team.actor.apply
    distribution: Distribution = apply(
        params, {"actor": part.carry}, part.observation, part.reset, method="act"
    )[1]
    return distribution


def _log_prob(distribution: Distribution, action: jax.Array, options: TeamConfig) -> jax.Array:
    if options.action_aggregation == "prod":
        return distribution.log_prob(action)
    # Each dimension as a distribution of its own.
    each: Distribution = jax.tree.map(lambda x: x[..., None], distribution)
    return each.log_prob(action[..., None])


def _log_ratio(new: jax.Array, old: jax.Array, options: TeamConfig) -> jax.Array:
    """Logarithm of the probability ratio of whole actions, the axis of dimensions reduced."""
    difference = new - old
    if options.action_aggregation == "prod":
        return difference
    return jax.nn.logsumexp(difference, -1) - jnp.log(difference.shape[-1])


def _make_critic_loss(team: Team, config: PPOConfig) -> Loss:
    def loss(
        params: Any, hypers: Hypers, part: Batch, returns: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        apply: Callable[..., Any] = team.critic.apply
        _, value = apply(params, part.carry, part.observation, part.reset)
        error = value_terms(value, part.value, returns, config, hypers).mean()
        total = hypers.value_coefficient * error
        return total, jax.lax.stop_gradient({"loss/value": error, "loss/total": total})

    return loss


def _prepare_critic(
    norm: ValueNorm | None, batch: Batch, index: jax.Array, shards: Shards
) -> tuple[ValueNorm | None, jax.Array]:
    """Return minibatches of targets in the critic's units, which each minibatch moves."""
    returns = take(batch.returns, index, shards)
    if norm is None:
        return None, returns
    mean, square = (mean_over(x, shards).ravel() for x in (returns, jnp.square(returns)))

    def step(norm: Any, moments: tuple[jax.Array, jax.Array]) -> Any:
        # What is not finite would stay for ever; the step on such targets is not taken either.
        finite = jnp.isfinite(moments[1])
        following = value_norm.update(norm, *moments)
        norm = jax.tree.map(lambda new, old: jnp.where(finite, new, old), following, norm)
        return norm, value_norm.statistics(norm)

    norm, (centre, scale) = jax.lax.scan(step, norm, (mean, square))
    shape = (-1,) + (1,) * (returns.ndim - shards.exact - 1)
    return norm, (returns - centre.reshape(shape)) / scale.reshape(shape)


def _standardise_active(
    advantage: jax.Array, active: jax.Array | None, at_once: bool, shards: Shards
) -> jax.Array:
    """Centre and scale [(n,) agents, ...], all at once or by agent, by what is active of it."""

    def flat(x: Any) -> Any:
        one_row = shards.map(lambda part: jax.tree.map(lambda y: y[None], part), x)
        return one_row if at_once else x

    weight = None if active is None else _weights(flat(active), shards)
    standard = standardise(flat(advantage), shards, weight)
    rows: jax.Array = shards.map(lambda part: part[0], standard) if at_once else standard
    return rows


def _weights(active: jax.Array, shards: Shards) -> jax.Array:
    """Return 0 where inactive and elsewhere what makes the mean 1, for each of [(n,) k, ...]."""
    weight = active.astype(jnp.float32)
    return weight / jnp.maximum(mean_over(weight, shards), 1e-8)


def _row(stacked: Any, index: jax.Array) -> Any:
    return jax.tree.map(lambda x: x[index], stacked)
