"""The beta distribution for bounded continuous actions."""

from typing import Self

import chex
import jax
import jax.numpy as jnp
from flax import struct
from jax.scipy.special import betaln, digamma

from rljax.ops.distributions.base import Distribution

# Stored actions keep this distance from 0 and 1, where the density may be 0 or infinite.
_MARGIN = 1e-6
# Named, because the width of the noise depends on it: two words of key data per element.
_PRNG = "threefry2x32"


@struct.dataclass
class Beta(Distribution):
    """Independent beta dimensions on (0, 1) (Chou, Maturana & Scherer 2017).

    No mass is lost at the limits, unlike a clipped Gaussian's. A head that keeps both parameters
    above 1 (`1 + softplus`) gives one interior peak.

    Attributes:
      alpha: float [..., d], positive.
      beta: float [..., d], positive.
    """

    alpha: jax.Array
    beta: jax.Array

    @staticmethod
    def draw_noise(key: chex.PRNGKey, shape: tuple[int, ...], size: int) -> jax.Array:
        """One PRNG key per element, as data: uint32 [*shape, size, 2]; `size` is d.

        Beta samples come from rejection, which has no fixed number of uniforms to draw in advance;
        a key per element is the noise that can be.
        """
        return jax.random.bits(key, (*shape, size, 2), jnp.uint32)

    def sample(self, noise: jax.Array) -> jax.Array:
        """x in [1e-6, 1 - 1e-6], float [..., d]; each element depends on its own key only."""
        chex.assert_equal_shape([self.alpha, self.beta, noise[..., 0]])
        keys = jax.random.wrap_key_data(noise.reshape(-1, 2), impl=_PRNG)
        x = jax.vmap(jax.random.beta)(keys, self.alpha.ravel(), self.beta.ravel())
        return _inside(x.reshape(self.alpha.shape))

    def mode(self) -> jax.Array:
        """The peak where it is interior (both parameters above 1), else the mean."""
        interior = (self.alpha > 1.0) & (self.beta > 1.0)
        shift = jnp.where(interior, 1.0, 0.0)
        return _inside((self.alpha - shift) / (self.alpha + self.beta - 2.0 * shift))

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density [...] of x in (0, 1), not of its image in (-1, 1)."""
        chex.assert_equal_shape_suffix([self.alpha, action], 1)
        log_density = (self.alpha - 1.0) * jnp.log(action) + (self.beta - 1.0) * jnp.log1p(-action)
        return jnp.sum(log_density - betaln(self.alpha, self.beta), axis=-1)

    def entropy(self) -> jax.Array:
        """Differential entropy of x."""
        a, b = self.alpha, self.beta
        spread = (a + b - 2.0) * digamma(a + b) - (a - 1.0) * digamma(a) - (b - 1.0) * digamma(b)
        return jnp.sum(betaln(a, b) + spread, axis=-1)

    def kl(self, other: Self) -> jax.Array:
        """Closed form."""
        a, b = self.alpha, self.beta
        d_a, d_b = a - other.alpha, b - other.beta
        shift = d_a * digamma(a) + d_b * digamma(b) - (d_a + d_b) * digamma(a + b)
        return jnp.sum(betaln(other.alpha, other.beta) - betaln(a, b) + shift, axis=-1)

    def bounded(self, action: jax.Array) -> jax.Array:
        """`2 x - 1` of a stored action."""
        return 2.0 * action - 1.0


def _inside(x: jax.Array) -> jax.Array:
    return jnp.clip(x, _MARGIN, 1.0 - _MARGIN)
