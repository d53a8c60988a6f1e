"""How particles move: pushed, slowed down and kept apart. No learning in here."""

import jax
import jax.numpy as jnp

__all__ = ["between", "contact_forces", "integrate", "lengths", "steer"]

_SHORTEST = 1e-6
"""Lengths below this count as this, m: what coincides is pushed nowhere, instead of to NaN."""


def steer(weights: jax.Array) -> jax.Array:
    """Direction of a move from the weights of (none, left, right, down, up), ``[..., 5]``.

    Returns:
        ``[..., 2]``, x to the right and y up.
    """
    return weights[..., 2::2] - weights[..., 1::2]


def between(origins: jax.Array, points: jax.Array) -> jax.Array:
    """Vectors from each of `origins` ``[N, 2]`` to each of `points` ``[M, 2]``: ``[N, M, 2]``."""
    return points[None] - origins[:, None]


def lengths(vectors: jax.Array) -> jax.Array:
    """Lengths of vectors ``[..., 2]``, at least a micrometre and so with a finite gradient."""
    return jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(vectors), axis=-1), _SHORTEST**2))


def contact_forces(
    position: jax.Array,
    radius: float | jax.Array,
    stiffness: float | jax.Array,
    margin: float | jax.Array,
) -> jax.Array:
    """Forces that keep discs apart, the sum over all pairs.

    Two discs whose centres are d apart repel each other by
    ``stiffness * margin * log(1 + exp((2 radius - d) / margin))``: a spring that sets in softly.

    Args:
        position: of the centres, ``[N, 2]``.
        radius: of every disc, m.
        stiffness: N / m.
        margin: over which the spring sets in, m.

    Returns:
        ``[N, 2]``, N.
    """
    number = position.shape[0]
    force = jnp.zeros_like(position)
    # Around a ring: agent i meets agent i + step. So each pair is met once, at less than half the
    # cost of a table of all pairs, and action and reaction are the same number.
    for step in range(1, number // 2 + 1):
        vectors = jnp.roll(position, -step, axis=0) - position
        distance = lengths(vectors)
        repulsion = stiffness * margin * jax.nn.softplus((2 * radius - distance) / margin)
        push = (repulsion / distance)[:, None] * vectors
        force -= push
        if 2 * step != number:  # half-way around an even ring, everybody is met from both sides
            force += jnp.roll(push, step, axis=0)
    return force


def integrate(
    position: jax.Array,
    velocity: jax.Array,
    force: jax.Array,
    mass: float | jax.Array,
    damping: float | jax.Array,
    dt: float | jax.Array,
    velocity_first: bool,
) -> tuple[jax.Array, jax.Array]:
    """One step of Euler's method: ``v' = (1 - damping) v + force / mass dt``.

    Args:
        position: ``[N, 2]``, m.
        velocity: ``[N, 2]``, m / s.
        force: ``[N, 2]``, N.
        mass: kg.
        damping: share of the velocity that a step takes away.
        dt: length of the step, s.
        velocity_first: move by the new velocity (semi-implicit) instead of by the old one.

    Returns:
        Position and velocity after the step.
    """
    faster = (1 - damping) * velocity + force / mass * dt
    return position + (faster if velocity_first else velocity) * dt, faster
