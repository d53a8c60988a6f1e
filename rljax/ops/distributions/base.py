"""What every action distribution can do."""

import abc
from typing import Self

import chex
import jax


class Distribution(abc.ABC):
    """A batch of action distributions; `[...]` below is its batch shape.

    Subclasses are frozen pytrees of parameters. Randomness comes in as *noise*, not as keys: a
    rollout draws the noise of all its steps at once, before its loop and before any parameter is
    known, and `sample` only transforms it.

    The action that `sample` returns is the one to store, and `log_prob` is a function of exactly
    that, so rollout and update evaluate the same expression. Where the support is bounded the
    class has a method `bounded(action)` that maps the stored action to [-1, 1] per dimension, for
    the environment's eyes only.
    """

    @staticmethod
    @abc.abstractmethod
    def draw_noise(key: chex.PRNGKey, shape: tuple[int, ...], size: int) -> jax.Array:
        """Noise for `shape` samples, independent of all parameters.

        Args:
          key: typed PRNG key, or raw uint32 key data.
          shape: leading axes, for instance (T, B).
          size: length of the parameters' last axis: the number of actions (`Categorical`), the sum
            of them (`MultiCategorical`), the number of action dimensions (the continuous ones).

        Returns:
          Noise [*shape, size], for `Beta` [*shape, size, 2]; a slice [...] of it goes to `sample`.
        """

    @abc.abstractmethod
    def sample(self, noise: jax.Array) -> jax.Array:
        """The action [...] or [..., d] that this noise stands for."""

    @abc.abstractmethod
    def mode(self) -> jax.Array:
        """The action of a deterministic policy, shaped like a sample."""

    @abc.abstractmethod
    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log probability or log density [...] of a stored action, summed over its dimensions."""

    @abc.abstractmethod
    def entropy(self) -> jax.Array:
        """Entropy [...] in nats, summed over action dimensions."""

    @abc.abstractmethod
    def kl(self, other: Self) -> jax.Array:
        """KL(self || other) [...] in nats, exact, against a distribution of the same class."""
