"""Action distributions: pytrees of parameters, batch axes leading, fed with noise, not keys."""

from rljax.ops.distributions.base import Distribution
from rljax.ops.distributions.beta import Beta
from rljax.ops.distributions.categorical import Categorical, MultiCategorical
from rljax.ops.distributions.gaussian import Gaussian, SquashedGaussian

__all__ = [
    "Beta",
    "Categorical",
    "Distribution",
    "Gaussian",
    "MultiCategorical",
    "SquashedGaussian",
]
