"""Schedules as pure functions of progress.

Each maps `progress` (the share of training done; clipped to [0, 1]) and `final_fraction` to a
factor that multiplies a base value: 1 at the start, `final_fraction` at the end (`constant` stays
at 1). Arguments may be traced, so neither a change of length nor of end point recompiles.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from rljax.core.errors import UserError, nearest

Schedule = Callable[[chex.Numeric, chex.Numeric], jax.Array]


def constant(progress: chex.Numeric, final_fraction: chex.Numeric = 1.0) -> jax.Array:
    """Factor 1 throughout; `final_fraction` is accepted and has no effect."""
    del final_fraction
    return jnp.ones_like(_clipped(progress))


def linear(progress: chex.Numeric, final_fraction: chex.Numeric = 0.0) -> jax.Array:
    """A straight line from 1 to `final_fraction`."""
    return _between(1.0 - _clipped(progress), final_fraction)


def cosine(progress: chex.Numeric, final_fraction: chex.Numeric = 0.0) -> jax.Array:
    """Half a cosine wave from 1 to `final_fraction` (Loshchilov & Hutter 2017, equation 5)."""
    return _between(0.5 * (1.0 + jnp.cos(jnp.pi * _clipped(progress))), final_fraction)


_SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}


def schedule(kind: str) -> Schedule:
    """The schedule of that name.

    Raises:
      UserError: there is none; the message lists all and names the nearest.
    """
    if kind in _SCHEDULES:
        return _SCHEDULES[kind]
    raise UserError(
        f"unknown schedule {kind!r}, expected one of {', '.join(_SCHEDULES)}."
        f"{nearest(kind, _SCHEDULES)}"
    )


def _clipped(progress: chex.Numeric) -> jax.Array:
    return jnp.clip(jnp.asarray(progress, jnp.float32), 0.0, 1.0)


def _between(remaining: jax.Array, final_fraction: chex.Numeric) -> jax.Array:
    return remaining + (1.0 - remaining) * final_fraction
