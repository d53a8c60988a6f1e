"""`gae` against a slow loop in float64, and the cases that people get wrong."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax import ops


def oracle(rewards, values, next_values, terminated, truncated, gamma, lam):
    """The definition, one element at a time: sum over l of (gamma lam)^l delta_{t+l}."""
    rewards, values, next_values = (
        np.asarray(x, np.float64) for x in (rewards, values, next_values)
    )
    advantages = np.zeros_like(values)
    steps = len(values)
    for index in np.ndindex(*values.shape):
        rest, weight, total = index[1:], 1.0, 0.0
        for t in range(index[0], steps):
            i = (t, *rest)
            future = 0.0 if terminated[i] else gamma * next_values[i]
            total += weight * (rewards[i] + future - values[i])
            if terminated[i] or truncated[i]:
                break
            weight *= gamma * lam
        advantages[index] = total
    return advantages, advantages + values


jitted = jax.jit(ops.gae)


def rollout(seed, shape, boundary_rate=0.15):
    rng = np.random.default_rng(seed)
    rewards, values, next_values = rng.normal(size=(3, *shape)).astype(np.float32)
    terminated, truncated = rng.random((2, *shape)) < boundary_rate
    return rewards, values, next_values, terminated, truncated


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("gamma", "lam"), [(0.99, 0.95), (0, 0.9), (0.9, 0), (1, 1), (1, 0)])
def test_matches_the_definition(seed, gamma, lam):
    batch = rollout(seed, (21, 3), boundary_rate=0.05 * seed)
    got = jitted(*batch, float(gamma), float(lam))
    chex.assert_trees_all_close(got, oracle(*batch, gamma, lam), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (9, 2), (5, 2, 3)])
def test_any_batch_shape(shape):
    batch = rollout(1, shape)
    got = jitted(*batch, 0.9, 0.8)
    chex.assert_shape(got, shape)
    chex.assert_trees_all_close(got, oracle(*batch, 0.9, 0.8), atol=1e-5)


@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        (False, False, 1.0 + 0.5 * 8.0 - 3.0 + 0.5 * 0.5 * (2.0 - 7.0)),
        (False, True, 1.0 + 0.5 * 8.0 - 3.0),
        (True, False, 1.0 - 3.0),
        (True, True, 1.0 - 3.0),
    ],
)
def test_termination_truncation_and_both(terminated, truncated, expected):
    flags = np.array([[terminated, True], [truncated, False]])
    advantages, returns = jitted(
        jnp.array([1.0, 2.0]), jnp.array([3.0, 7.0]), jnp.array([8.0, 5.0]), *flags, 0.5, 0.5
    )
    np.testing.assert_allclose(advantages, [expected, -5.0])
    np.testing.assert_allclose(returns, [expected + 3.0, 2.0])


def test_the_next_episode_does_not_leak_back():
    rewards, values, next_values, terminated, truncated = rollout(3, (12, 4), 0.0)
    truncated[5] = True
    before, _ = jitted(rewards, values, next_values, terminated, truncated, 0.99, 0.95)
    rewards[6:] += 100.0
    after, _ = jitted(rewards, values, next_values, terminated, truncated, 0.99, 0.95)
    np.testing.assert_array_equal(before[:6], after[:6])
    assert np.all(np.abs(before[6:] - after[6:]) > 10.0)


def test_values_of_terminal_observations_are_not_read():
    rewards, values, next_values, terminated, truncated = rollout(4, (10, 3), 0.3)
    expected = jitted(rewards, values, next_values, terminated, truncated, 0.99, 0.95)
    next_values[terminated] = np.nan
    got = jitted(rewards, values, next_values, terminated, truncated, 0.99, 0.95)
    chex.assert_trees_all_equal(got, expected)


def test_gamma_and_lam_are_traced():
    traced = jax.jit(chex.assert_max_traces(ops.gae, n=1))
    batch = rollout(5, (16, 2))
    for gamma, lam in [(0.9, 0.5), (0.99, 1.0), (0.0, 0.0)]:
        got = traced(*batch, gamma, lam)
        chex.assert_trees_all_close(got, oracle(*batch, gamma, lam), atol=2e-5)
    many = jax.vmap(lambda gamma: ops.gae(*batch, gamma, 0.9))(jnp.array([0.5, 0.9]))
    chex.assert_trees_all_close(many[0][1], oracle(*batch, 0.9, 0.9)[0], atol=2e-5)


def test_runs_inside_shard_map_with_varying_check():
    devices = jax.devices()
    mesh = jax.make_mesh((len(devices),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    batch = rollout(6, (8, 8))
    spec = jax.P(None, "data")
    sharded = jax.shard_map(
        lambda *arrays: ops.gae(*arrays, 0.99, 0.95), mesh=mesh, in_specs=spec, out_specs=spec
    )
    chex.assert_trees_all_close(jax.jit(sharded)(*batch), oracle(*batch, 0.99, 0.95), atol=2e-5)


def test_the_program_stays_small():
    short, long = (
        jax.make_jaxpr(ops.gae)(*rollout(0, (steps, 4)), 0.9, 0.9) for steps in (64, 512)
    )
    assert len(str(short)) < 10_000
    assert len(str(long)) < 1.1 * len(str(short))


@pytest.mark.parametrize("position", range(5))
def test_shapes_must_agree(position):
    batch = list(rollout(0, (4, 2)))
    batch[position] = batch[position][:, :1]
    with pytest.raises(AssertionError):
        ops.gae(*batch, 0.9, 0.9)


def test_flags_must_be_bool_and_factors_scalar():
    rewards, values, next_values, terminated, truncated = rollout(0, (4, 2))
    with pytest.raises(AssertionError):
        ops.gae(rewards, values, next_values, terminated.astype(np.float32), truncated, 0.9, 0.9)
    with pytest.raises(AssertionError):
        ops.gae(rewards, values, next_values, terminated, truncated, jnp.full(2, 0.9), 0.9)


@pytest.mark.parametrize("first", ["import rljax.ops.gae", "import rljax.ops"])
def test_the_public_name_is_the_function_and_imports_touch_no_backend(first):
    program = f"""{first}
import jax, rljax.ops, rljax.ops.gae
assert not isinstance(rljax.ops.gae, type(jax)) and callable(rljax.ops.gae)
from jax._src import xla_bridge
assert not xla_bridge._backends, xla_bridge._backends
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
