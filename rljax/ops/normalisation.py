"""Running mean and variance of a stream of pytrees, and scaling by them.

Observations are pytrees first: every function works leaf by leaf. Leaves that are not floating
point (action masks, indices, pixels) are nobody's statistics: they pass through untouched and have
placeholders (mean 0, variance 1, shape ()) in `Moments`, so that the tree structures agree.
"""

import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from flax import struct

# Samples are counted in whole blocks plus a remainder, see Moments.count.
_BLOCK = 2**20
# Added to variances: a feature that never varied is divided by 1e-4, not by 0.
_EPSILON = 1e-8


@struct.dataclass
class Moments:
    """Mean, variance and number of the samples seen so far.

    Attributes:
      mean: float32 tree, the shape of one sample.
      variance: float32 tree, same shapes; of the population (divided by n).
      count: float32 [2], `count[0] * 2**20 + count[1]` samples. One float32 would stall: at 1e12
        its spacing is 65536, so adding a batch of 1e3 changes nothing (from 1.7e10 on). Both words
        here are whole numbers below 2**24, which float32 adds exactly, up to 1.7e13 samples.
    """

    mean: chex.ArrayTree
    variance: chex.ArrayTree
    count: jax.Array

    def total(self) -> jax.Array:
        """Number of samples as one float32 scalar: right to 1e-7, not for adding to."""
        return self.count[0] * _BLOCK + self.count[1]


def init(example_tree: chex.ArrayTree) -> Moments:
    """Moments of nothing: mean 0, variance 1, count 0; normalising by them changes nothing.

    Args:
      example_tree: one sample without batch axes; arrays or `jax.ShapeDtypeStruct`s.
    """
    example = jax.eval_shape(lambda tree: tree, example_tree)
    return Moments(
        mean=jax.tree.map(lambda leaf: jnp.zeros(_shape(leaf), jnp.float32), example),
        variance=jax.tree.map(lambda leaf: jnp.ones(_shape(leaf), jnp.float32), example),
        count=_count(0),
    )


