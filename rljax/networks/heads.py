"""From features to action distributions, and from stored actions to the environment's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax import spaces
from rljax.core.errors import UserError
from rljax.networks.config import NetworkConfig
from rljax.ops import Beta, Categorical, Distribution, Gaussian, MultiCategorical, SquashedGaussian

_CONTINUOUS: dict[str, type[Distribution]] = {
    "gaussian": Gaussian,
    "squashed_gaussian": SquashedGaussian,
    "beta": Beta,
}


@dataclass(frozen=True)
class ActionHead:
    """How the numbers that a network puts out become a distribution over a space's actions.

    Attributes:
        kind: categorical, multi_categorical, gaussian, squashed_gaussian or beta.
        size: number of logits or of action dimensions.
        sizes: the choices of a multi-categorical.
        shape: shape of one action of the environment.
        low, high: bounds of a continuous space, flattened; infinite where there is none.
        std: learned, capped, fixed or state.
        initial_std: standard deviation at the start.
        max_std: what a capped one stays below.
        scaled: whether -1 to 1 is stretched over the bounds.
    """

    kind: str
    size: int
    sizes: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    std: str = "learned"
    initial_std: float = 1.0
    max_std: float = math.inf
    scaled: bool = True

    @property
    def num_outputs(self) -> int:
        """How many numbers the network puts out for each action."""
        two = self.kind == "beta" or (self.has_std and self.std == "state")
        return 2 * self.size if two else self.size

    @property
    def has_std(self) -> bool:
        """Whether the distribution has a standard deviation."""
        return self.kind in ("gaussian", "squashed_gaussian")

    def distribution(
        self, outputs: jax.Array, log_std: jax.Array | None, mask: jax.Array | None
    ) -> Distribution:
        """Return the distribution.

        Args:
            outputs: float32 [..., num_outputs].
            log_std: float32 [size], of a learned or fixed standard deviation.
            mask: bool [..., size] of allowed actions, or None.
        """
        if self.kind == "categorical":
            return Categorical(outputs) if mask is None else Categorical.masked(outputs, mask)
        if self.kind == "multi_categorical":
            if mask is None:
                return MultiCategorical(outputs, self.sizes)
            return MultiCategorical.masked(outputs, self.sizes, mask)
        if self.kind == "beta":
            alpha, beta = jnp.split(1.0 + jax.nn.softplus(outputs), 2, -1)
            return Beta(alpha, beta)
        if self.std == "state":
            outputs, free = jnp.split(outputs, 2, -1)
            log_std = jnp.clip(math.log(self.initial_std) + free, -5.0, 2.0)
        assert log_std is not None
        maker = Gaussian if self.kind == "gaussian" else SquashedGaussian
        return maker(outputs, log_std)

    @property
    def std_parameter(self) -> float | None:
        """Start of the parameter that the standard deviation is made of; None if there is none."""
        if not self.has_std or self.std not in ("learned", "capped"):
            return None
        if self.std == "capped":  # inverse of the sigmoid below
            return math.log(self.initial_std / (self.max_std - self.initial_std))
        return math.log(self.initial_std)

    def log_std(self, parameter: jax.Array | None) -> jax.Array | None:
        """Return the logarithm of a standard deviation that no network puts out, float32 [size].

        Args:
            parameter: float32 [size], if :attr:`std_parameter` is there.
        """
        if parameter is None:
            fixed = self.has_std and self.std == "fixed"
            return jnp.full((self.size,), math.log(self.initial_std)) if fixed else None
        if self.std == "capped":
            return math.log(self.max_std) + jax.nn.log_sigmoid(parameter)
        return parameter

    def draw_noise(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return the noise of ``shape`` samples, see :class:`Distribution`."""
        if self.kind in _CONTINUOUS:
            return _CONTINUOUS[self.kind].draw_noise(key, shape, self.size)
        return Categorical.draw_noise(key, shape, self.size)

    def to_environment(self, distribution: Distribution, action: jax.Array) -> jax.Array:
        """Map a stored action to one that the environment takes.

        A bounded dimension's [-1, 1] is stretched over its range if ``scaled``; a Gaussian's action
        is clipped to it here and only here, the stored one is not.  Where a bound is infinite, the
        other one clips.
        """
        if self.kind not in _CONTINUOUS:
            return action
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        if not self.scaled:
            return jnp.clip(action, low, high).reshape((*action.shape[:-1], *self.shape))
        bounded = np.isfinite(low) & np.isfinite(high)
        first, last = np.where(bounded, low, -1), np.where(bounded, high, 1)
        unit = distribution.bounded(action) if hasattr(distribution, "bounded") else action
        scaled = first + (jnp.clip(unit, -1, 1) + 1) / 2 * (last - first)
        chosen = jnp.where(bounded, scaled, jnp.clip(unit, low, high))
        return chosen.reshape((*action.shape[:-1], *self.shape))


def make_head(space: Any, config: NetworkConfig) -> ActionHead:
    """Return the head for an action space.

    Raises:
        UserError: for a bounded distribution on a space without bounds.
    """
    kind = spaces.action_kind(space)
    size = spaces.flat_size(space)
    if kind == "discrete":
        return ActionHead("categorical", size)
    if kind == "multi_discrete":
        return ActionHead("multi_categorical", size, sizes=space.sizes)
    low, high = (bound.ravel() for bound in spaces.bounds(space))
    name = "gaussian" if config.distribution == "auto" else config.distribution
    if name != "gaussian" and not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UserError(
            f"network.distribution: {name} needs a bounded action space, got {space}. "
            "Choose gaussian."
        )
    return ActionHead(
        name,
        size,
        shape=tuple(space.shape),
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
        std=config.std,
        initial_std=config.initial_std,
        max_std=config.max_std,
        scaled=config.scale_actions,
    )
