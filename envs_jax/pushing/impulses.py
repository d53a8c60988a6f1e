"""The object's velocity after a step: friction with the ground, and robots that push.

Impulses of one step are sought for which the velocities *after* it obey every law of contact at
once (Moreau's time stepping): so friction stops but never reverses a motion, and stiff contact
needs no small step.
"""

import functools
import itertools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.pushing.contacts import Contact
from envs_jax.pushing.friction import Ground, slide
from envs_jax.pushing.geometry import Vector

SWEEPS = 4  # with 3, a light object between two robots creeps 1.6 times as far before it stops
_TINY = 1e-12


class Pusher(NamedTuple):
    """One possible contact of each agent, as seen from the object's velocity; all leaves ``[n]``.

    Attributes:
        normal: unit vector from the object to the agent; "across" is to the left of it.
        arm: of an impulse along the normal, m.
        arm_across: of an impulse across, m.
        speed: that the object may have along the normal without entering the agent, m/s.
        speed_across: the agent's, across, m/s.
        response: of the object, in m/s per N s: how much an impulse against the normal slows it
            there, how much one across speeds it up, and how much each of them does the other.
    """

    normal: Vector
    arm: jax.Array
    arm_across: jax.Array
    speed: jax.Array
    speed_across: jax.Array
    response: tuple[jax.Array, jax.Array, jax.Array]


def pusher(
    contact: Contact,
    centre: Vector,
    velocity: Vector,
    spin: jax.Array,
    ground: Ground,
    dt: jax.Array | float,
) -> Pusher:
    """A contact of agents at `centre` that move with `velocity` and `spin`."""
    a, b = 1.0 / ground.mass, 1.0 / ground.inertia
    normal, across = contact.normal, contact.normal.left()
    moving = velocity + (contact.point - centre).left() * spin
    arm, arm_across = contact.point.cross(normal), contact.point.cross(across)
    return Pusher(
        normal,
        arm,
        arm_across,
        normal.dot(moving) + jnp.maximum(contact.gap, 0.0) / dt,
        across.dot(moving),
        (a + arm * arm * b, a + arm_across * arm_across * b, arm * arm_across * b),
    )


def coulomb(
    push: jax.Array,
    rub: jax.Array,
    closing: jax.Array,
    slip: jax.Array,
    response: tuple[jax.Array, jax.Array, jax.Array],
    friction: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Impulses of one contact under Coulomb's law, in closed form; all scalars.

    Sticking if friction can hold it, else sliding with all the friction there is, else none.

    Args:
        push: impulse along the (inward) normal so far, N s.
        rub: impulse across so far, N s.
        closing: speed at which the bodies would still approach, m/s.
        slip: speed across of the pushing body, less that of the pushed one, m/s.
        response: of the pushed body in m/s per N s: how much a push lowers `closing`, how much a
            rub lowers `slip`, and how much each raises the other.
        friction: coefficient.

    Returns:
        The impulses along and across, N s.
    """
    along, across, mixed = response
    scale = 1.0 / (along * across - mixed * mixed)
    stick = push + (across * closing + mixed * slip) * scale
    stick_rub = rub + (mixed * closing + along * slip) * scale
    sticks = jnp.abs(stick_rub) <= friction * stick
    slope = jnp.where(stick_rub < 0, -friction, friction)
    # Beyond some friction a slide would jam; near that, take too small a step for this sweep.
    reply = jnp.maximum(along - slope * mixed, 0.1 * along)
    slides = jnp.maximum(closing + along * push - mixed * rub, 0.0) / reply
    return jnp.where(sticks, stick, slides), jnp.where(sticks, stick_rub, slope * slides)


def pushed(
    velocity: Vector,
    spin: jax.Array,
    impulse: jax.Array,
    pushers: list[Pusher],
    traction: jax.Array,
    friction: jax.Array,
    ground: Ground,
) -> tuple[Vector, jax.Array, jax.Array]:
    """Velocity and spin of the object after a step.

    Gauss-Seidel: friction with the ground, then every contact in its turn gets the impulse that is
    right given all others'. It starts from the impulses of the step before, which for steady
    pushing are right already.

    Args:
        velocity: before, m/s.
        spin: before, rad/s.
        impulse: ``[n, s, 2]`` of the step before: agent, contact, (along, across), N s.
        pushers: the agents' contacts, s of them.
        traction: ``[n]``, the most that an agent can push with, times the step, N s.
        friction: ``[n]``, coefficient between agent and object.
        ground: what the object slides on.

    Returns:
        Velocity, spin and impulses.
    """
    n, slots, _ = impulse.shape

    def sweep(_: int, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        free, free_spin, impulses = carry
        velocity, spin = slid, slid_spin = slide(free, free_spin, ground)
        for i, s in itertools.product(range(n), range(slots)):
            at: Pusher = jax.tree.map(lambda leaf, i=i: leaf[i], pushers[s])
            push, rub = impulses[i][s]
            closing = at.normal.dot(velocity) + at.arm * spin - at.speed
            slip = at.speed_across - at.normal.left().dot(velocity) - at.arm_across * spin
            new, new_rub = coulomb(push, rub, closing, slip, at.response, friction[i])
            others = (_length(*impulses[i][o]) for o in range(slots) if o != s)
            left = traction[i] - functools.reduce(operator.add, others)
            share = jnp.clip(left / (_length(new, new_rub) + _TINY), 0.0, 1.0)
            impulses[i][s] = (new * share, new_rub * share)
            change, change_spin = _struck(at, new * share - push, new_rub * share - rub, ground)
            velocity, spin = velocity + change, spin + change_spin
        return free + velocity - slid, free_spin + spin - slid_spin, impulses

    for s in range(slots):
        change, change_spin = _struck(pushers[s], impulse[:, s, 0], impulse[:, s, 1], ground)
        velocity = velocity + Vector(change.x.sum(), change.y.sum())
        spin = spin + change_spin.sum()
    # Slices are taken in the loop: taken before it, each would have its contact computed anew.
    impulses = [[(impulse[i, s, 0], impulse[i, s, 1]) for s in range(slots)] for i in range(n)]
    velocity, spin, impulses = jax.lax.fori_loop(0, SWEEPS, sweep, (velocity, spin, impulses))
    velocity, spin = slide(velocity, spin, ground)
    rows = [jnp.stack([jnp.stack(contact) for contact in agent]) for agent in impulses]
    return velocity, spin, jnp.stack(rows)


def _struck(
    at: Pusher, push: jax.Array, rub: jax.Array, ground: Ground
) -> tuple[Vector, jax.Array]:
    """Change of the object's velocity and spin by an impulse."""
    change = at.normal.left() * rub - at.normal * push
    turn = rub * at.arm_across - push * at.arm
    return change * (1.0 / ground.mass), turn * (1.0 / ground.inertia)


def _length(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sqrt(x * x + y * y)
