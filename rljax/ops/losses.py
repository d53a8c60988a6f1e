"""Loss terms and diagnostics, element by element.

Nothing here takes a mean: the caller knows which elements are padding, how they are weighted and
over which devices they are reduced. All arguments are float arrays of one common shape unless said
otherwise, and so is every result.
"""

import chex
import jax
import jax.numpy as jnp


def clipped_surrogate(
    log_probs: jax.Array,
    old_log_probs: jax.Array,
    advantages: jax.Array,
    clip_epsilon: chex.Numeric,
) -> jax.Array:
    """PPO's policy loss, `-min(r A, clip(r, 1 - eps, 1 + eps) A)`, `r = exp(log_prob - old)`.

    Schulman et al. 2017 (arXiv:1707.06347), equation 7, negated so that it is minimised.
    """
    chex.assert_equal_shape([log_probs, old_log_probs, advantages])
    ratio = jnp.exp(log_probs - old_log_probs)
    clipped_ratio = jnp.clip(ratio, 1.0 - clip_epsilon, 1.0 + clip_epsilon)
    return -jnp.minimum(ratio * advantages, clipped_ratio * advantages)


def clip_fraction(
    log_probs: jax.Array, old_log_probs: jax.Array, clip_epsilon: chex.Numeric
) -> jax.Array:
    """1.0 where the probability ratio lies outside [1 - eps, 1 + eps], else 0.0."""
    chex.assert_equal_shape([log_probs, old_log_probs])
    deviation = jnp.abs(jnp.expm1(log_probs - old_log_probs))
    return (deviation > clip_epsilon).astype(log_probs.dtype)


def approximate_kl(log_probs: jax.Array, old_log_probs: jax.Array) -> jax.Array:
    """Estimate of KL(old || new) from actions drawn from the old policy; never negative.

    The estimator k3, `(r - 1) - log r`, of Schulman's "Approximating KL Divergence" (2020):
    unbiased, like `-log r`, and of much lower variance near zero.
    """
    chex.assert_equal_shape([log_probs, old_log_probs])
    log_ratio = log_probs - old_log_probs
    # The exact difference is >= 0; an expm1 that is one bit too low must not make it negative.
    return jnp.maximum(jnp.expm1(log_ratio) - log_ratio, 0.0)


def value_loss(
    values: jax.Array, returns: jax.Array, huber_delta: chex.Numeric | None = None
) -> jax.Array:
    """Half the squared error, `(V - R)^2 / 2`, or its `huber` if a delta is given."""
    chex.assert_equal_shape([values, returns])
    error = values - returns
    return 0.5 * jnp.square(error) if huber_delta is None else huber(error, huber_delta)


def clipped_value_loss(
    values: jax.Array,
    old_values: jax.Array,
    returns: jax.Array,
    clip: chex.Numeric,
    huber_delta: chex.Numeric | None = None,
) -> jax.Array:
    """The larger of `value_loss` at V and at V held within `clip` of the old prediction.

    The value clipping of OpenAI Baselines' PPO2; `clip` is in units of the return.
    """
    chex.assert_equal_shape([values, old_values, returns])
    held_values = old_values + jnp.clip(values - old_values, -clip, clip)
    free, held = (value_loss(v, returns, huber_delta) for v in (values, held_values))
    return jnp.maximum(free, held)


def huber(x: jax.Array, delta: chex.Numeric) -> jax.Array:
    """`x^2 / 2` up to `|x| = delta > 0`, straight with slope `delta` beyond (Huber 1964)."""
    magnitude = jnp.abs(x)
    quadratic = jnp.minimum(magnitude, delta)
    return 0.5 * jnp.square(quadratic) + delta * (magnitude - quadratic)


def explained_variance(residual_variance: jax.Array, return_variance: jax.Array) -> jax.Array:
    """`1 - Var(R - V) / Var(R)`: 1 is a perfect critic, 0 one that knows only the mean.

    It takes variances, not samples, so that the caller can reduce them over devices first. Where
    all returns are equal there is nothing to explain and the answer is defined as 0.
    """
    chex.assert_equal_shape([residual_variance, return_variance])
    varies = return_variance > 0.0
    ratio = residual_variance / jnp.where(varies, return_variance, 1.0)
    return jnp.where(varies, 1.0 - ratio, 0.0)
