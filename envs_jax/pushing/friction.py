"""Friction of the object with the ground."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.pushing.geometry import Vector

_TINY = 1e-12


class Ground(NamedTuple):
    """What the object slides on: the ellipsoidal limit surface of its support; all scalars.

    Attributes:
        impulse: the largest frictional force times the step, N s.
        radius: c, the largest frictional moment over the largest frictional force, m.
        mass: of the object, kg.
        inertia: of the object, kg m^2.
    """

    impulse: jax.Array
    radius: jax.Array
    mass: jax.Array | float
    inertia: jax.Array | float


def slide(velocity: Vector, spin: jax.Array, ground: Ground) -> tuple[Vector, jax.Array]:
    """Velocity and spin after a step of friction with the ground alone.

    The frictional impulse and moment are ``-impulse (v, c^2 w) / s``, ``s^2 = v.v + c^2 w^2`` with
    the *new* velocity v and spin w, or whatever stops the body if less will do. With
    ``a = 1 / mass`` and ``b = c^2 / inertia`` this asks for the s > 0 with
    ``v0.v0 / (s + impulse a)^2 + c^2 w0^2 / (s + impulse b)^2 = 1``, if there is one. Newton's
    method on the reciprocal root of the left side is exact for a pure slide and a pure spin.

    Howe and Cutkosky, "Practical force-motion models for sliding manipulation" (1996).
    """
    slowed = ground.impulse / ground.mass
    turned = ground.impulse * ground.radius * ground.radius / ground.inertia
    linear, angular = velocity.dot(velocity), jnp.square(ground.radius * spin)
    speed = jnp.maximum(jnp.sqrt(linear) - slowed, jnp.sqrt(angular) - turned)
    speed = jnp.maximum(speed, 0.0)
    for _ in range(2):
        one, two = 1.0 / (speed + slowed + _TINY), 1.0 / (speed + turned + _TINY)
        from_linear, from_angular = linear * one * one, angular * two * two
        total = from_linear + from_angular + _TINY
        slope = from_linear * one + from_angular * two + _TINY
        speed = jnp.maximum(speed + (jnp.sqrt(total) - 1.0) * total / slope, 0.0)
    velocity = velocity * (speed / (speed + slowed + _TINY))
    return velocity, spin * (speed / (speed + turned + _TINY))
