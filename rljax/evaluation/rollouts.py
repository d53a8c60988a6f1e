"""Playing a policy: the first episode of each of many environments, in parallel."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

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


class Evaluate(Protocol):
    """What :func:`make_evaluation` returns."""

    def __call__(
        self, policy: PolicyState, seed: int, chances: np.ndarray | None = None
    ) -> Episodes: ...


def make_evaluation(
    algorithm: Algorithm,
    env: AutoReset,
    env_params: Any,
    episodes: int,
    greedy: bool = True,
    max_steps: int = 10_000,
) -> Evaluate:
    """Return ``evaluate(policy, seed, chances=None) -> Episodes``, compiled on its first call.

    In a world with stages, ``chances`` (float32 [K]) says how likely an episode is of each; None:
    as ``env_params`` do.

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

    def run(policy: PolicyState, seed: jax.Array, chances: jax.Array | None) -> Any:
        world_params = env_params if chances is None else env_params.replace(probabilities=chances)
        start_key, key = jax.random.split(jax.random.key(seed))
        keys = jax.random.split(start_key, episodes)
        env_state, observation = env.init(keys, world_params)
        bank = env.make_bank(keys, world_params)

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
                jax.random.split(env_key, episodes), loop["env_state"], action, world_params, bank
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
    knows_success = env.told(env_params).success is not None

    def evaluate(policy: PolicyState, seed: int, chances: np.ndarray | None = None) -> Episodes:
        result = jax.tree.map(np.asarray, compiled(policy, np.uint32(seed), chances))
        success = result.pop("success")
        return Episodes(**result, success=success if knows_success else None)

    return evaluate
