"""Distributions over discrete actions."""

import functools
import operator
from typing import Self

import chex
import jax
import jax.numpy as jnp
from flax import struct

from rljax.ops.distributions.base import Distribution

# The logit of a forbidden action: no Gumbel noise lifts it to the top, its probability is exactly
# 0, and, unlike -inf, it gives no NaN as 0 * logit; sums over many heads do not overflow float32.
_FORBIDDEN = -1e30


@struct.dataclass
class Categorical(Distribution):
    """One choice out of n; `logits` float [..., n], actions int32 [...] in [0, n)."""

    logits: jax.Array

    @classmethod
    def masked(cls, logits: jax.Array, mask: jax.Array) -> Self:
        """The distribution over the allowed actions only.

        Args:
          logits: float [..., n].
          mask: bool [..., n], True where the action is allowed. A row that allows nothing is taken
            as one that allows everything: padded agents and dead states must not make NaNs.
        """
        return cls(_forbid(logits, mask))

    @staticmethod
    def draw_noise(key: chex.PRNGKey, shape: tuple[int, ...], size: int) -> jax.Array:
        """Standard Gumbel noise, float32 [*shape, size]; `size` is the number of actions."""
        return jax.random.gumbel(key, (*shape, size), jnp.float32)

    def sample(self, noise: jax.Array) -> jax.Array:
        """The Gumbel-max trick: the index of the largest `logits + noise`."""
        chex.assert_equal_shape_suffix([self.logits, noise], 1)
        return jnp.argmax(self.logits + noise, axis=-1).astype(jnp.int32)

    def mode(self) -> jax.Array:
        """The most probable action; the first of them if several tie."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log probability [...]; NaN for an action outside [0, n), so that a mix-up shows."""
        n = self.logits.shape[-1]
        # A select and a sum, not a gather: its gradient is no scatter, and deterministic on a GPU.
        chosen = jnp.arange(n) == action[..., None]
        log_prob = jnp.sum(jnp.where(chosen, self._log_probs(), 0.0), axis=-1)
        return jnp.where((action >= 0) & (action < n), log_prob, jnp.nan)

    def entropy(self) -> jax.Array:
        """`-sum p log p`; forbidden actions contribute exactly 0."""
        log_probs = self._log_probs()
        return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)

    def kl(self, other: Self) -> jax.Array:
        """Exact; about 1e30 where `other` forbids what `self` may do."""
        log_probs = self._log_probs()
        return jnp.sum(jnp.exp(log_probs) * (log_probs - other._log_probs()), axis=-1)

    def _log_probs(self) -> jax.Array:
        return jax.nn.log_softmax(self.logits)


@struct.dataclass
class MultiCategorical(Distribution):
    """Several independent choices at once.

    Attributes:
      logits: float [..., sum(sizes)], the logits of all choices one after the other.
      sizes: static, the number of actions of each choice. Actions are int32 [..., len(sizes)].
    """

    logits: jax.Array
    sizes: tuple[int, ...] = struct.field(pytree_node=False)

    @classmethod
    def masked(cls, logits: jax.Array, sizes: tuple[int, ...], mask: jax.Array) -> Self:
        """As `Categorical.masked`, choice by choice; `mask` bool [..., sum(sizes)]."""
        pairs = zip(_split(logits, sizes), _split(mask, sizes), strict=True)
        return cls(jnp.concatenate([_forbid(*pair) for pair in pairs], axis=-1), sizes)

    @staticmethod
    def draw_noise(key: chex.PRNGKey, shape: tuple[int, ...], size: int) -> jax.Array:
        """Standard Gumbel noise, float32 [*shape, size]; `size` is `sum(sizes)`."""
        return Categorical.draw_noise(key, shape, size)

    def sample(self, noise: jax.Array) -> jax.Array:
        """One action per choice, int32 [..., len(sizes)]."""
        pairs = zip(self._choices(), _split(noise, self.sizes), strict=True)
        return jnp.stack([choice.sample(part) for choice, part in pairs], axis=-1)

    def mode(self) -> jax.Array:
        """The most probable action of each choice."""
        return jnp.stack([choice.mode() for choice in self._choices()], axis=-1)

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Sum of the choices' log probabilities; NaN if one is out of its range."""
        chex.assert_axis_dimension(action, -1, len(self.sizes))
        return _sum([choice.log_prob(action[..., i]) for i, choice in enumerate(self._choices())])

    def entropy(self) -> jax.Array:
        """Sum of the choices' entropies: they are independent."""
        return _sum([choice.entropy() for choice in self._choices()])

    def kl(self, other: Self) -> jax.Array:
        """Sum of the choices' divergences: they are independent."""
        return _sum([p.kl(q) for p, q in zip(self._choices(), other._choices(), strict=True)])

    def _choices(self) -> list[Categorical]:
        return [Categorical(part) for part in _split(self.logits, self.sizes)]


def _forbid(logits: jax.Array, mask: jax.Array) -> jax.Array:
    chex.assert_equal_shape_suffix([logits, mask], 1)
    chex.assert_type(mask, bool)
    allowed = mask | ~jnp.any(mask, axis=-1, keepdims=True)
    # float16 could not hold the constant.
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    return jnp.where(allowed, logits, _FORBIDDEN)


def _sum(terms: list[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, terms)


def _split(array: jax.Array, sizes: tuple[int, ...]) -> list[jax.Array]:
    if array.shape[-1] != sum(sizes):
        raise ValueError(
            f"last axis has length {array.shape[-1]}, expected {sum(sizes)} = sum of sizes {sizes}"
        )
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [array[..., end - size : end] for end, size in zip(ends, sizes, strict=True)]
