"""Stratified sampling: the groups of levels that were played least are drawn first."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

# float32 counts exactly so far.
_MOST = 2**23


class Groups(struct.PyTreeNode):
    """Episodes by stage and by group of levels.

    Attributes:
        played, won: int32 [K, G], all and successful ones.
    """

    played: jax.Array
    won: jax.Array


def add_groups(counts: Groups, more: Groups) -> Groups:
    """Add episodes to the counters.

    Only proportions matter, so all counters of a stage are halved before one leaves the whole
    numbers that float32 holds.
    """
    total = jax.tree.map(lambda old, new: old + jnp.minimum(new, _MOST), counts, more)
    full = (total.played >= _MOST).any(1, keepdims=True)
    halved: Groups = jax.tree.map(lambda x: jnp.where(full, x // 2, x), total)
    return halved


def least_sampled_first(weights: jax.Array, counts: jax.Array, volume: jax.Array) -> jax.Array:
    """Return probabilities of groups that would even out how often they were sampled.

    Episodes are poured onto the groups that have the fewest, in proportion to their weights, until
    ``volume`` of them are spent: group g gets max(0, L w_g - c_g), with the level L at which these
    sum up to the volume.  For a volume of one this is the rule "the least sampled group next"; a
    whole batch of environments that followed that one would all draw the same group.

    Args:
        weights: float32 [K, G], >= 0, of which some in each row are positive: the wanted shares.
            A group of weight 0 stays without episodes.
        counts: int32 [K, G], episodes so far.
        volume: float32 [K], episodes that are about to be drawn; less than one counts as one.

    Returns:
        float32 [K, G], rows of sum 1.
    """
    has = weights > 0
    shares = weights / weights.sum(1, keepdims=True)
    done = jnp.where(has, counts, 0).astype(jnp.float32)

    def level_of(done: jax.Array) -> jax.Array:
        return jnp.where(has, done / jnp.where(has, shares, 1.0), jnp.inf)

    # Only what is beyond the lowest level counts; large counters would hide small differences.
    done -= level_of(done).min(1, keepdims=True) * shares
    level = level_of(done)
    order = jnp.argsort(level, axis=1)

    def ordered(x: jax.Array) -> jax.Array:
        return jnp.take_along_axis(x, order, 1)

    # The level if the first 1, 2, ... groups got all: right for the most that it lifts.
    spent = jnp.maximum(volume, 1.0)[:, None] + jnp.cumsum(ordered(done), 1)
    levels = spent / jnp.cumsum(ordered(shares), 1)
    lifted = (levels > ordered(level)).sum(1, keepdims=True)
    reached = jnp.take_along_axis(levels, jnp.maximum(lifted, 1) - 1, 1)
    poured = jnp.where(has, jnp.maximum(reached * shares - done, 0.0), 0.0)
    total = poured.sum(1, keepdims=True)
    return jnp.where(total > 0, poured / total, shares)
