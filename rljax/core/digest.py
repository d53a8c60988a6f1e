"""What a pytree of arrays holds, as text to compare and as one number to trust."""

import hashlib
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np


def leaf_specs(tree: chex.ArrayTree) -> dict[str, str]:
    """Path of every leaf -> its dtype and shape, e.g. `{".params['w']": "float32[4,2]"}`.

    Accepts arrays, typed PRNG keys ("key<fry>[8]"), Python numbers ("int[]") and
    `jax.ShapeDtypeStruct`, so a state and its abstract counterpart give the same answer.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): _spec(leaf) for path, leaf in leaves}


def leaf_digests(tree: chex.ArrayTree) -> dict[str, str]:
    """Path of every leaf -> SHA-256 (hex) over its path, dtype, shape and bytes.

    The same for the same values on whatever devices and however sharded. With several
    processes all of them must call it, for it gathers what is spread over them.
    """
    digests = {}
    for (path, spec), data in zip(leaf_specs(tree).items(), _host_data(tree), strict=True):
        digest = hashlib.sha256(repr((path, spec)).encode())
        # Seen as plain bytes: bfloat16 and friends have no buffer protocol of their own.
        digest.update(np.ascontiguousarray(data).reshape(-1).view(np.uint8).data)
        digests[path] = digest.hexdigest()
    return digests


def state_digest(tree: chex.ArrayTree) -> str:
    """SHA-256 (hex) over all of :func:`leaf_digests`: one number for the whole tree."""
    return hashlib.sha256("".join(leaf_digests(tree).values()).encode()).hexdigest()


def _spec(leaf: Any) -> str:
    if not hasattr(leaf, "dtype"):
        return f"{type(leaf).__name__}[]"
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _host_data(tree: chex.ArrayTree) -> list[np.ndarray]:
    # One device_get for all leaves, so that their copies to the host overlap.
    return [np.asarray(x) for x in jax.device_get([_readable(x) for x in jax.tree.leaves(tree)])]


def _readable(leaf: Any) -> Any:
    """`leaf` as something `device_get` can read: no key type, no part on another process."""
    if not isinstance(leaf, jax.Array):
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if leaf.is_fully_addressable or leaf.is_fully_replicated:
        return leaf
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(leaf, tiled=True)
