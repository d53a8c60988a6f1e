"""Dealing items out: every item once per epoch, evenly, and alike on any number of devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rljax.core.errors import UserError
from rljax.data.minibatches import (
    choose_blocks,
    minibatch_indices,
    shuffle,
    take_items,
    to_items,
)


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
def test_shuffle_is_a_permutation(count):
    order = np.asarray(shuffle(jax.random.key(0), count))
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(count))
    if count > 7:
        assert (order != np.asarray(shuffle(jax.random.key(1), count))).any()


@pytest.mark.parametrize(("count", "parts"), [(12, 4), (64, 2)])
def test_every_minibatch_is_as_likely_for_every_item(count, parts):
    draws = 4000
    keys = jax.random.split(jax.random.key(2), draws)
    orders = np.asarray(jax.vmap(lambda key: shuffle(key, count))(keys))
    part_of = np.argsort(orders, axis=1) // (count // parts)  # [draws, item]
    seen = np.stack([(part_of == part).sum(0) for part in range(parts)])
    expected = draws / parts
    statistic = ((seen - expected) ** 2 / expected).sum()
    # Rows and columns have fixed sums.
    freedom = (parts - 1) * (count - 1)
    assert stats.chi2.sf(statistic, freedom) > 1e-3
    # Two neighbours meet in one minibatch as often as chance has it.
    together = (part_of[:, 0] == part_of[:, 1]).mean()
    chance = (count // parts - 1) / (count - 1)
    assert abs(together - chance) < 5 * np.sqrt(chance * (1 - chance) / draws)


CHUNKS, PER_BLOCK, BLOCKS, MINIBATCHES = 3, 4, 8, 6


def global_items(devices):
    """Items (chunk, global environment) of each minibatch, as sets, dealt out on so many."""
    blocks = BLOCKS // devices
    local_envs = blocks * PER_BLOCK
    minibatches = [[] for _ in range(MINIBATCHES)]
    for device in range(devices):
        ids = jnp.arange(device * blocks, (device + 1) * blocks, dtype=jnp.int32)
        index = minibatch_indices(jax.random.key(3), ids, CHUNKS, PER_BLOCK, MINIBATCHES)
        assert index.shape == (MINIBATCHES, CHUNKS * local_envs // MINIBATCHES)
        for minibatch, row in zip(minibatches, np.asarray(index), strict=True):
            chunk, env = row // local_envs, row % local_envs
            minibatch += zip(chunk.tolist(), (device * local_envs + env).tolist(), strict=True)
    return minibatches


def test_every_item_once_per_epoch():
    items = [item for minibatch in global_items(1) for item in minibatch]
    everything = {(c, e) for c in range(CHUNKS) for e in range(BLOCKS * PER_BLOCK)}
    assert len(items) == len(everything) and set(items) == everything


@pytest.mark.parametrize("devices", [2, 8])
def test_same_minibatches_on_any_number_of_devices(devices):
    one, many = global_items(1), global_items(devices)
    assert [sorted(m) for m in one] == [sorted(m) for m in many]
    assert sorted(one[0]) != sorted(one[1])


def test_each_block_gives_as_much():
    for minibatch in global_items(1):
        blocks = [env // PER_BLOCK for _, env in minibatch]
        assert np.bincount(blocks, minlength=BLOCKS).tolist() == [2] * BLOCKS


def test_items_are_chunks_of_one_environment():
    time, size, length = 6, 4, 3
    steps = jnp.arange(time)[:, None] * 100 + jnp.arange(size)
    tree = {"a": steps, "b": jnp.stack([steps, -steps], -1)}
    items = to_items(tree, length)
    assert items["a"].shape == (time // length * size, length)
    assert items["b"].shape == (time // length * size, length, 2)
    for chunk in range(time // length):
        for env in range(size):
            expected = [(chunk * length + step) * 100 + env for step in range(length)]
            np.testing.assert_array_equal(items["a"][chunk * size + env], expected)
    taken = take_items(items, jnp.array([5, 0]))
    np.testing.assert_array_equal(taken["a"], np.stack([items["a"][5], items["a"][0]], 1))
    np.testing.assert_array_equal(taken["b"][..., 1], -taken["a"])


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [
        ((64, 128, 4), 16),
        ((4, 128, 4), 4),
        ((6, 4, 4), 2),
        ((7, 4, 2), 1),
        ((8, 1, 4), 2),
        ((8, 1, 8), 1),
        ((24, 1, 3), 8),
    ],
)
def test_blocks(sizes, blocks):
    assert choose_blocks(*sizes) == blocks


@pytest.mark.parametrize(
    ("sizes", "nearest"), [((9, 1, 4), "8 or 12"), ((3, 1, 4), "4"), ((10, 3, 8), "8 or 16")]
)
def test_sizes_that_do_not_divide(sizes, nearest):
    envs, chunks, minibatches = sizes
    with pytest.raises(UserError) as error:
        choose_blocks(*sizes)
    message = str(error.value)
    assert f"num_envs {envs} with {chunks} item(s)" in message
    assert f"into {minibatches} minibatches" in message
    assert message.endswith(f"work: {nearest}")
