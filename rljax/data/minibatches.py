"""Dealing a rollout out into minibatches.

A rollout is a set of *items*: single steps for a feed-forward network, chunks of ``bptt_length``
steps for a recurrent one.  The environments form ``blocks`` of equal size; every minibatch takes
the same number of random items from each block.  Which items those are depends on the block and
not on the device that holds it, so 1 and 8 devices build the same minibatches.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from rljax.core.errors import UserError
from rljax.core.prng import fold_each


def shuffle(key: jax.Array, count: int) -> jax.Array:
    """Return a random order of ``count`` numbers: int32 [count].

    One sort of single words, random high bits over the index in the low ones: several times
    quicker than ``jax.random.permutation``, which sorts pairs twice.  Words with equal high bits
    stay in order; with up to 2^16 items that is rarely more than two, and which minibatch an item
    falls into is what matters, not its place there.
    """
    bits = max(1, (count - 1).bit_length())
    words = jax.random.bits(key, (count,)) << bits | jnp.arange(count, dtype=jnp.uint32)
    return (jax.lax.sort(words) & ((1 << bits) - 1)).astype(jnp.int32)


def minibatch_indices(
    key: jax.Array, block_ids: jax.Array, items_per_env: int, envs_per_block: int, minibatches: int
) -> jax.Array:
    """Return which items each minibatch takes from the local blocks.

    Args:
        key: key of this epoch.
        block_ids: int32 [n], global numbers of the local blocks.
        items_per_env: items of each environment.
        envs_per_block: environments in a block.
        minibatches: number of minibatches; divides ``items_per_env * envs_per_block``.

    Returns:
        int32 [minibatches, n * items per block and minibatch]; item ``chunk * B_local + env``.
    """
    blocks = block_ids.shape[0]
    items = items_per_env * envs_per_block
    order = jax.vmap(lambda k: shuffle(k, items))(fold_each(key, block_ids))
    chunk, env = order // envs_per_block, order % envs_per_block
    first = jnp.arange(blocks, dtype=jnp.int32)[:, None] * envs_per_block
    index = chunk * (blocks * envs_per_block) + first + env
    return index.reshape(blocks, minibatches, -1).swapaxes(0, 1).reshape(minibatches, -1)


def to_items(tree: Any, chunk_length: int) -> Any:
    """[T, B, ...] -> items [T / L * B, L, ...]."""

    def convert(x: jax.Array) -> jax.Array:
        time, size = x.shape[:2]
        x = x.reshape((time // chunk_length, chunk_length, size) + x.shape[2:])
        return x.swapaxes(1, 2).reshape((-1, chunk_length) + x.shape[3:])

    return jax.tree.map(convert, tree)


def take_items(items: Any, index: jax.Array) -> Any:
    """Take items [n, L, ...] by number (int32 [m]) and make them time-major: [L, m, ...]."""
    return jax.tree.map(lambda x: x[index].swapaxes(0, 1), items)


def choose_blocks(num_envs: int, items_per_env: int, minibatches: int, most: int = 16) -> int:
    """Return how many blocks the environments form: the largest divisor of ``most`` that fits.

    It depends on the sizes of the problem only, never on the number of devices.

    Raises:
        UserError: if the items of a rollout cannot be dealt out evenly at all; names the sizes and
            the nearest number of environments that works.
    """
    for blocks in range(most, 0, -1):
        fits = most % blocks == 0 and num_envs % blocks == 0
        if fits and (num_envs // blocks * items_per_env) % minibatches == 0:
            return blocks
    fits_exactly = [
        n for n in range(1, num_envs + minibatches) if n * items_per_env % minibatches == 0
    ]
    below = [n for n in fits_exactly if n < num_envs][-1:]
    above = [n for n in fits_exactly if n > num_envs][:1]
    nearest = " or ".join(map(str, below + above))
    raise UserError(
        f"num_envs {num_envs} with {items_per_env} item(s) each does not divide into {minibatches} "
        f"minibatches (ppo.minibatches, or team.critic_minibatches, times ppo.accumulation); the "
        f"nearest num_envs that work: {nearest}"
    )
