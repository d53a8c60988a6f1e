"""Plane vectors by component, and the distance from a point to a rectangle.

Components are arrays of their own because a batch of worlds is then arithmetic on whole arrays;
vectors as a last axis of two would be read and written with gaps.
"""

import jax
import jax.numpy as jnp
from flax import struct

_TINY = 1e-12  # keeps square roots and quotients finite, far below any length that matters


@struct.dataclass
class Vector:
    """A vector (or any number of them) in the plane: `x` and `y` have one shape."""

    x: jax.Array
    y: jax.Array

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x, self.y + other.y)

    def __sub__(self, other: "Vector") -> "Vector":
        return Vector(self.x - other.x, self.y - other.y)

    def __mul__(self, factor: jax.Array | float) -> "Vector":
        return Vector(self.x * factor, self.y * factor)

    def dot(self, other: "Vector") -> jax.Array:
        """Inner product."""
        return self.x * other.x + self.y * other.y

    def cross(self, other: "Vector") -> jax.Array:
        """The third component of the outer product: a moment, if `self` is the arm."""
        return self.x * other.y - self.y * other.x

    def left(self) -> "Vector":
        """Turned by a quarter to the left; times a yaw rate, the speed of a point at `self`."""
        return Vector(-self.y, self.x)

    def length(self) -> jax.Array:
        """Euclidean length."""
        return jnp.sqrt(self.dot(self))

    def into(self, heading: "Vector") -> "Vector":
        """Components of `self` in the frame whose first axis is the unit vector `heading`."""
        return Vector(self.dot(heading), heading.cross(self))

    def out_of(self, heading: "Vector") -> "Vector":
        """The inverse of `into`: from the frame of `heading` to that in which it is given."""
        return heading * self.x + heading.left() * self.y

    def __getitem__(self, index: int) -> "Vector":
        return Vector(self.x[index], self.y[index])


@struct.dataclass
class Bodies:
    """One body, or any number of them.

    Attributes:
        position: of the centre, m.
        yaw: rad, not wrapped.
        velocity: m/s. The object's along the world's axes, an agent's along its own.
        spin: yaw rate, rad/s.
    """

    position: Vector
    yaw: jax.Array
    velocity: Vector
    spin: jax.Array


def heading(yaw: jax.Array) -> Vector:
    """Unit vector at the angle `yaw`, in rad."""
    cosine, sine = jnp.cos(yaw), jnp.sin(yaw)
    # One but for rounding. XLA computes sines anew in every kernel that uses one, quotients never.
    norm = jnp.sqrt(cosine * cosine + sine * sine)
    return Vector(cosine / norm, sine / norm)


def roll(vectors: Vector, shift: int) -> Vector:
    """Entry i becomes what entry ``i + shift`` was, counted round the end."""
    return Vector(jnp.roll(vectors.x, -shift), jnp.roll(vectors.y, -shift))


def choose(condition: jax.Array, yes: Vector, no: Vector) -> Vector:
    """`yes` where the condition holds, else `no`."""
    return Vector(jnp.where(condition, yes.x, no.x), jnp.where(condition, yes.y, no.y))


def rectangle_face(offset: Vector, half: Vector) -> tuple[Vector, jax.Array]:
    """The face of a rectangle that a point is in front of.

    Args:
        offset: the point, from the rectangle's centre and along its axes, in m.
        half: half the sides, in m.

    Returns:
        The outward unit normal of the face whose line the point is furthest beyond (or least
        behind), and that distance in m, negative inside. Beyond a corner both of its faces are
        equally near; this is the one that faces the point more.
    """
    beyond_x, beyond_y = jnp.abs(offset.x) - half.x, jnp.abs(offset.y) - half.y
    sideways = beyond_x > beyond_y
    normal = Vector(
        jnp.where(sideways, jnp.where(offset.x < 0, -1.0, 1.0), 0.0),
        jnp.where(sideways, 0.0, jnp.where(offset.y < 0, -1.0, 1.0)),
    )
    return normal, jnp.maximum(beyond_x, beyond_y)


def rectangle_distance(offset: Vector, half: Vector) -> tuple[jax.Array, Vector]:
    """Signed distance from a rectangle, negative inside, and the unit vector away from it.

    Args:
        offset: a point, from the rectangle's centre and along its axes, in m.
        half: half the sides, in m. May be zero: the distance from a point.
    """
    face, depth = rectangle_face(offset, half)
    beside = Vector(
        offset.x - jnp.clip(offset.x, -half.x, half.x),
        offset.y - jnp.clip(offset.y, -half.y, half.y),
    )
    outside = beside.length()
    is_inside = outside < _TINY
    away = beside * (1.0 / jnp.maximum(outside, _TINY))
    return jnp.where(is_inside, depth, outside), choose(is_inside, face, away)
