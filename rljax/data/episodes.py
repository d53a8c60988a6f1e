"""Statistics of finished episodes: of one update, and of the most recent hundred or so."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rljax.core.mesh import Shards
from rljax.core.types import EpisodeTotals

WINDOW_EPISODES = 100
_WINDOW_UPDATES = 100


def team_mean(reward: jax.Array) -> jax.Array:
    """Return rewards [B] as they are, and those of several agents [B, n] as their mean."""
    return reward if reward.ndim == 1 else reward.mean(-1)


class RecentEpisodes(struct.PyTreeNode):
    """Sums over the episodes of each of the last 100 updates, float32 [100], newest first."""

    count: jax.Array
    total: jax.Array
    length: jax.Array
    success: jax.Array


def no_episodes() -> RecentEpisodes:
    """Return an empty window."""
    return RecentEpisodes(*(jnp.zeros(_WINDOW_UPDATES) for _ in range(4)))


def episode_metrics(
    episodes: EpisodeTotals, recent: RecentEpisodes, shards: Shards
) -> tuple[RecentEpisodes, dict[str, jax.Array]]:
    """Reduce an update's episodes over steps, environments and devices.

    Args:
        episodes: of the local shard, [T, B] ([n, T, B] in the exact setting).
        recent: window before this update.

    Returns:
        The window after it, and metrics: mean, smallest and largest return, mean length and
        success of this update's episodes (NaN where none ended), their number, and the same means
        over the newest whole updates that together hold at least 100 episodes.
    """

    def local(ep: EpisodeTotals) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
        success = ep.ended & ep.success if ep.success is not None else jnp.zeros_like(ep.ended)
        sums = {
            "count": ep.ended.sum(dtype=jnp.float32),
            "total": jnp.where(ep.ended, ep.total, 0.0).sum(),
            "length": jnp.where(ep.ended, ep.length, 0).sum(dtype=jnp.float32),
            "success": success.sum(dtype=jnp.float32),
        }
        low = jnp.where(ep.ended, ep.total, jnp.inf).min()
        high = jnp.where(ep.ended, ep.total, -jnp.inf).max()
        return sums, low, high

    sums, low, high = shards.map(local, episodes)
    sums, low, high = shards.sum(sums), shards.min(low), shards.max(high)
    recent = RecentEpisodes(
        **{
            name: jnp.concatenate([sums[name][None], getattr(recent, name)[:-1]])
            for name in ("count", "total", "length", "success")
        }
    )
    # An update is in the window if those newer than it hold fewer than 100 episodes.
    newer = jnp.cumsum(recent.count) - recent.count
    window = jax.tree.map(lambda x: jnp.where(newer < WINDOW_EPISODES, x, 0.0).sum(), recent)
    none = sums["count"] == 0
    metrics = {
        "episode/count": sums["count"],
        "episode/return": sums["total"] / sums["count"],
        "episode/return_min": jnp.where(none, jnp.nan, low),
        "episode/return_max": jnp.where(none, jnp.nan, high),
        "episode/length": sums["length"] / sums["count"],
        "recent/return": window.total / window.count,
        "recent/length": window.length / window.count,
    }
    if episodes.success is not None:
        metrics["episode/success"] = sums["success"] / sums["count"]
        metrics["recent/success"] = window.success / window.count
    return recent, metrics
