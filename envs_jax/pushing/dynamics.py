"""Physics of one control step: rigid robots and one rigid object on a plane.

A robot is a source of velocity: it follows its command with a first-order lag, whatever it pushes,
as long as its feet hold. It pushes with no more than its traction, and stands before what it cannot
move. A blow that its own momentum would give is left out: at steps of 0.02 s traction gives as much
to the box; at far shorter ones a robot that runs into it is held up for longer than it should be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from envs_jax.pushing.contacts import Contact, Neighbour, agent_gap, object_contacts
from envs_jax.pushing.friction import Ground
from envs_jax.pushing.geometry import Bodies, Vector, choose, heading, roll
from envs_jax.pushing.impulses import pushed, pusher

if TYPE_CHECKING:  # it imports gymnax, which starts a backend
    from envs_jax.pushing.world import PushingParams, PushingState

_SETTLES = 3  # rounds in which agents give way to each other and to the object
_PUSH_OUT = 0.3  # share of an overlap that is undone in a step


def step(state: PushingState, action: jax.Array, params: PushingParams) -> PushingState:
    """Advance all bodies by ``params.dt``.

    Args:
        state: before; its `time` is left as it is.
        action: ``[n, 3]``: forward, sideward and yaw speed, before gain and clipping.
        params: constants.
    """
    thing, agents, dt = state.object, state.agents, params.dt
    wanted, spin = _followed(agents, action, state.lag, params)

    # From here on in the frame of the object, where that was before the step.
    frame, axis = heading(thing.yaw), heading(agents.yaw - thing.yaw)
    centre = (agents.position - thing.position).into(frame)
    half_length = params.agent_length * 0.5 - params.agent_radius
    neighbours = [
        agent_gap(centre, axis, half_length, params.agent_radius, shift)
        for shift in range(1, half_length.shape[0])
    ]
    contacts = object_contacts(
        centre, axis, half_length, params.agent_radius, params.rectangles, params.rounding
    )
    velocity = _make_way(wanted.out_of(axis), spin, neighbours, params)

    grip = params.gravity * dt
    ground = Ground(
        state.friction * params.object_mass * grip,
        state.limit_radius,
        params.object_mass,
        params.object_inertia,
    )
    before = thing.velocity.into(frame)
    after, after_spin, impulse = pushed(
        before,
        thing.spin,
        state.impulse,
        [pusher(contact, centre, velocity, spin, ground, dt) for contact in contacts],
        params.agent_friction * params.agent_mass * grip,
        params.contact_friction,
        ground,
    )

    def settle(_: int, motion: tuple[Vector, jax.Array]) -> tuple[Vector, jax.Array]:
        velocity, spin = motion
        velocity = _make_way(velocity, spin, neighbours, params)
        return _stand(velocity, spin, contacts, centre, after, after_spin, params)

    velocity, spin = jax.lax.fori_loop(0, _SETTLES, settle, (velocity, spin))

    # A free slide covers the mean of its speeds; a pushed object goes along with what pushes it.
    is_free = jnp.sum(impulse[..., 0]) == 0.0
    mean = choose(is_free, (before + after) * 0.5, after)
    mean_spin = jnp.where(is_free, (thing.spin + after_spin) * 0.5, after_spin)
    shift = velocity * dt + _apart(contacts, neighbours)
    return state.replace(
        object=Bodies(
            thing.position + mean.out_of(frame) * dt,
            thing.yaw + mean_spin * dt,
            after.out_of(frame),
            after_spin,
        ),
        agents=Bodies(
            agents.position + shift.out_of(frame),
            agents.yaw + spin * dt,
            velocity.into(axis),
            spin,
        ),
        impulse=impulse,
    )


def _followed(
    agents: Bodies, action: jax.Array, lag: jax.Array, params: PushingParams
) -> tuple[Vector, jax.Array]:
    """Velocity (along an agent's own axes) and spin after a step towards the command."""
    command = jnp.clip(params.action_gain * action, -1.0, 1.0) * params.speed_limit
    kept = jnp.exp(-params.dt / lag)
    towards = Vector(command[:, 0], command[:, 1])
    velocity = towards + (agents.velocity - towards) * kept
    return velocity, command[:, 2] + (agents.spin - command[:, 2]) * kept


def _make_way(
    velocity: Vector, spin: jax.Array, neighbours: list[Neighbour], params: PushingParams
) -> Vector:
    """Agents' velocities, less what would take them into each other: the lighter gives way more."""
    free = velocity
    for shift, gap, away, arm, other_arm in neighbours:
        closing = (
            away.dot(roll(free, shift) - free) + other_arm * jnp.roll(spin, -shift) - arm * spin
        )
        closing = jnp.maximum(closing - jnp.maximum(gap, 0.0) / params.dt, 0.0)
        other = jnp.roll(params.agent_mass, -shift)
        velocity = velocity + away * (closing * other / (other + params.agent_mass))
    return velocity


def _stand(
    velocity: Vector,
    spin: jax.Array,
    contacts: list[Contact],
    centre: Vector,
    object_velocity: Vector,
    object_spin: jax.Array,
    params: PushingParams,
) -> tuple[Vector, jax.Array]:
    """Agents' velocities and spins, less what would take them into the object as it moves now."""
    a = 1.0 / params.agent_mass
    b = 12.0 * a / (jnp.square(params.agent_length) + 4.0 * jnp.square(params.agent_radius))
    for contact in contacts:
        arm = (contact.point - centre).cross(contact.normal)
        object_speed = contact.normal.dot(object_velocity)
        object_speed += contact.point.cross(contact.normal) * object_spin
        closing = object_speed - contact.normal.dot(velocity) - arm * spin
        closing -= jnp.maximum(contact.gap, 0.0) / params.dt
        impulse = jnp.maximum(closing, 0.0) / (a + b * arm * arm)
        velocity, spin = velocity + contact.normal * (impulse * a), spin + impulse * arm * b
    return velocity, spin


def _apart(contacts: list[Contact], neighbours: list[Neighbour]) -> Vector:
    """Displacement of the agents that undoes part of their overlaps, m.

    It is a displacement and no velocity, so that undoing an overlap creates no energy.
    """
    # Of two contacts with one rectangle only the deeper counts, for they overlap alike.
    zero = jnp.zeros_like(contacts[0].gap)
    total = Vector(zero, zero)
    for first, second in zip(contacts[::2], contacts[1::2], strict=True):
        deepest = choose(first.gap < second.gap, first.normal, second.normal)
        total = total + deepest * jnp.maximum(-jnp.minimum(first.gap, second.gap), 0.0)
    for neighbour in neighbours:
        total = total + neighbour.away * (0.5 * jnp.maximum(-neighbour.gap, 0.0))
    return total * _PUSH_OUT
