"""Gaussian action distributions, with and without a tanh."""

import math
from typing import Self

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rljax.ops.distributions.base import Distribution

_LOG_2PI = math.log(2.0 * math.pi)
_QUADRATURE_NODES = 16


@struct.dataclass
class Gaussian(Distribution):
    """Independent normal dimensions, unbounded.

    An environment with limits clips the action for itself; what is stored is the unclipped one,
    because that is what the density belongs to.

    Attributes:
      mean: float [..., d].
      log_std: float, broadcasts to `mean`: [..., d], or [d] if it does not depend on the state.
    """

    mean: jax.Array
    log_std: jax.Array

    @staticmethod
    def draw_noise(key: chex.PRNGKey, shape: tuple[int, ...], size: int) -> jax.Array:
        """Standard normal noise, float32 [*shape, size]; `size` is d."""
        return jax.random.normal(key, (*shape, size), jnp.float32)

    def sample(self, noise: jax.Array) -> jax.Array:
        """`mean + std * noise`, float [..., d]."""
        chex.assert_equal_shape_suffix([self.mean, noise], 1)
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> jax.Array:
        """The mean."""
        return self.mean

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density [...]."""
        chex.assert_equal_shape_suffix([self.mean, action], 1)
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return -jnp.sum(0.5 * jnp.square(z) + self.log_std + 0.5 * _LOG_2PI, axis=-1)

    def entropy(self) -> jax.Array:
        """`sum(log std + log(2 pi e) / 2)`."""
        log_std = jnp.broadcast_to(self.log_std, self.mean.shape)
        return jnp.sum(log_std + 0.5 * (1.0 + _LOG_2PI), axis=-1)

    def kl(self, other: Self) -> jax.Array:
        """Closed form."""
        log_ratio = self.log_std - other.log_std
        z = (self.mean - other.mean) * jnp.exp(-other.log_std)
        # expm1(2x) - 2x >= 0: no cancellation between two nearly equal distributions.
        return 0.5 * jnp.sum(jnp.expm1(2.0 * log_ratio) - 2.0 * log_ratio + jnp.square(z), axis=-1)


@struct.dataclass
class SquashedGaussian(Distribution):
    """`a = tanh(u)` with Gaussian u, on (-1, 1) per dimension.

    The stored action is u. From a stored a, u could not be recovered once tanh rounds to 1, and
    the ratio between two policies would be noise. All densities are those of a all the same.

    Attributes:
      mean: float [..., d], of u.
      log_std: float, broadcasts to `mean`, of u.
    """

    mean: jax.Array
    log_std: jax.Array

    @staticmethod
    def draw_noise(key: chex.PRNGKey, shape: tuple[int, ...], size: int) -> jax.Array:
        """Standard normal noise, float32 [*shape, size]; `size` is d."""
        return Gaussian.draw_noise(key, shape, size)

    def sample(self, noise: jax.Array) -> jax.Array:
        """u, float [..., d]."""
        return self._base().sample(noise)

    def mode(self) -> jax.Array:
        """The mean of u. Its tanh is the median of a (the density of a may peak elsewhere)."""
        return self.mean

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density [...] of `tanh(u)`, the Jacobian included; `action` is u."""
        return self._base().log_prob(action) - jnp.sum(_log_slope(action), axis=-1)

    def entropy(self) -> jax.Array:
        """Entropy of a: that of u plus E[log da/du], which has no closed form.

        The expectation is taken by Gauss-Hermite quadrature, so the entropy is deterministic and
        differentiable and costs no noise. Its error in nats per dimension is below 1e-4 for
        standard deviations of u up to 1, below 0.005 up to 2 and about 0.1 at 5.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(_QUADRATURE_NODES)
        nodes = nodes.astype(self.mean.dtype)
        weights = (weights / weights.sum()).astype(self.mean.dtype)
        std = jnp.broadcast_to(jnp.exp(self.log_std), self.mean.shape)
        u = self.mean[..., None] + std[..., None] * nodes
        return self._base().entropy() + jnp.sum(weights * _log_slope(u), axis=(-2, -1))

    def kl(self, other: Self) -> jax.Array:
        """That of the Gaussians: an invertible map changes no divergence."""
        return self._base().kl(other._base())

    def bounded(self, action: jax.Array) -> jax.Array:
        """tanh of a stored action; rounds to -1 and 1 themselves for |u| beyond about 9."""
        return jnp.tanh(action)

    def _base(self) -> Gaussian:
        return Gaussian(self.mean, self.log_std)


def _log_slope(u: jax.Array) -> jax.Array:
    """`log(1 - tanh(u)^2)` per element, without the cancellation; about -2 |u| far out."""
    return 2.0 * (math.log(2.0) - u - jax.nn.softplus(-2.0 * u))
