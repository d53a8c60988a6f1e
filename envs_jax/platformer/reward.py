"""The reward, term by term."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from envs_jax.platformer.state import DEAD, DYING, WON, World

if TYPE_CHECKING:  # it imports gymnax, which starts a backend
    from envs_jax.platformer.env import PlatformerParams

__all__ = ["has_died", "has_won", "potential", "reward_terms"]


def reward_terms(
    before: jax.Array, after: jax.Array, world: World, params: PlatformerParams
) -> dict[str, jax.Array]:
    """Every term of a step's reward, float32 scalars by name; their sum is the reward.

    * ``win``: `win_scale` for touching the open exit.
    * ``death``: `-death_scale`.
    * ``time``: `-time_scale` a step.
    * ``progress``: `shaping_discount * after - before`, which leaves the best policy what it is
      (Ng, Harada and Russell 1999) if `shaping_discount` is the discount that is trained with,
      because at a terminal state the potential is 0. Over a whole episode its discounted sum is
      that of the start, 0, with the sign turned.

    Args:
        before: `potential` of the state that was acted in.
        after: of the state that followed.
        world: that followed.
        params: scales.
    """
    died, won = has_died(world), has_won(world)
    return {
        "win": jnp.where(won, params.win_scale, 0.0),
        "death": jnp.where(died, -params.death_scale, 0.0),
        "time": jnp.float32(-params.time_scale),
        "progress": params.shaping_discount * jnp.where(died | won, 0.0, after) - before,
    }


def potential(remaining: jax.Array, total: jax.Array, params: PlatformerParams) -> jax.Array:
    """From 0 at the start, or further away, to `progress_scale` at the exit; float32 scalar.

    Args:
        remaining: px along the path through all objectives that are left.
        total: px from the start.
        params: scales.
    """
    share = 1.0 - remaining / jnp.maximum(total, 1.0)
    return params.progress_scale * jnp.clip(share, 0.0, 1.0)


def has_won(world: World) -> jax.Array:
    """Whether the ninja has touched the open exit, bool scalar."""
    return world.ninja.state == WON


def has_died(world: World) -> jax.Array:
    """Whether the ninja is dead, of a mine or an impact, bool scalar."""
    return (world.ninja.state == DEAD) | (world.ninja.state == DYING)
