"""Static choices and traced hyperparameters of PPO."""

from __future__ import annotations

from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from flax import struct
from pydantic import Field

from rljax.core.config import Count, Fraction, NonNegative, Positive, config_dataclass

ADAPTIVE_RATES = (1e-5, 1e-2)
"""Learning rates that schedule adaptive_kl stays between (those of rsl_rl)."""


@config_dataclass
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017), with any kind of network."""

    rollout_length: Count = 128
    """Steps of each environment in one update (T)."""
    epochs: Count = 4
    """Passes over a rollout."""
    minibatches: Count = 4
    """Gradient steps in each pass."""
    accumulation: Count = 1
    """Parts that each minibatch's gradient is summed over, to save memory."""
    bptt_length: Count = 32
    """Steps that gradients flow back through in recurrent networks; divides rollout_length."""

    learning_rate: Positive = 2.5e-4
    """Adam's step size at the start."""
    schedule: Literal["constant", "linear", "cosine", "adaptive_kl"] = "constant"
    """Course of the learning rate over the run; adaptive_kl: by each minibatch's KL divergence."""
    final_fraction: Fraction = 0.0
    """Share of the learning rate that is left at the end of the schedule."""
    desired_kl: Positive = 0.01
    """With adaptive_kl: above twice this KL the learning rate falls, below half of it it rises."""
    adam_epsilon: Positive = 1e-5
    """Added to the root of Adam's second moment."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay (AdamW), scheduled with the learning rate."""
    max_grad_norm: Positive = 0.5
    """Global norm that gradients are clipped to."""

    gamma: Fraction = 0.99
    """Discount."""
    gae_lambda: Fraction = 0.95
    """Decay of generalised advantage estimation."""
    clip_epsilon: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Half width of the interval that probability ratios are clipped to."""
    value_clip: Positive | None = None
    """How far a value may move from its old one, in units of the return as the critic learns it
    (scaled, where rewards or values are); none: no clipping."""
    huber_delta: Positive | None = None
    """Error of a value beyond which its loss is straight rather than square; none: square."""
    value_coefficient: NonNegative = 0.5
    """Weight of the value loss."""
    entropy_coefficient: NonNegative = 0.0
    """Weight of the entropy bonus."""
    normalise_advantages: Literal["minibatch", "batch", "off"] = "minibatch"
    """Over what advantages are centred and scaled."""
    target_kl: Positive | None = None
    """The rest of an update is skipped once a minibatch's approximate KL exceeds this."""

    def __post_init__(self) -> None:
        ends = self.schedule in ("linear", "cosine")
        if not ends and self.final_fraction not in (0.0, 1.0):
            raise ValueError("final_fraction needs schedule linear or cosine")
        if not self.adaptive:
            return
        low, high = ADAPTIVE_RATES
        if not low <= self.learning_rate <= high:
            raise ValueError(
                f"schedule adaptive_kl keeps learning_rate from {low:g} to {high:g}, got "
                f"{self.learning_rate:g}"
            )
        if self.epochs * self.minibatches == 1:
            raise ValueError(
                "schedule adaptive_kl needs epochs or minibatches above 1: before the first "
                "gradient step of an update the KL is 0"
            )

    @property
    def adaptive(self) -> bool:
        """Whether the learning rate follows the KL divergence."""
        return self.schedule == "adaptive_kl"


class Hypers(struct.PyTreeNode):
    """Hyperparameters that are data of the compiled program: float32 scalars.

    They may differ between seeds and change during a run without compiling anew.  What only
    schedule adaptive_kl uses is None without it.
    """

    learning_rate: jax.Array
    final_fraction: jax.Array
    weight_decay: jax.Array
    max_grad_norm: jax.Array
    gamma: jax.Array
    gae_lambda: jax.Array
    clip_epsilon: jax.Array
    value_clip: jax.Array
    huber_delta: jax.Array
    value_coefficient: jax.Array
    entropy_coefficient: jax.Array
    target_kl: jax.Array
    desired_kl: jax.Array | None


def make_hypers(config: PPOConfig) -> Hypers:
    """Return a config's hyperparameters as arrays; options that are off become infinite."""
    values = {name: getattr(config, name) for name in Hypers.__dataclass_fields__}
    arrays = {name: jnp.float32(jnp.inf if v is None else v) for name, v in values.items()}
    return Hypers(**arrays | ({} if config.adaptive else {"desired_kl": None}))
