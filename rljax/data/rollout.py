"""Gathering a rollout: T steps of B environments in one scan.

All randomness is drawn before the scan, in bulk, from keys of the global environment number: on a
CPU a key derived inside a small loop costs more than the step itself, and environments behave the
same on any number of devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from envs_jax.autoreset import AutoReset
from rljax.core.prng import fold_each
from rljax.core.types import Actors, EpisodeTotals, Transition
from rljax.data.episodes import team_mean
from rljax.networks import ActorCritic, Pair, Team
from rljax.ops import Moments, normalisation

# Streams of an environment's key within an update.
_ENVIRONMENT, _ACTION, _BANK = 0, 1, 2
# Rows that are bootstrapped together where episodes were truncated.
_BOOTSTRAP_ROWS = 16


class Rollout(struct.PyTreeNode):
    """What :func:`collect` gathers.

    Attributes:
        transitions: [T, B].
        last_value: float32 [B] (or [B, n]), value of the observation after the last step.
        carries: recurrent states at the start of each chunk of ``bptt_length`` steps,
            leaves [T / bptt_length, B, n].
        episodes: [T, B].
        told: by name, float32 [T]: means over environments of what the world tells of its steps.
    """

    transitions: Transition
    last_value: jax.Array
    carries: Any
    episodes: EpisodeTotals
    told: dict[str, jax.Array]


def start_actors(
    env: AutoReset,
    network: ActorCritic | Team | Pair,
    key: jax.Array,
    env_ids: jax.Array,
    env_params: Any,
    random_phase: bool,
) -> Actors:
    """Return freshly reset environments, numbered ``env_ids`` (int32 [B])."""
    size = env_ids.shape[0]
    env_state, observation = env.init(fold_each(key, env_ids), env_params, random_phase)
    return Actors(
        env_id=env_ids,
        env_state=env_state,
        observation=observation,
        reset=jnp.ones(size, bool),
        carry=network.initial_carry(size),
        episode_return=jnp.zeros(size),
        episode_length=jnp.zeros(size, jnp.int32),
        counts=jnp.full(size, not random_phase),
        discounted_return=jnp.zeros(size),
    )


def collect(
    env: AutoReset,
    network: ActorCritic | Team | Pair,
    params: Any,
    moments: Moments | None,
    env_params: Any,
    actors: Actors,
    key: jax.Array,
    length: int,
    chunk_length: int,
) -> tuple[Actors, Rollout]:
    """Act for ``length`` steps.

    Args:
        env: auto-resetting environment.
        network: its policy and value.
        params: parameters of the network.
        moments: statistics that observations are normalised by, or None.
        env_params: parameters of the environment.
        actors: state of B environments.
        key: this update's key.
        length: T.
        chunk_length: steps between stored recurrent states; divides ``length``.

    Returns:
        The environments' state after T steps, and the rollout.
    """
    apply: Callable[..., Any] = network.apply
    keys = fold_each(key, actors.env_id)
    size = actors.env_id.shape[0]

    def stream(number: int) -> jax.Array:
        return jax.vmap(lambda k: jax.random.fold_in(k, number))(keys)

    env_keys = jax.vmap(lambda k: jax.random.split(k, length), out_axes=1)(stream(_ENVIRONMENT))
    noise = jax.vmap(lambda k: network.draw_noise(k, (length,)), out_axes=1)(stream(_ACTION))
    bank = env.make_bank(stream(_BANK), env_params)

    def seen(observation: Any) -> Any:
        return observation if moments is None else normalisation.normalise(moments, observation)

    def values(carry: Any, observation: Any, reset: jax.Array) -> jax.Array:
        return apply(params, carry, _time(seen(observation)), reset[None], method="value")[0]

    def step(actors: Actors, inputs: tuple[jax.Array, Any]) -> tuple[Actors, Any]:
        env_key, step_noise = inputs
        carry, distribution, value = apply(
            params, actors.carry, _time(seen(actors.observation)), actors.reset[None]
        )
        distribution = jax.tree.map(lambda x: x[0] if x.ndim > 1 else x, distribution)
        action = distribution.sample(step_noise)
        env_state, result = env.step(
            env_key,
            actors.env_state,
            network.to_environment(distribution, action),
            env_params,
            bank,
        )
        ended = result.terminated | result.truncated
        total = actors.episode_return + team_mean(result.reward)
        steps = actors.episode_length + 1
        transition = Transition(
            observation=actors.observation,
            reset=actors.reset,
            action=action,
            log_prob=distribution.log_prob(action),
            value=value[0],
            reward=result.reward,
            terminated=result.terminated,
            truncated=result.truncated,
            final_value=_where_needed(
                result.truncated & ~result.terminated, values, carry, result.final_observation
            ),
        )
        episodes = EpisodeTotals(
            ended & actors.counts, total, steps, result.success, result.stage, result.group
        )
        actors = actors.replace(
            env_state=env_state,
            observation=result.observation,
            reset=ended,
            carry=carry,
            episode_return=jnp.where(ended, 0.0, total),
            episode_length=jnp.where(ended, 0, steps),
            counts=actors.counts | ended,
        )
        told = {name: value.mean() for name, value in (result.metrics or {}).items()}
        return actors, (transition, episodes, told)

    def chunk(actors: Actors, inputs: Any) -> tuple[Actors, Any]:
        carry = actors.carry
        actors, outputs = jax.lax.scan(step, actors, inputs)
        return actors, (carry, outputs)

    chunks = length // chunk_length
    inputs = jax.tree.map(
        lambda x: x.reshape((chunks, chunk_length) + x.shape[1:]), (env_keys, noise)
    )
    if chunks == 1:
        actors, outputs = chunk(actors, jax.tree.map(lambda x: x[0], inputs))
        outputs = jax.tree.map(lambda x: x[None], outputs)
    else:
        actors, outputs = jax.lax.scan(chunk, actors, inputs)
    carries, steps = outputs
    *each, told = steps
    transitions, episodes = jax.tree.map(lambda x: x.reshape((length, size) + x.shape[3:]), each)
    told = jax.tree.map(jnp.ravel, told)
    last_value = values(actors.carry, actors.observation, actors.reset)
    return actors, Rollout(transitions, last_value, carries, episodes, told)


def next_values(rollout: Rollout) -> jax.Array:
    """Return the value of the true next observation of every step, float32 [T, B] (or [T, B, n]).

    It is the next step's value within an episode and ``final_value`` where a time limit ended
    one.  Where the world ended it the value is not used (the discount is zero).
    """
    steps = rollout.transitions
    following = jnp.concatenate([steps.value[1:], rollout.last_value[None]])
    truncated = steps.truncated.reshape(steps.truncated.shape + (1,) * (following.ndim - 2))
    return jnp.where(truncated, steps.final_value, following)


def _time(tree: Any) -> Any:
    return jax.tree.map(lambda x: x[None], tree)


def _where_needed(needed: jax.Array, values: Any, carry: Any, observation: Any) -> jax.Array:
    """Evaluate ``values`` in the rows where ``needed`` (bool [B]) is set; 0 elsewhere.

    Rows are taken a few at a time until none is left, so the usual step, in which no time limit
    strikes, costs one test.  (A ``cond`` would run both branches under ``vmap``.)
    """
    size = needed.shape[0]
    rows = min(size, _BOOTSTRAP_ROWS)

    def body(loop: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, result = loop
        # The rows depend on what is left, or XLA would move the critic out of the loop.
        index = jnp.nonzero(left, size=rows, fill_value=size)[0]
        take = jax.tree.map(lambda x: jnp.take(x, index, axis=0, mode="clip"), (carry, observation))
        found = values(*take, jnp.zeros(rows, bool))
        return left.at[index].set(False, mode="drop"), result.at[index].set(found, mode="drop")

    each = jax.eval_shape(values, carry, observation, needed).shape[1:]
    # From what is needed, not anew: inside shard_map it must vary over the mesh as that does.
    none = jnp.zeros_like(needed, jnp.float32).reshape((size,) + (1,) * len(each))
    start = (needed, jnp.broadcast_to(none, (size, *each)))
    _, result = jax.lax.while_loop(lambda loop: loop[0].any(), body, start)
    return result
