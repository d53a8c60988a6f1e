"""Shards: the same sums in all three settings; keys by the number of the environment."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from rljax.core.mesh import DATA, POPULATION, Shards, make_mesh
from rljax.core.prng import fold_each

ENVS, BLOCKS = 16, 8
X = np.random.default_rng(0).normal(size=(ENVS, 3)).astype(np.float32)
FIGURES = ("sum", "mean", "min", "max")


def figures(shards, x):
    """Reductions of each shard's own, over all shards; and each shard's sum, in global order."""
    parts = shards.split(x)
    local = {
        "sum": lambda p: p.sum(0),
        "mean": lambda p: p.mean(0),
        "min": lambda p: p.min(0),
        "max": lambda p: p.max(0),
    }
    reduced = {name: getattr(shards, name)(shards.map(local[name], parts)) for name in FIGURES}
    stacked = shards.stack(shards.map(local["sum"], parts))
    return reduced, stacked, shards.join(shards.map(lambda p: 2 * p, parts))


def run(devices, exact):
    shards = Shards(DATA if devices > 1 else None, devices, BLOCKS, exact)
    if devices == 1:
        return jax.jit(lambda x: figures(shards, x))(X)
    mesh = make_mesh(jax.devices()[:devices])
    body = jax.shard_map(
        lambda x: figures(shards, x),
        mesh=mesh,
        in_specs=P(DATA),
        out_specs=(P(), P(), P(DATA)),
        check_vma=False,
    )
    return jax.jit(body)(X)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("devices", [1, 2, 8])
def test_reductions(devices, exact):
    reduced, stacked, joined = run(devices, exact)
    for name in FIGURES:
        np.testing.assert_allclose(reduced[name], getattr(X, name)(0), rtol=1e-5, atol=1e-6)
    shards = BLOCKS if exact else devices
    np.testing.assert_allclose(stacked, X.reshape(shards, -1, 3).sum(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(joined, 2 * X)


def test_exact_sums_have_the_same_bits():
    one = run(1, True)
    for devices in (2, 4):
        jax.tree.map(np.testing.assert_array_equal, run(devices, True), one)


@pytest.mark.parametrize("check_vma", [False, True])
def test_the_gradient_of_a_mean_is_the_mean_gradient(check_vma):
    mesh = make_mesh(jax.devices()[:4])
    shards = Shards(DATA, 4, BLOCKS)

    def gradient(weight, x):
        return shards.mean(jax.grad(lambda w: jnp.square(x @ w).mean())(shards.vary(weight)))

    body = jax.shard_map(
        gradient, mesh=mesh, in_specs=(P(), P(DATA)), out_specs=P(), check_vma=check_vma
    )
    weight = jnp.array([1.0, -2.0, 0.5])
    expected = jax.grad(lambda w: jnp.square(X @ w).mean())(weight)
    np.testing.assert_allclose(jax.jit(body)(weight, X), expected, rtol=1e-5)
    assert Shards().vary(weight) is weight


def test_mesh_has_members_by_environments():
    mesh = make_mesh(jax.devices()[:8], population=2)
    assert dict(mesh.shape) == {POPULATION: 2, DATA: 4}


def test_keys_belong_to_numbers():
    key = jax.random.key(0)
    keys = jax.random.key_data(fold_each(key, jnp.arange(6)))
    np.testing.assert_array_equal(keys[4:], jax.random.key_data(fold_each(key, jnp.arange(4, 6))))
    np.testing.assert_array_equal(keys[3], jax.random.key_data(jax.random.fold_in(key, 3)))
    assert len({tuple(k) for k in np.asarray(keys).tolist()}) == 6