def from_batch(tree: chex.ArrayTree, axes: int) -> Moments:
    """Moments of one batch, in two passes (mean first, then squared distances from it).

    Args:
      tree: leaves of shape [*batch, *sample], the same `batch` in every leaf.
      axes: how many leading axes are `batch`; static, at least 1.
    """
    leaves = jax.tree.leaves(tree)
    chex.assert_equal_shape_prefix(leaves, axes)
    reduced = tuple(range(axes))

    def mean_of(leaf: jax.Array) -> jax.Array:
        if not _is_float(leaf):
            return jnp.zeros((), jnp.float32)
        return jnp.mean(leaf.astype(jnp.float32), axis=reduced)

    def variance_of(leaf: jax.Array, mean: jax.Array) -> jax.Array:
        if not _is_float(leaf):
            return jnp.ones((), jnp.float32)
        return jnp.mean(jnp.square(leaf.astype(jnp.float32) - mean), axis=reduced)

    mean = jax.tree.map(mean_of, tree)
    return Moments(
        mean=mean,
        variance=jax.tree.map(variance_of, tree, mean),
        count=_count(math.prod(leaves[0].shape[:axes])),
    )


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of both sets of samples together (Chan, Golub & LeVeque 1983).

    Equal to the moments of the whole data up to rounding, in whatever pieces it came. Once one
    batch is less than about 1e-7 of the total its pull on mean and variance falls below float32's
    spacing, and they stay as they are; the count goes on.
    """
    b_is_heavier = b.total() > a.total()
    heavy = jax.tree.map(lambda x, y: jnp.where(b_is_heavier, y, x), a, b)
    light = jax.tree.map(lambda x, y: jnp.where(b_is_heavier, x, y), a, b)
    share = light.total() / jnp.maximum(a.total() + b.total(), 1.0)

    # Heavy side plus a correction: where the two sides agree nothing moves. A weighted mean of the
    # sides, with a tiny share, creeps by a bit per merge unless the compiler fuses multiply-adds;
    # and with the light side as the start, a variance far below its own would cancel away.
    def mean_of(heavy_mean: jax.Array, light_mean: jax.Array) -> jax.Array:
        return heavy_mean + share * (light_mean - heavy_mean)

    def variance_of(
        heavy_variance: jax.Array,
        light_variance: jax.Array,
        heavy_mean: jax.Array,
        light_mean: jax.Array,
    ) -> jax.Array:
        between = (1.0 - share) * jnp.square(light_mean - heavy_mean)
        return heavy_variance + share * (light_variance - heavy_variance + between)

    return Moments(
        mean=jax.tree.map(mean_of, heavy.mean, light.mean),
        variance=jax.tree.map(variance_of, heavy.variance, light.variance, heavy.mean, light.mean),
        count=_add_counts(a.count, b.count),
    )


def merge_stacked(stacked: Moments) -> Moments:
    """Merge moments stacked along a leading axis (one row per shard), in the order of the rows.

    The order is fixed, so the result does not depend on how the rows lie on devices.
    """
    first = jax.tree.map(lambda leaf: leaf[0], stacked)
    rest = jax.tree.map(lambda leaf: leaf[1:], stacked)
    merged, _ = jax.lax.scan(lambda total, row: (merge(total, row), None), first, rest)
    return merged


def normalise(
    moments: Moments, x: chex.ArrayTree, clip: chex.Numeric | None = 10.0
) -> chex.ArrayTree:
    """`(x - mean) / std`, held within [-clip, clip] standard deviations; None does not clip.

    Args:
      moments: of samples shaped like `x` without its batch axes.
      x: leaves [..., *sample]. Leaves that are not floating point are returned as they are.
    """
    return _map_floats(lambda x, mean, std: _clip((x - mean) / std, clip), x, moments)


def denormalise(moments: Moments, x: chex.ArrayTree) -> chex.ArrayTree:
    """`x * std + mean`: undoes `normalise` where that did not clip."""
    return _map_floats(lambda x, mean, std: x * std + mean, x, moments)


def scale(moments: Moments, x: chex.ArrayTree, clip: chex.Numeric | None = 10.0) -> chex.ArrayTree:
    """`x / std` without centring, clipped like `normalise`.

    For rewards, with the moments of `discounted_return`: subtracting a mean from rewards would
    change which policy is best (it pays or fines every step alive), dividing them does not.
    """
    return _map_floats(lambda x, mean, std: _clip(x / std, clip), x, moments)


def discounted_return(
    previous: jax.Array, reward: jax.Array, ended: jax.Array, gamma: chex.Numeric
) -> tuple[jax.Array, jax.Array]:
    """One step of the running discounted sum of rewards, per environment.

    `value = gamma * previous + reward` is the number whose spread scales rewards (OpenAI
    Baselines' VecNormalize; Engstrom et al. 2020, arXiv:2005.12729). The sum starts again after
    the step that ends an episode, whose own reward still counts to the old one. The pair is what
    `jax.lax.scan` wants from its body: new carry, output.

    Args:
      previous: float [...], the carry after the step before (0 at the very start).
      reward: float [...], unscaled.
      ended: bool [...], `terminated | truncated` of this step.
      gamma: scalar discount.

    Returns:
      `(carry, value)`, float [...] each; `carry` is `value`, or 0 where the episode ended.
    """
    chex.assert_equal_shape([previous, reward, ended])
    chex.assert_type(ended, bool)
    value = gamma * previous + reward
    return jnp.where(ended, 0.0, value), value


def _is_float(leaf: jax.Array | jax.ShapeDtypeStruct) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _shape(leaf: jax.ShapeDtypeStruct) -> tuple[int, ...]:
    return leaf.shape if _is_float(leaf) else ()


def _map_floats(
    function: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
    x: chex.ArrayTree,
    moments: Moments,
) -> chex.ArrayTree:
    def leaf(x: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
        return function(x, mean, jnp.sqrt(variance + _EPSILON)) if _is_float(x) else x

    return jax.tree.map(leaf, x, moments.mean, moments.variance)


def _clip(x: jax.Array, clip: chex.Numeric | None) -> jax.Array:
    return x if clip is None else jnp.clip(x, -clip, clip)


def _count(samples: int) -> jax.Array:
    return jnp.asarray(divmod(samples, _BLOCK), jnp.float32)


def _add_counts(a: jax.Array, b: jax.Array) -> jax.Array:
    remainder = a[1] + b[1]
    blocks = jnp.floor(remainder / _BLOCK)
    return jnp.stack([a[0] + b[0] + blocks, remainder - blocks * _BLOCK])
