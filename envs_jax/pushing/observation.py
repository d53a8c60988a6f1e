"""What an agent sees, and what a centralised critic may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.pushing.geometry import heading, roll

if TYPE_CHECKING:  # it imports gymnax, which starts a backend
    from envs_jax.pushing.world import PushingState

_TURN = 2.0 * np.pi


def observe(state: PushingState, sin_cos: bool) -> jax.Array:
    """The world in each agent's own frame, float32 ``[n, 2 + 3 n]``; m and rad.

    Target (x, y), object (x, y, yaw), then (x, y, yaw) of every other agent, starting with the one
    of the next lower number and counted round the end. Yaws are relative to the agent's own.

    Args:
        state: of one world.
        sin_cos: give every yaw as (cosine, sine), so that the length is ``2 + 4 n``, instead of an
            angle in [0, 2 pi).
    """
    thing, agents = state.object, state.agents
    own = heading(agents.yaw)

    def yaw_parts(yaw: jax.Array) -> tuple[jax.Array, ...]:
        if sin_cos:
            relative = heading(yaw - agents.yaw)
            return relative.x, relative.y
        return (_wrapped(yaw - agents.yaw),)

    target = (state.target - agents.position).into(own)
    centre = (thing.position - agents.position).into(own)
    parts = [target.x, target.y, centre.x, centre.y, *yaw_parts(thing.yaw)]
    for shift in range(1, agents.yaw.shape[0]):
        other = (roll(agents.position, -shift) - agents.position).into(own)
        parts += [other.x, other.y, *yaw_parts(jnp.roll(agents.yaw, shift))]
    return jnp.stack(parts, axis=-1)


def observation_size(num_agents: int, sin_cos: bool) -> int:
    """Length of one agent's observation."""
    return 2 + (4 if sin_cos else 3) * num_agents


def physical_state(state: PushingState) -> jax.Array:
    """The world in the object's frame, float32 ``[5 + 7 n]``; m, m/s and rad/s.

    Target (x, y), the object's velocity (x, y) and spin; then of every agent its position (x, y),
    the cosine and sine of its yaw relative to the object's, its velocity (x, y) and spin.
    """
    thing, agents = state.object, state.agents
    frame, axis = heading(thing.yaw), heading(agents.yaw - thing.yaw)
    target = (state.target - thing.position).into(frame)
    drift = thing.velocity.into(frame)
    place = (agents.position - thing.position).into(frame)
    motion = agents.velocity.out_of(axis)
    each = [place.x, place.y, axis.x, axis.y, motion.x, motion.y, agents.spin]
    whole = jnp.stack([target.x, target.y, drift.x, drift.y, thing.spin])
    return jnp.concatenate([whole, jnp.stack(each, axis=-1).reshape(-1)])


def _wrapped(angle: jax.Array) -> jax.Array:
    """The same direction within [0, 2 pi)."""
    wrapped = angle - _TURN * jnp.floor(angle * (1.0 / _TURN))
    # Rounding can leave a turn too much or too little.
    wrapped = jnp.where(wrapped >= np.float32(_TURN), 0.0, wrapped)
    return jnp.maximum(wrapped, 0.0)
