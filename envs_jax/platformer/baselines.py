"""Players that need no training, to compare with: functions of a batch of observations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from envs_jax.platformer.observation import FEATURES
from envs_jax.spaces import ACTION_MASK

__all__ = ["BASELINES", "greedy", "uniform"]

_JUMP = 3  # what is added to an action for the button
_STEEP = 0.25  # share of a way point's distance that is upwards, from which on it takes a jump


def uniform(observation: dict[str, jax.Array], key: jax.Array) -> jax.Array:
    """Any action that is not masked, equally likely: int32 ``[B]``."""
    allowed = observation[ACTION_MASK]
    return jax.random.categorical(key, jnp.where(allowed, 0.0, -jnp.inf)).astype(jnp.int32)


def greedy(observation: dict[str, jax.Array], key: jax.Array) -> jax.Array:
    """Straight to the objective along the shortest path, heedless of mines: int32 ``[B]``.

    It runs towards the nearer way point and jumps, holding the button, when that is above it or a
    wall is in the way. In the air it lets go of the button for a step before it jumps off a wall.
    """
    seen: dict[str, Any] = {
        name: observation["vector"][..., number] for number, name in enumerate(FEATURES)
    }
    x, y = seen["near_x"], seen["near_y"]
    is_above = y < -_STEEP * jnp.hypot(x, y)
    at_wall = seen["wall"] * x < 0.0
    wants_jump = is_above | at_wall
    may_start = (seen["jump_held"] == 0.0) | (seen["jumping"] > 0.0)
    jumps = wants_jump & may_start
    sideways = jnp.where(jnp.abs(x) < 0.05, 0, jnp.where(x < 0.0, 1, 2))
    return (sideways + _JUMP * jumps).astype(jnp.int32)


BASELINES = {"random": uniform, "greedy": greedy}
