"""Moments against NumPy on the whole data, in pieces, in any order, and when counts are huge."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.ops import normalisation
from rljax.ops.normalisation import Moments


def observations(seed, *shape):
    rng = np.random.default_rng(seed)
    return {
        "position": (5.0 + 3.0 * rng.normal(size=(*shape, 3))).astype(np.float32),
        "speed": (0.01 * rng.normal(size=shape) - 40.0).astype(np.float32),
        "action_mask": rng.random((*shape, 4)) < 0.5,
        "goal": rng.integers(0, 9, shape).astype(np.int32),
    }


def assert_moments_of(moments, data, samples):
    for name in ("position", "speed"):
        flat = data[name].reshape(samples, *data[name].shape[2:]).astype(np.float64)
        np.testing.assert_allclose(moments.mean[name], flat.mean(0), rtol=1e-5)
        np.testing.assert_allclose(moments.variance[name], flat.var(0), rtol=1e-3)
    assert moments.total() == samples


def test_from_batch_over_time_and_environments():
    data = observations(0, 20, 30)
    assert_moments_of(normalisation.from_batch(data, 2), data, 600)
    per_environment = jax.vmap(lambda tree: normalisation.from_batch(tree, 1), 1)(data)
    chex.assert_shape(per_environment.mean["position"], (30, 3))


@pytest.mark.parametrize("pieces", [[600], [1, 599], [599, 1], [7, 593], [200] * 3])
def test_pieces_merge_to_the_whole(pieces):
    data = observations(1, 600, 1)
    moments = normalisation.init(jax.tree.map(lambda leaf: leaf[0, 0], data))
    ends = np.cumsum(pieces)
    for start, end in zip(ends - pieces, ends, strict=True):
        piece = jax.tree.map(lambda leaf, s=start, e=end: leaf[s:e], data)
        batch = jax.jit(normalisation.from_batch, static_argnums=1)(piece, 2)
        moments = jax.jit(normalisation.merge)(moments, batch)
    assert_moments_of(moments, data, 600)


def test_merge_is_symmetric():
    a, b = (normalisation.from_batch(np.float32(10 + s * np.arange(9 * s)), 1) for s in (1, 3))
    chex.assert_trees_all_close(normalisation.merge(a, b), normalisation.merge(b, a), rtol=1e-6)


def test_merging_nothing_changes_nothing():
    batch = normalisation.from_batch({"x": jnp.array([1e-6, 3e-6, 2e-6])}, 1)
    nothing = normalisation.init({"x": jnp.float32(0.0)})
    chex.assert_trees_all_equal(normalisation.merge(nothing, batch), batch)
    chex.assert_trees_all_equal(normalisation.merge(batch, nothing), batch)
    chex.assert_trees_all_equal(normalisation.merge(nothing, nothing), nothing)


def test_merge_stacked_equals_merging_row_by_row():
    data = observations(2, 12, 24)
    shards = jax.tree.map(lambda leaf: np.stack(np.split(leaf, 8, axis=1)), data)
    stacked = jax.vmap(lambda tree: normalisation.from_batch(tree, 2))(shards)
    merged = jax.jit(normalisation.merge_stacked)(stacked)
    assert_moments_of(merged, data, 288)
    by_hand = jax.tree.map(lambda leaf: leaf[0], stacked)
    for row in range(1, 8):
        by_hand = jax.jit(normalisation.merge)(
            by_hand, jax.tree.map(lambda leaf, r=row: leaf[r], stacked)
        )
    chex.assert_trees_all_close(merged, by_hand, rtol=1e-6)
    one = jax.tree.map(lambda leaf: leaf[:1], stacked)
    chex.assert_trees_all_equal(
        normalisation.merge_stacked(one), jax.tree.map(lambda leaf: leaf[0], stacked)
    )


def moments_of(mean, variance, samples):
    return Moments(
        jnp.float32(mean), jnp.float32(variance), jnp.array(divmod(samples, 2**20), jnp.float32)
    )


@functools.partial(jax.jit, static_argnums=2)
def merged_many_times(start, batch, times):
    def body(moments, _):
        return normalisation.merge(moments, batch), None

    return jax.lax.scan(body, start, length=times)[0]


@pytest.mark.parametrize("start", [0, 2**24, 2 * 10**10, 10**12])
def test_the_count_is_exact_up_to_1e12(start):
    batch = moments_of(0.0, 1.0, 1001)
    blocks, remainder = np.asarray(merged_many_times(moments_of(0, 1, start), batch, 20_000).count)
    assert remainder < 2**20
    assert int(blocks) * 2**20 + int(remainder) == start + 20_000 * 1001


@pytest.mark.parametrize("total", [10**7, 10**9, 5 * 10**9, 2 * 10**10, 10**12])
def test_equal_batches_leave_mean_and_variance_where_they_are(total):
    values = jnp.linspace(1.0, 2.0, 50)
    start = Moments(values, values, moments_of(0, 0, total).count)
    batch = Moments(values, values, moments_of(0, 0, 1000).count)
    merged = merged_many_times(start, batch, 20_000)
    chex.assert_trees_all_equal((merged.mean, merged.variance), (values, values))


@pytest.mark.parametrize("total", [10**7, 10**9, 2 * 10**10])
def test_small_batches_still_pull(total):
    times = 20_000
    merged = merged_many_times(moments_of(0, 4, total), moments_of(1, 1, 1000), times)
    weight = times * 1000 / (total + times * 1000)
    np.testing.assert_allclose(merged.mean, weight, rtol=0.01)
    variance = 4.0 * (1 - weight) + weight + weight * (1 - weight)
    np.testing.assert_allclose(merged.variance, variance, rtol=2e-3)


def test_normalise_and_back():
    data = observations(3, 50, 20)
    moments = normalisation.from_batch(data, 2)
    normalised = normalisation.normalise(moments, data, clip=None)
    result = normalisation.from_batch(normalised, 2)
    for name in ("position", "speed"):
        np.testing.assert_allclose(result.mean[name], 0.0, atol=1e-3)
        np.testing.assert_allclose(result.variance[name], 1.0, rtol=1e-3)
    back = normalisation.denormalise(moments, normalised)
    chex.assert_trees_all_close(back, data, rtol=1e-5, atol=1e-5)


def test_what_is_not_floating_point_passes_through():
    data = observations(4, 5, 6)
    moments = normalisation.init(jax.tree.map(lambda leaf: leaf[0, 0], data))
    moments = normalisation.merge(moments, normalisation.from_batch(data, 2))
    for function in (normalisation.normalise, normalisation.denormalise, normalisation.scale):
        got = function(moments, data)
        for name in ("action_mask", "goal"):
            assert got[name] is data[name]
    chex.assert_trees_all_equal_dtypes(moments, jax.tree.map(lambda _: jnp.float32(0), moments))
    for name in ("action_mask", "goal"):
        assert (moments.mean[name], moments.variance[name]) == (0.0, 1.0)


def test_clipping_and_constant_features():
    moments = normalisation.from_batch(jnp.array([[1.0, 7.0], [3.0, 7.0]]), 1)
    x = jnp.array([[1e6, 7.0], [-1e6, 8.0]])
    np.testing.assert_allclose(normalisation.normalise(moments, x), [[10, 0], [-10, 10]])
    np.testing.assert_allclose(normalisation.normalise(moments, x, clip=2.0), [[2, 0], [-2, 2]])
    assert normalisation.normalise(moments, x, clip=None)[0, 0] > 1e5


def test_fresh_moments_change_nothing_and_need_only_shapes():
    example = {"x": jax.ShapeDtypeStruct((3,), jnp.bfloat16), "n": jax.ShapeDtypeStruct((2,), int)}
    moments = normalisation.init(example)
    chex.assert_shape(moments.mean["x"], (3,))
    x = {"x": jnp.array([1.0, -2.0, 3.0]), "n": jnp.array([4, 5])}
    chex.assert_trees_all_equal(normalisation.normalise(moments, x), x)


def test_half_precision_is_summed_in_float32():
    x = (jnp.arange(4096) % 7).astype(jnp.bfloat16)
    moments = normalisation.from_batch(x, 1)
    np.testing.assert_allclose(moments.mean, np.mean(np.arange(4096) % 7), rtol=1e-6)
    assert normalisation.normalise(moments, x).dtype == jnp.float32


def test_batch_axes_must_agree():
    with pytest.raises(AssertionError):
        normalisation.from_batch({"a": jnp.ones((4, 3)), "b": jnp.ones((5, 3))}, 1)


def test_discounted_return_restarts_after_the_end():
    rng = np.random.default_rng(5)
    rewards = rng.normal(size=(30, 4)).astype(np.float32)
    ended = rng.random((30, 4)) < 0.2
    carry, values = jax.lax.scan(
        lambda c, row: normalisation.discounted_return(c, *row, 0.9), jnp.zeros(4), (rewards, ended)
    )
    for env in range(4):
        total = 0.0
        for t in range(30):
            total = 0.9 * total + float(rewards[t, env])
            np.testing.assert_allclose(values[t, env], total, rtol=1e-4, atol=1e-5)
            total = 0.0 if ended[t, env] else total
        np.testing.assert_allclose(carry[env], total, rtol=1e-4, atol=1e-5)


def test_rewards_are_scaled_and_not_centred():
    moments = normalisation.from_batch(jnp.array([10.0, 14.0]), 1)
    np.testing.assert_allclose(
        normalisation.scale(moments, jnp.array([0.0, 6.0, -1e9])), [0.0, 3.0, -10.0], rtol=1e-6
    )
