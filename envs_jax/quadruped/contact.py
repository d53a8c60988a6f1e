"""Points of the robot on the ground: forces, and how they would change with the motion.

A point pushes with a damped spring along the ground's normal and with Coulomb friction across it.
Both are linearised over one time step, so that steps of milliseconds are stable with springs that
hold a foot within millimetres (as Hunt & Crossley 1975 in spirit, linearly implicit in time). The
spring's force has a limit, lest what got into a wall be shot out of it; where it is reached the
damping grows with depth, but for motion inwards alone, so that nothing is driven in much farther.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.quadruped.heights import HeightMap, surface_at
from envs_jax.quadruped.robot import Ground
from envs_jax.quadruped.spatial import (
    Articulated,
    Inertia,
    Number,
    Spatial,
    Vector,
    cross,
    dot,
    less,
    plus,
    point_mass,
    times,
)

__all__ = ["Contact", "add_contact", "contact_of", "ground_under"]

UP: Vector = (0.0, 0.0, 1.0)
# m/s; for each of these a point that is a millimetre too deep feels the spring's force of one more.
_STOP = 0.1


class Contact(NamedTuple):
    """Contact of a point, in the frame of the body that it belongs to.

    Attributes:
        point: from the frame's origin, m.
        normal: of the ground.
        force: on the point as it moves, N.
        drag: kg, time step times the force by which each m/s more is resisted, in any direction.
        bounce: kg, the same along the normal, on top of `drag`.
    """

    point: Vector
    normal: Vector
    force: Vector
    drag: Number
    bounce: Number


def ground_under(ground: HeightMap | None, x: jax.Array, y: jax.Array) -> tuple[Number, Vector]:
    """Height and normal of the ground under points of any shape; None is flat ground at 0."""
    return (0.0, UP) if ground is None else surface_at(ground, x, y)


def contact_of(
    height: Number,
    normal: Vector,
    radius: Number,
    position: Vector,
    velocity: Vector,
    law: Ground,
    dt: Number,
) -> tuple[Vector, Number, Number, Number]:
    """Force of the ground on points, in the world's frame.

    Args:
        height, normal: of the ground under them.
        radius: of the ball around a point, m.
        position, velocity: of the points, m and m/s.
        law: springs and friction.
        dt: time step, s.

    Returns:
        Force, `drag` and `bounce` as in :class:`Contact`, and the force along the normal, N.
    """
    depth = less(radius, times(less(position[2], height), normal[2]))
    approach = dot(velocity, normal)
    sliding = tuple(less(v, times(approach, n)) for v, n in zip(velocity, normal, strict=True))
    # The spring as it will be at the end of the step, up to its limit.
    reach = law.stiffness * jnp.minimum(depth, law.depth)
    spring = jnp.where(depth < law.depth, law.stiffness * dt, 0.0)
    # The ground does not hold back what leaves it.
    touches = (depth > 0) & (reach > (law.damping + spring) * approach)
    push = jnp.where(touches, reach - law.damping * approach, 0.0)
    spring, damping = (jnp.where(touches, x, 0.0) for x in (spring, law.damping))
    # Beyond its limit the spring pushes out no harder, but going in is resisted ever more.
    beyond = jnp.where(approach < 0, depth - jnp.minimum(depth, law.depth), 0.0)
    stop = jnp.where(touches, law.stiffness * beyond / _STOP, 0.0)
    # In friction that takes no part: at the end of the step there is little left of such a force.
    speed = jnp.sqrt(dot(sliding, sliding) + 1e-9)
    viscosity = law.friction * push / jnp.maximum(speed, law.slip)
    along = push - (spring + stop) * approach
    force = tuple(
        less(times(along, n), times(viscosity, s)) for n, s in zip(normal, sliding, strict=True)
    )
    drag = dt * viscosity
    bounce = dt * (damping + spring + stop - viscosity)
    return (force[0], force[1], force[2]), drag, bounce, push


def add_contact(inertia: Inertia, bias: Spatial, contact: Contact) -> tuple[Articulated, Spatial]:
    """Inertia and force of a body that touches the ground.

    What resists in all directions alike acts as a point mass, what is left as a rank-one term.
    """
    heavier = inertia.joined(point_mass(contact.drag, contact.point))
    along: Spatial = (cross(contact.point, contact.normal), contact.normal)
    torque = cross(contact.point, contact.force)
    felt = (
        tuple(less(b, t) for b, t in zip(bias[0], torque, strict=True)),
        tuple(less(b, f) for b, f in zip(bias[1], contact.force, strict=True)),
    )
    return Articulated.of(heavier).with_outer(contact.bounce, along), felt


def corner_contacts(
    contacts: Contact, inertia: Inertia, bias: Spatial
) -> tuple[Articulated, Spatial]:
    """The same for a trunk with one contact ``[4, ...]`` beside each leg."""
    zero: Spatial = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    nothing = Inertia(0.0, (0.0, 0.0, 0.0), (0.0,) * 6)
    extra, felt = add_contact(nothing, zero, contacts)
    summed = extra.summed()
    force = jax.tree.map(lambda x: x if isinstance(x, float) else x.sum(0), felt)
    return Articulated.of(inertia).joined(summed), (
        tuple(plus(b, f) for b, f in zip(bias[0], force[0], strict=True)),
        tuple(plus(b, f) for b, f in zip(bias[1], force[1], strict=True)),
    )
