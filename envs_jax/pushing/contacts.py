"""Where robots touch the object, and each other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.pushing.geometry import Vector, choose, rectangle_distance, roll

_FAR = 1e3  # m, the gap of a contact that there is not
_TINY = 1e-12  # m^2


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


class Neighbour(NamedTuple):
    """Each agent's possible contact with another agent; all leaves but the first ``[n]``.

    Attributes:
        shift: how many places further on the other is, counted round the end.
        gap: between the capsules in m, negative where they overlap.
        away: unit vector to the agent from the other.
        arm: the point of the agent's axis that is nearest moves along `away` by this, in m, times
            the agent's spin.
        other_arm: the same of the other.
    """

    shift: int
    gap: jax.Array
    away: Vector
    arm: jax.Array
    other_arm: jax.Array


def object_contacts(
    centre: Vector,
    axis: Vector,
    half_length: jax.Array,
    radius: jax.Array,
    rectangles: jax.Array,
    rounding: jax.Array | float,
) -> list[Contact]:
    """The two deepest contacts of each capsule with every rectangle of the object.

    A capsule touches a convex shape with its ends, or with its side at a corner of the shape. Two
    such points at once are enough to lie flat against an edge.

    Args:
        centre: of the capsules ``[n]``, in the object's frame, m.
        axis: their unit vectors ``[n]``, in the object's frame.
        half_length: ``[n]``, from the centre to that of an end's circle, m.
        radius: ``[n]``, m.
        rectangles: ``[k, 4]``, of the object, m.
        rounding: of the object, m.

    Returns:
        ``2 k`` contacts.
    """
    contacts = []
    for k in range(rectangles.shape[0]):
        middle = Vector(rectangles[k, 0], rectangles[k, 1])
        half = Vector(rectangles[k, 2], rectangles[k, 3])
        offset = centre - middle
        first = _end_contact(offset + axis * half_length, half)
        second = _end_contact(offset - axis * half_length, half)
        side = _side_contact(offset, axis, half_length, half)
        # The side takes the place of the end that is further away, if it is nearer than that.
        first_is_further = first.gap > second.gap
        pair = (
            _choose_contact(first_is_further & (side.gap < first.gap), side, first),
            _choose_contact(~first_is_further & (side.gap < second.gap), side, second),
        )
        for gap, normal, point in pair:
            surface = middle + point + normal * rounding
            contacts.append(Contact(gap - radius - rounding, normal, surface))
    return contacts


def _end_contact(end: Vector, half: Vector) -> Contact:
    """Of a capsule's end with a rectangle; radius and rounding left out."""
    distance, normal = rectangle_distance(end, half)
    return Contact(distance, normal, end - normal * distance)


def _side_contact(centre: Vector, axis: Vector, half_length: jax.Array, half: Vector) -> Contact:
    """Of a capsule's axis with the corner nearest to it of those beside it; see `_end_contact`."""
    nearest, side, point = jnp.full_like(centre.x, _FAR), jnp.ones_like(centre.x), half
    for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        corner = Vector(half.x * x, half.y * y)
        offset = (corner - centre).into(axis)
        gap = jnp.where(jnp.abs(offset.x) <= half_length, jnp.abs(offset.y), _FAR)
        is_nearer = gap < nearest
        nearest = jnp.minimum(gap, nearest)
        side = jnp.where(is_nearer, offset.y, side)
        point = choose(is_nearer, corner, point)
    return Contact(nearest, axis.left() * jnp.where(side > 0, -1.0, 1.0), point)


def _choose_contact(condition: jax.Array, yes: Contact, no: Contact) -> Contact:
    return Contact(
        jnp.where(condition, yes.gap, no.gap),
        choose(condition, yes.normal, no.normal),
        choose(condition, yes.point, no.point),
    )


def agent_gap(
    centre: Vector, axis: Vector, half_length: jax.Array, radius: jax.Array, shift: int
) -> Neighbour:
    """Between each capsule and the one `shift` places further on, counted round the end.

    Args:
        centre: ``[n]``, m.
        axis: unit vectors ``[n]``.
        half_length: ``[n]``, m.
        radius: ``[n]``, m.
        shift: 1 to n - 1.
    """
    other_centre, other_axis = roll(centre, shift), roll(axis, shift)
    other_half = jnp.roll(half_length, -shift)
    between = centre - other_centre
    nearest, best = between, jnp.full_like(centre.x, _FAR)
    place = other_place = jnp.zeros_like(centre.x)
    for sign in (1.0, -1.0):
        # An end of this one beside the axis of the other.
        reach = between + axis * (sign * half_length)
        share = jnp.clip(reach.dot(other_axis), -other_half, other_half)
        offset = reach - other_axis * share
        is_nearer = offset.dot(offset) < best
        nearest, best = choose(is_nearer, offset, nearest), jnp.minimum(best, offset.dot(offset))
        place = jnp.where(is_nearer, sign * half_length, place)
        other_place = jnp.where(is_nearer, share, other_place)
        # An end of the other beside the axis of this one.
        reach = between - other_axis * (sign * other_half)
        share = jnp.clip(-reach.dot(axis), -half_length, half_length)
        offset = reach + axis * share
        is_nearer = offset.dot(offset) < best
        nearest, best = choose(is_nearer, offset, nearest), jnp.minimum(best, offset.dot(offset))
        place = jnp.where(is_nearer, share, place)
        other_place = jnp.where(is_nearer, sign * other_half, other_place)
    # Axes that cross, which only a reset can bring about, part along the line of the centres.
    slant = jnp.abs(axis.cross(other_axis))
    crosses = jnp.abs(between.cross(other_axis)) < half_length * slant
    crosses &= jnp.abs(between.cross(axis)) < other_half * slant
    length = jnp.sqrt(jnp.where(crosses, between.dot(between), best) + _TINY)
    away = choose(crosses, between, nearest) * (1.0 / length)
    return Neighbour(
        shift,
        jnp.where(crosses, 0.0, length) - radius - jnp.roll(radius, -shift),
        away,
        away.dot(axis.left()) * place,
        away.dot(other_axis.left()) * other_place,
    )
