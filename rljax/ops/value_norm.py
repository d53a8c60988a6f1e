"""A critic's targets scaled by running statistics: the value normalisation of MAPPO and HARL.

An exponential average of mean and square, corrected for its start at zero (Yu et al. 2022,
arXiv:2103.01955, section 3, after van Hasselt et al. 2016; PopArt's correction of the last layer is
left out, as there).
"""

import jax
import jax.numpy as jnp
from flax import struct

_DECAY = 0.99999
_SMALLEST_WEIGHT = 1e-5
_SMALLEST_VARIANCE = 1e-2


@struct.dataclass
class ValueNorm:
    """Running statistics of value targets, float32 scalars.

    Attributes:
      mean: exponential average of the targets.
      square: that of their squares.
      weight: sum of the averages' weights, which tends to 1.
    """

    mean: jax.Array
    square: jax.Array
    weight: jax.Array


def init() -> ValueNorm:
    """Statistics of nothing. Scale is then the root of the smallest variance, 0.1."""
    return ValueNorm(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))


def update(norm: ValueNorm, mean: jax.Array, square: jax.Array) -> ValueNorm:
    """Statistics after another minibatch, of which `mean` and `square` (mean square) are given."""
    average = [
        _DECAY * old + (1.0 - _DECAY) * new
        for old, new in ((norm.mean, mean), (norm.square, square), (norm.weight, 1.0))
    ]
    return ValueNorm(*average)


def statistics(norm: ValueNorm) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation, float32 scalars."""
    weight = jnp.maximum(norm.weight, _SMALLEST_WEIGHT)
    mean = norm.mean / weight
    variance = jnp.maximum(norm.square / weight - jnp.square(mean), _SMALLEST_VARIANCE)
    return mean, jnp.sqrt(variance)


def normalise(norm: ValueNorm, values: jax.Array) -> jax.Array:
    """Values in the critic's units."""
    mean, std = statistics(norm)
    return (values - mean) / std


def denormalise(norm: ValueNorm, values: jax.Array) -> jax.Array:
    """A critic's outputs in units of the return."""
    mean, std = statistics(norm)
    return values * std + mean
