"""Random keys that depend on *which* environment asks, not on the device that simulates it."""

from __future__ import annotations

import jax


def fold_each(key: jax.Array, ids: jax.Array) -> jax.Array:
    """Return one key for each id: ``fold_in(key, ids[i])``.

    Args:
        key: one typed PRNG key, shape [].
        ids: int32 [B], global environment (or shard) numbers.

    Returns:
        Typed keys [B].  Equal for equal ids, however the ids are spread over devices.
    """
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, ids)
