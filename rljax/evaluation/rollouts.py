"""Playing a policy: the first episode of each of many environments, in parallel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.autoreset import AutoReset
from rljax.algorithms.base import Algorithm
from rljax.core.types import PolicyState
from rljax.data.episodes import team_mean


class Episodes(NamedTuple):
    """One finished (or cut off) episode of each environment, [B].

    Attributes:
        total: float32, undiscounted return; with several agents the mean of theirs.
        length: int32, steps.
        finished: bool, False where the evaluation was cut off first.
        success: bool, or None for worlds without the notion.
    """

    total: np.ndarray
    length: np.ndarray
    finished: np.ndarray
    success: np.ndarray | None


def make_evaluation(
    algorithm: Algorithm,
    env: AutoReset,
    env_params: Any,
    episodes: int,
    greedy: bool = True,
    max_steps: int = 10_000,
) -> Callable[[PolicyState, int], Episodes]:
    """Return ``evaluate(policy, seed) -> Episodes``, compiled on its first call.

    Only the first episode of each environment counts: counting whatever ends first within a number
    of steps would favour short episodes.

    Args:
        algorithm: how to act.
        env: environment to play in.
        env_params: its parameters.
        episodes: number of environments.
        greedy: whether to take the policy's mode rather than a sample.
        max_steps: steps after which unfinished episodes are cut off.
    """

    def run(policy: PolicyState, seed: jax.Array) -> Any:
        start_key, key = jax.random.split(jax.random.key(seed))
        keys = jax.random.split(start_key, episodes)
        env_state, observation = env.init(keys, env_params)
        bank = env.make_bank(keys, env_params)

        def going_on(loop: Any) -> jax.Array:
            return ~loop["finished"].all() & (loop["step"] < max_steps)

        def step(loop: Any) -> Any:
            act_key, env_key = jax.random.split(jax.random.fold_in(key, loop["step"]))
            carry, action = algorithm.act(
                policy,
                loop["carry"],
                loop["observation"],
                loop["reset"],
                None if greedy else act_key,
            )
            env_state, result = env.step(
                jax.random.split(env_key, episodes), loop["env_state"], action, env_params, bank
            )
            ended = result.terminated | result.truncated
            playing = ~loop["finished"]
            if result.success is None:
                success = loop["success"]
            else:
                success = jnp.where(playing & ended, result.success, loop["success"])
            return {
                "step": loop["step"] + 1,
                "env_state": env_state,
                "observation": result.observation,
                "reset": ended,
                "carry": carry,
                "total": loop["total"] + jnp.where(playing, team_mean(result.reward), 0.0),
                "length": loop["length"] + playing,
                "finished": loop["finished"] | ended,
                "success": success,
            }

        loop = jax.lax.while_loop(
            going_on,
            step,
            {
                "step": jnp.int32(0),
                "env_state": env_state,
                "observation": observation,
                "reset": jnp.ones(episodes, bool),
                "carry": algorithm.initial_carry(episodes),
                "total": jnp.zeros(episodes),
                "length": jnp.zeros(episodes, jnp.int32),
                "finished": jnp.zeros(episodes, bool),
                "success": jnp.zeros(episodes, bool),
            },
        )
        return {name: loop[name] for name in ("total", "length", "finished", "success")}

    compiled = jax.jit(run)
    knows_success = _has_success(env, env_params)

    def evaluate(policy: PolicyState, seed: int) -> Episodes:
        result = jax.tree.map(np.asarray, compiled(policy, np.uint32(seed)))
        success = result.pop("success")
        return Episodes(**result, success=success if knows_success else None)

    return evaluate


def _has_success(env: AutoReset, env_params: Any) -> bool:
    def once(keys: jax.Array) -> Any:
        state, _ = env.init(keys, env_params)
        action = env.sample_actions(keys, env_params)
        return env.step(keys, state, action, env_params, env.make_bank(keys, env_params))[1]

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    return jax.eval_shape(once, keys).success is not None
