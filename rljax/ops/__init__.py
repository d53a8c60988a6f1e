"""Pure functions on arrays: advantages, losses, distributions, normalisation, schedules.

`rljax.ops.gae` is the function.
"""

from rljax.ops import distributions, losses, normalisation, schedules, value_norm
from rljax.ops.distributions import (
    Beta,
    Categorical,
    Distribution,
    Gaussian,
    MultiCategorical,
    SquashedGaussian,
)
from rljax.ops.gae import gae
from rljax.ops.losses import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    clipped_value_loss,
    explained_variance,
    huber,
    value_loss,
)
from rljax.ops.normalisation import Moments
from rljax.ops.schedules import schedule
from rljax.ops.value_norm import ValueNorm

__all__ = [
    "Beta",
    "Categorical",
    "Distribution",
    "Gaussian",
    "Moments",
    "MultiCategorical",
    "SquashedGaussian",
    "ValueNorm",
    "approximate_kl",
    "clip_fraction",
    "clipped_surrogate",
    "clipped_value_loss",
    "distributions",
    "explained_variance",
    "gae",
    "huber",
    "losses",
    "normalisation",
    "schedule",
    "schedules",
    "value_loss",
    "value_norm",
]
