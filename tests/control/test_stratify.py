"""Least-sampled groups first: against pouring episodes one by one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.control.stratify import Groups, add_groups, least_sampled_first


def pour(weights, counts, volume):
    """Give episodes, a tiny part at a time, to the group that is furthest behind."""
    shares, counts = weights / weights.sum(), counts.astype(float)
    given, part = np.zeros(len(counts)), volume / 20_000
    for _ in range(20_000):
        behind = np.where(weights > 0, (counts + given) / np.maximum(shares, 1e-9), np.inf)
        given[behind.argmin()] += part
    return given / volume


@pytest.mark.parametrize("seed", range(4))
def test_against_pouring_bit_by_bit(seed):
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.0, 1.0, 1.0, 0.5], (3, 5)).astype(np.float32)
    weights[:, 2] = 1.0
    counts = np.where(weights > 0, rng.integers(0, 40, (3, 5)), 0).astype(np.int32)
    volume = np.array([3.0, 20.0, 200.0], np.float32)
    chances = jax.jit(least_sampled_first)(weights, counts, volume)
    expected = [pour(*row) for row in zip(weights, counts, volume, strict=True)]
    np.testing.assert_allclose(chances, expected, atol=2e-3)
    assert (np.asarray(chances)[weights == 0] == 0).all()


def test_one_episode_goes_to_the_least_sampled():
    counts = jnp.array([[5, 3, 4, 0], [9, 9, 8, 0]])
    weights = jnp.array([[1.0, 1, 1, 0], [1.0, 1, 1, 0]])
    chances = least_sampled_first(weights, counts, jnp.array([0.2, 1.0]))
    np.testing.assert_allclose(chances, [[0, 1, 0, 0], [0, 0, 1, 0]], atol=1e-6)


def test_many_episodes_even_out_what_few_cannot():
    counts = jnp.array([[2**22 + 10, 2**22, 2**22 + 10]])
    chances = least_sampled_first(jnp.ones((1, 3)), counts, jnp.array([40.0]))
    np.testing.assert_allclose(chances, [[0.25, 0.5, 0.25]], atol=0.02)


def test_fresh_groups_are_drawn_by_their_weights():
    weights = jnp.array([[2.0, 1, 1], [0, 0, 3]])
    chances = least_sampled_first(weights, jnp.zeros((2, 3), jnp.int32), jnp.ones(2))
    np.testing.assert_allclose(chances, [[0.5, 0.25, 0.25], [0, 0, 1]], atol=1e-6)


def test_counters_keep_their_proportions():
    counts = jnp.array([[2**23 - 1, 2**22, 0], [5, 6, 7]], jnp.int32)
    more = jnp.array([[1, 0, 10], [1, 0, 0]], jnp.int32)
    total = add_groups(Groups(counts, counts // 4), Groups(more, more))
    assert total.played.tolist() == [[2**22, 2**21, 5], [6, 6, 7]]
    assert total.won.tolist() == [[2**20, 2**19, 5], [2, 1, 1]]
