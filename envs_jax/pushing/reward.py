"""The reward, term by term, and what ends an episode.

Source: the middle-level wrapper of MAPush (arXiv 2411.07104). There, an episode's last reward
compares the object's old place with a target that was already drawn anew; here it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from envs_jax.pushing.geometry import (
    Vector,
    choose,
    heading,
    rectangle_distance,
    rectangle_face,
    roll,
)

if TYPE_CHECKING:  # it imports gymnax, which starts a backend
    from envs_jax.pushing.world import PushingParams, PushingState

__all__ = ["has_failed", "has_succeeded", "inward_normal", "reward_terms"]


def reward_terms(
    before: PushingState, after: PushingState, params: PushingParams
) -> dict[str, jax.Array]:
    """Every term of a step's reward, by name; their sum is the reward.

    ``target`` and ``push``, ``reach``, ``exception`` are scalars, the same for all agents; the
    others are float32 ``[n]``. With d the distance between object and target, and for agent i:

    * ``target``: ``100 target_scale (2 (d_before - d) - 0.01 d)``
    * ``approach``: ``-approach_scale (|agent - object| + 0.5)^2``
    * ``collision``: ``collision_scale / (0.02 + |agent - other| / 3)``, summed over the others
    * ``push``: ``push_scale`` while the object is faster than ``push_speed``
    * ``ocb``: ``ocb_scale`` times the cosine between the way to the target and the direction in
      which the agent would push, the inward normal of the edge nearest to it
    * ``reach``: ``reach_scale`` for success
    * ``exception``: ``exception_scale`` for failure

    Args:
        before: the state that was acted in.
        after: the state that followed, before any reset.
        params: constants.
    """
    thing, agents = after.object, after.agents
    way = after.target - thing.position
    distance = way.length()
    closer = (after.target - before.object.position).length() - distance
    reach = (agents.position - thing.position).length() + 0.5
    collision = jnp.zeros_like(reach)
    for shift in range(1, reach.shape[0]):
        apart = (roll(agents.position, shift) - agents.position).length()
        collision += params.collision_scale / (0.02 + apart / 3.0)
    is_pushed = thing.velocity.length() > params.push_speed
    aim = inward_normal(after, params).dot(way) / jnp.maximum(distance, 1e-6)
    return {
        "target": 100.0 * params.target_scale * (2.0 * closer - 0.01 * distance),
        "approach": -params.approach_scale * jnp.square(reach),
        "collision": collision,
        "push": jnp.where(is_pushed, params.push_scale, 0.0),
        "ocb": params.ocb_scale * aim,
        "reach": jnp.where(has_succeeded(after, params), params.reach_scale, 0.0),
        "exception": jnp.where(has_failed(after, params), params.exception_scale, 0.0),
    }


def inward_normal(state: PushingState, params: PushingParams) -> Vector:
    """Unit vectors ``[n]`` into the object, square to the edge that is nearest to each agent.

    In front of a corner, where two edges are equally near, it is the edge that faces the agent
    more. The edge of a rounded object is the tangent at its nearest point.
    """
    frame = heading(state.object.yaw)
    place = (state.agents.position - state.object.position).into(frame)
    nearest = jnp.full_like(place.x, jnp.inf)
    outward = place
    for k in range(params.rectangles.shape[0]):
        offset = place - Vector(params.rectangles[k, 0], params.rectangles[k, 1])
        half = Vector(params.rectangles[k, 2], params.rectangles[k, 3])
        distance, away = rectangle_distance(offset, half)
        face, _ = rectangle_face(offset, half)
        normal = choose(jnp.asarray(params.rounding > 0.0), away, face)
        outward = choose(distance < nearest, normal, outward)
        nearest = jnp.minimum(distance, nearest)
    return (outward * -1.0).out_of(frame)


def has_succeeded(state: PushingState, params: PushingParams) -> jax.Array:
    """Whether the object is at the target, bool scalar; its yaw does not matter."""
    return (state.target - state.object.position).length() < params.threshold


def has_failed(state: PushingState, params: PushingParams) -> jax.Array:
    """Whether two agents are too close to each other, bool scalar."""
    failed = jnp.zeros((), bool)
    position = state.agents.position
    for shift in range(1, state.agents.yaw.shape[0] // 2 + 1):
        near = (roll(position, shift) - position).length() < params.clearance
        failed |= near.any()
    return failed
