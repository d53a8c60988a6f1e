"""How well a robot walks: how it follows commands, and what terrain it gets through."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.autoreset import AutoReset
from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.world import QuadrupedParams

__all__ = ["Decide", "Walks", "tracking", "traversal", "walk"]

Decide = Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, jax.Array]]
"""``decide(carry, observation, reset, key) -> (carry, action)`` for a batch."""

MEASURES = ("velocity_error", "yaw_rate_error", "track_velocity", "track_yaw")


class Walks(NamedTuple):
    """One episode of each of B environments; NumPy.

    Attributes:
        means: by name, float32 [B]: of the world's measures over the steps from `settle` on; NaN
            for episodes that ended before.
        fell, through: bool [B], how it ended; `through`: with success.
        steps: int32 [B].
        kind: int32 [B], of the terrain.
    """

    means: dict[str, np.ndarray]
    fell: np.ndarray
    through: np.ndarray
    steps: np.ndarray
    kind: np.ndarray


def walk(
    env: Quadruped,
    decide: Decide,
    carry: Any,
    batch: int,
    *,
    steps: int,
    settle: int = 0,
) -> Callable[[QuadrupedParams, int], Walks]:
    """What plays one episode of each environment, compiled once: of parameters and a seed.

    Args:
        env: the world.
        decide: the policy.
        carry: its recurrent state at the start, leaves ``[batch, ...]``.
        batch: environments (B).
        steps: control steps to look at; an episode that goes on then counts as not fallen.
        settle: steps at the start that do not count for the means.
    """
    auto = AutoReset(env)

    def play(params: QuadrupedParams, seed: jax.Array) -> Any:
        start_key, key = jax.random.split(jax.random.key(seed))
        state, observation = auto.init(jax.random.split(start_key, batch), params)
        zeros = jnp.zeros(batch)
        loop = {
            "state": state,
            "observation": observation,
            "reset": jnp.ones(batch, bool),
            "carry": carry,
            "going": jnp.ones(batch, bool),
            "sums": dict.fromkeys(MEASURES, zeros),
            "counted": zeros,
            "fell": jnp.zeros(batch, bool),
            "through": jnp.zeros(batch, bool),
            "steps": jnp.zeros(batch, jnp.int32),
            "kind": jnp.zeros(batch, jnp.int32),
        }

        def step(loop: Any, number: jax.Array) -> tuple[Any, None]:
            act_key, env_key = jax.random.split(jax.random.fold_in(key, number))
            carry, action = decide(loop["carry"], loop["observation"], loop["reset"], act_key)
            keys = jax.random.split(env_key, batch)
            state, told = auto.step(keys, loop["state"], action, params)
            metrics, success = told.metrics, told.success
            assert metrics is not None and success is not None and told.group is not None
            going, ended = loop["going"], told.terminated | told.truncated
            counts = going & (number >= settle)
            return {
                "state": state,
                "observation": told.observation,
                "reset": ended,
                "carry": carry,
                "going": going & ~ended,
                "sums": {
                    name: total + jnp.where(counts, metrics[name], 0.0)
                    for name, total in loop["sums"].items()
                },
                "counted": loop["counted"] + counts,
                "fell": loop["fell"] | (going & told.terminated),
                "through": loop["through"] | (going & ended & success),
                "steps": loop["steps"] + going,
                "kind": jnp.where(number == 0, told.group, loop["kind"]),
            }, None

        loop, _ = jax.lax.scan(step, loop, jnp.arange(steps))
        means = {name: total / loop["counted"] for name, total in loop["sums"].items()}
        return Walks(means, loop["fell"], loop["through"], loop["steps"], loop["kind"])

    compiled = jax.jit(play)

    def run(params: QuadrupedParams, seed: int) -> Walks:
        walks: Walks = jax.device_get(compiled(params, jnp.int32(seed)))
        return walks

    return run


def tracking(walks: Walks) -> dict[str, float | None]:
    """Means over all that walked, None if nobody did, and the share of episodes with a fall."""
    result: dict[str, float | None] = {}
    for name, values in walks.means.items():
        known = values[~np.isnan(values)]
        result[name] = float(known.mean()) if len(known) else None
    return result | {"falls": float(walks.fell.mean()), "episodes": len(walks.fell)}


def traversal(
    play: Callable[[QuadrupedParams, int], Walks],
    params: QuadrupedParams,
    levels: int,
    seed: int = 0,
) -> dict[str, list[float | None]]:
    """Share of episodes that get through, by kind of terrain, for levels 0 and up.

    Args:
        play: from :func:`walk`.
        params: of a world with a terrain; each level is played in turn.
        levels: how many.
        seed: of the episodes.

    Returns:
        By kind that was met, one number for each level; None where no episode met it there.
    """
    table: dict[str, list[float | None]] = {}
    for level in range(levels):
        walks = play(params.replace(level=np.int32(level)), seed + level)
        for number, kind in enumerate(KINDS):
            met = walks.kind == number
            if met.any() or kind in table:
                row = table.setdefault(kind, [None] * level)
                row.append(float(walks.through[met].mean()) if met.any() else None)
    return table
