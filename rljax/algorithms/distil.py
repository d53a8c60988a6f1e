"""Distillation: a student learns from a teacher's actions where the student comes to (DAgger)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from envs_jax.autoreset import AutoReset
from envs_jax.spaces import ACTION_MASK
from rljax.algorithms.base import Algorithm, Metrics
from rljax.algorithms.distil_config import DistilConfig, TeacherRecord
from rljax.algorithms.fit import Batch, Loss, fit, make_optimiser, scheduled
from rljax.algorithms.on_policy import (
    Learner,
    Learnt,
    cut,
    make_batch,
    make_on_policy,
    value_metrics,
)
from rljax.algorithms.ppo_config import Hypers, PPOConfig, make_hypers
from rljax.algorithms.ppo_update import std_metric, value_terms
from rljax.control.curriculum import Curriculum
from rljax.core.errors import UserError, nearest
from rljax.core.mesh import Shards
from rljax.core.types import PolicyState, TrainState
from rljax.data.rollout import Rollout
from rljax.networks import ActionHead, ActorCritic, NetworkConfig, make_network
from rljax.networks.pair import Acting, Pair, named
from rljax.ops import Distribution


@dataclass(frozen=True, eq=False)
class Teacher:
    """A policy to learn from; what is None is needed for training only.

    Attributes:
        record: where it comes from, and its network.
        head: how its network's outputs become actions.
        policy: parameters and moments of its observations.
        observation: shapes of what it was trained on, leaves [...] of one environment.
    """

    record: TeacherRecord
    head: ActionHead | None = None
    policy: PolicyState | None = None
    observation: Any = None


def make_distil(
    env: AutoReset,
    env_params: Any,
    network_config: NetworkConfig,
    config: PPOConfig,
    options: DistilConfig,
    teacher: Teacher,
    *,
    num_envs: int,
    total_updates: int,
    normalise_observations: bool = False,
    normalise_rewards: bool = False,
    random_phase: bool = False,
    curriculum: Curriculum | None = None,
) -> Algorithm:
    """Return distillation on an environment; what acts is the student, without its teacher.

    Args:
        env: auto-resetting environment.
        env_params: its parameters.
        network_config: shape of the student's network.
        config: how rollouts are gathered and fitted, see :class:`DistilConfig`.
        options: distillation's own choices.
        teacher: whom to learn from.
        num_envs, total_updates, normalise_observations, normalise_rewards, random_phase,
            curriculum: see :func:`rljax.algorithms.make_ppo`; rewards matter to a critic only.

    Raises:
        UserError: for sizes that do not divide, options that do not fit, and a teacher that acts
            or sees otherwise.
    """
    student = make_network(env.action_space(env_params), network_config)
    _check(student.head, config, options)
    pair = _make_pair(env, env_params, student, teacher, options)
    sizes = cut(config, network_config, num_envs, config.minibatches * config.accumulation)
    optimiser = make_optimiser(config)
    loss = _make_loss(student, config, options)

    def share(state: TrainState) -> jax.Array | None:
        if not options.teacher_updates:
            return None
        left = 1 - state.updates.astype(jnp.float32) / options.teacher_updates
        return jnp.maximum(left, 0.0)

    def acting(state: TrainState) -> tuple[Acting, None]:
        own = PolicyState(state.params, state.observation_moments)
        return Acting(own, share(state)), None

    def learn(
        state: TrainState,
        rollout: Rollout,
        rewards: jax.Array,
        env_id: jax.Array,
        key: jax.Array,
        shards: Shards,
    ) -> Learnt:
        def prepare(rollout: Rollout, rewards: jax.Array, env_id: jax.Array) -> Batch:
            batch = make_batch(state, rollout, rewards, env_id, sizes, num_envs)
            batch = batch.replace(action=batch.action.taught, carry=batch.carry["student"])
            if options.critic:
                return batch
            return batch.replace(observation=student.seen_by_actor(batch.observation))

        batch = shards.map(prepare, rollout, rewards, env_id)
        decay = scheduled(config, state.hypers, state.updates, total_updates)
        learning_rate = state.hypers.learning_rate * decay
        fitted = fit(
            loss,
            lambda memory, *_: (memory, ()),
            optimiser,
            config,
            params=state.params,
            opt_state=state.opt_state,
            memory=(),
            hypers=state.hypers,
            learning_rate=learning_rate,
            batch=batch,
            items_per_env=sizes.items,
            key=key,
            shards=shards,
        )
        metrics = fitted.metrics | {"update/learning_rate": learning_rate}
        if options.critic:
            metrics |= value_metrics(batch.value, batch.returns, shards)
        teaching = share(state)
        if teaching is not None:
            metrics["distil/teacher_share"] = teaching
        return Learnt(fitted.params, fitted.opt_state, None, fitted.skipped, metrics)

    learner = Learner(
        hypers=lambda: make_hypers(config),
        init=lambda params: (optimiser.init(ravel_pytree(params)[0]), None),
        learn=learn,
        acting=acting,
    )
    return make_on_policy(
        env,
        env_params,
        pair,
        learner,
        sizes,
        num_envs=num_envs,
        normalise_observations=normalise_observations,
        normalise_rewards=normalise_rewards,
        random_phase=random_phase,
        curriculum=curriculum,
    )


def action_error(distribution: Distribution, taught: jax.Array) -> jax.Array:
    """Return how far a distribution's mode is from an action, element by element.

    Args:
        distribution: of actions.
        taught: an action, as ``mode`` gives it.

    Returns:
        Squared differences (within the bounds, -1 to 1, where the distribution has them), or of
        choices whether they differ, 0 or 1.
    """
    mode = distribution.mode()
    if not jnp.issubdtype(mode.dtype, jnp.floating):
        return (mode != taught).astype(jnp.float32)
    bounded: Callable[[jax.Array], jax.Array] = getattr(distribution, "bounded", lambda x: x)
    return jnp.square(bounded(mode) - bounded(taught))


def _make_loss(student: ActorCritic, config: PPOConfig, options: DistilConfig) -> Loss:
    apply: Callable[..., Any] = student.apply

    def loss(params: Any, hypers: Hypers, part: Batch, _: Any) -> tuple[jax.Array, Metrics]:
        inputs = (params, part.carry, part.observation, part.reset)
        if options.critic:
            _, distribution, value = apply(*inputs)
        else:
            _, distribution = apply(*inputs, method="act")
        error = action_error(distribution, part.action).mean()
        total = error
        if options.loss == "likelihood":
            total = -distribution.log_prob(part.action).mean()
        metrics = {"distil/error": error} | std_metric(distribution)
        if options.critic:
            critic = value_terms(value, part.value, part.returns, config, hypers).mean()
            metrics["loss/value"] = critic
            total = total + hypers.value_coefficient * critic
        metrics["loss/total"] = total
        return total, jax.lax.stop_gradient(metrics)

    return loss


def _check(head: ActionHead, config: PPOConfig, options: DistilConfig) -> None:
    if config.adaptive:
        raise UserError(
            "ppo.schedule adaptive_kl: distillation follows no KL divergence; expected constant, "
            "linear or cosine"
        )
    if config.target_kl is not None:
        raise UserError("ppo.target_kl: distillation follows no KL divergence; expected none")
    if options.loss == "error" and head.kind in ("categorical", "multi_categorical"):
        raise UserError(f"distil.loss error: actions are {head.kind}, expected likelihood")


def _make_pair(
    env: AutoReset, env_params: Any, student: ActorCritic, teacher: Teacher, options: DistilConfig
) -> Pair:
    """Return student and teacher, if the teacher fits."""
    network, policy = teacher.record.network, None
    parts: tuple[str, ...] = ()
    if teacher.policy is not None:
        assert teacher.head is not None
        _check_actions(teacher.head, student.head)
        example = jax.eval_shape(
            lambda key: env.init(key[None], env_params, False)[1], jax.random.key(0)
        )
        seen = named(ActorCritic(network, teacher.head).seen_by_actor(teacher.observation))
        world = {name: part.shape[1:] for name, part in named(example).items()}
        _check_parts({name: part.shape for name, part in seen.items()}, world)
        parts = tuple(sorted(seen))
        policy = jax.tree.map(jnp.asarray, _narrowed(teacher.policy, parts))
    return Pair(
        student,
        ActorCritic(network, teacher.head or student.head),
        policy,
        parts,
        options.critic,
        options.greedy,
    )


def _narrowed(policy: PolicyState, parts: tuple[str, ...]) -> PolicyState:
    """Return a policy with moments of these parts only."""
    moments = policy.observation_moments
    if moments is None:
        return policy
    mean, variance = (
        {name: named(tree)[name] for name in parts} for tree in (moments.mean, moments.variance)
    )
    return policy.replace(observation_moments=moments.replace(mean=mean, variance=variance))


def _check_actions(teacher: ActionHead, student: ActionHead) -> None:
    words = {"size": "number", "kind": "distribution", "scaled": "scale_actions"}
    for field in ("size", "kind", "sizes", "shape", "low", "high", "scaled"):
        there, here = getattr(teacher, field), getattr(student, field)
        if there != here:
            raise UserError(
                f"distil.teacher: {words.get(field, field)} of its actions is {there}, of the "
                f"student's {here}; expected the same"
            )


def _check_parts(teacher: dict[str, Any], world: dict[str, Any]) -> None:
    for name, shape in teacher.items():
        if name not in world:
            raise UserError(
                f"distil.teacher: it sees the part {name!r}, the world has only "
                f"{', '.join(sorted(set(world) - {ACTION_MASK}))}.{nearest(name, world)}"
            )
        if world[name] != shape:
            raise UserError(
                f"distil.teacher: its part {name!r} has shape {shape}, the world's "
                f"{world[name]}; expected the same"
            )
