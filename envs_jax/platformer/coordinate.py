"""Lengths that are known better than float32 does.

A ninja that is wedged in is pushed to and fro by ever less, and by how often decides what counts as
its floor: distances must be right to 1e-8 px. So a position is the sum of a coarse part, a multiple
of 1/16 px, and a small rest. Products of coarse parts are exact, and so is what they differ by from
the square of the ninja's radius.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Coordinate", "coordinate"]

_GRID = 16.0  # coarse parts of positions, in 1 / px


class Coordinate(NamedTuple):
    """A length in px: the sum of a multiple of 1/16 px and a rest of 1/32 px at most."""

    coarse: jax.Array
    rest: jax.Array

    @property
    def value(self) -> jax.Array:
        """The sum, rounded."""
        return self.coarse + self.rest

    def plus(self, other: jax.Array) -> Coordinate:
        """The sum with what is not too large (a few px)."""
        rest = self.rest + other
        coarse = jnp.round(rest * _GRID) / _GRID
        return Coordinate(self.coarse + coarse, rest - coarse)

    def minus(self, coarse: jax.Array | float) -> Coordinate:
        """The difference to a whole number of px."""
        return Coordinate(self.coarse - coarse, self.rest)

    def where(self, condition: jax.Array) -> Coordinate:
        """Zero where the condition does not hold."""
        return Coordinate(
            jnp.where(condition, self.coarse, 0.0), jnp.where(condition, self.rest, 0.0)
        )

    def mirrored(self, condition: jax.Array, length: float) -> Coordinate:
        """Counted back from a whole number of px where the condition holds."""
        return Coordinate(
            jnp.where(condition, length - self.coarse, self.coarse),
            jnp.where(condition, -self.rest, self.rest),
        )


def coordinate(coarse: jax.Array, rest: jax.Array) -> Coordinate:
    """From any number of px and a rest."""
    rounded = jnp.round(coarse * _GRID) / _GRID
    return Coordinate(rounded, coarse - rounded).plus(rest)
