"""Where robots touch the object, and each other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.pushing.geometry import Vector, choose, rectangle_distance, roll

_FAR = 1e3  # m, the gap of a contact that there is not


class Contact(NamedTuple):
    """One possible contact of each agent with the object; all leaves ``[n]``.

    Attributes:
        gap: between the surfaces in m, negative where they overlap.
        normal: unit vector from the object to the agent, in the object's frame.
        point: on the object's surface, from its centre and in its frame, m.
    """

    gap: jax.Array
    normal: Vector
    point: Vector


def object_contacts(
    centre: Vector,
    axis: Vector,
    half_length: jax.Array,
    radius: jax.Array,
    rectangles: jax.Array,
    rounding: jax.Array | float,
) -> tuple[Contact, Contact]:
    """The two deepest contacts of each capsule with the object.

    A capsule touches a convex shape with its ends, or with its side at a corner of the shape; two
    such points at once are enough for it to lie flat against an edge, or in a corner.

    Args:
        centre: of the capsules ``[n]``, in the object's frame, m.
        axis: their unit vectors ``[n]``, in the object's frame.
        half_length: ``[n]``, from the centre to that of an end's circle, m.
        radius: ``[n]``, m.
        rectangles: ``[k, 4]``, of the object, m.
        rounding: of the object, m.
    """
    found: list[Contact] = []
    for k in range(rectangles.shape[0]):
        middle = Vector(rectangles[k, 0], rectangles[k, 1])
        half = Vector(rectangles[k, 2], rectangles[k, 3])
        for end in (centre + axis * half_length, centre - axis * half_length):
            distance, normal = rectangle_distance(end - middle, half)
            point = end - normal * (distance - rounding)
            found.append(Contact(distance - rounding - radius, normal, point))
        found.append(_side_contact(centre - middle, axis, half_length, half, middle))
        gap = found[-1].gap - rounding - radius
        found[-1] = Contact(gap, found[-1].normal, found[-1].point + found[-1].normal * rounding)
    first, second = found[:2]
    for other in found[2:]:
        # `other` takes the place of the shallower one, if it is deeper.
        first_is_shallower = first.gap > second.gap
        first, second = (
            _choose_contact(first_is_shallower & (other.gap < first.gap), other, first),
            _choose_contact(~first_is_shallower & (other.gap < second.gap), other, second),
        )
    return first, second


def _side_contact(
    centre: Vector, axis: Vector, half_length: jax.Array, half: Vector, middle: Vector
) -> Contact:
    """The corner of a rectangle that is nearest to a capsule's axis, of those beside the axis."""
    best, side = jnp.full_like(centre.x, _FAR), jnp.ones_like(centre.x)
    corner = half
    for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        here = Vector(half.x * x, half.y * y)
        offset = (here - centre).into(axis)
        gap = jnp.where(jnp.abs(offset.x) <= half_length, jnp.abs(offset.y), _FAR)
        nearer = gap < best
        best = jnp.minimum(gap, best)
        side = jnp.where(nearer, offset.y, side)
        corner = choose(nearer, here, corner)
    return Contact(best, axis.left() * jnp.where(side > 0, -1.0, 1.0), corner + middle)


def _choose_contact(condition: jax.Array, yes: Contact, no: Contact) -> Contact:
    return Contact(
        jnp.where(condition, yes.gap, no.gap),
        choose(condition, yes.normal, no.normal),
        choose(condition, yes.point, no.point),
    )


def agent_gap(
    centre: Vector, axis: Vector, half_length: jax.Array, radius: jax.Array, shift: int
) -> tuple[jax.Array, Vector]:
    """Gap between each capsule and the one `shift` places further on, the last's next the first.

    Args:
        centre: ``[n]``, m.
        axis: unit vectors ``[n]``.
        half_length: ``[n]``, m.
        radius: ``[n]``, m.
        shift: 1 to n - 1.

    Returns:
        Gaps ``[n]`` in m, and unit vectors ``[n]`` to each capsule from its partner.
    """
    other_centre, other_axis = roll(centre, shift), roll(axis, shift)
    other_half = jnp.roll(half_length, -shift)
    between = centre - other_centre
    nearest = between
    best = jnp.full_like(centre.x, _FAR)
    for sign in (1.0, -1.0):
        # An end of one beside the axis of the other, and the other way round.
        reach = between + axis * (sign * half_length)
        along = jnp.clip(reach.dot(other_axis), -other_half, other_half)
        offset = reach - other_axis * along
        squared = offset.dot(offset)
        nearest, best = choose(squared < best, offset, nearest), jnp.minimum(squared, best)
        reach = between + other_axis * (sign * other_half)
        along = jnp.clip(reach.dot(axis), -half_length, half_length)
        offset = reach - axis * along
        squared = offset.dot(offset)
        nearest, best = choose(squared < best, offset, nearest), jnp.minimum(squared, best)
    distance = jnp.sqrt(jnp.maximum(best, 1e-12))
    return distance - radius - jnp.roll(radius, -shift), nearest * (1.0 / distance)
