"""Episode statistics against lists of episodes kept in NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.core.mesh import Shards
from rljax.core.types import EpisodeTotals
from rljax.data.episodes import WINDOW_EPISODES, episode_metrics, no_episodes

STEPS, ENVS, BLOCKS = 6, 8, 4


def batches(seed, updates, rate):
    """Episodes of some updates; what is not an episode's end is poisoned."""
    rng = np.random.default_rng(seed)
    for _ in range(updates):
        ended = rng.random((STEPS, ENVS)) < rate
        total = rng.normal(size=(STEPS, ENVS)).astype(np.float32)
        length = rng.integers(1, 500, (STEPS, ENVS)).astype(np.int32)
        success = rng.random((STEPS, ENVS)) < 0.3
        yield EpisodeTotals(ended, np.where(ended, total, np.nan), length, success)


def by_block(episodes):
    """[T, B] -> [blocks, T, B / blocks], as the exact setting has it."""
    return jax.tree.map(lambda x: x.reshape(STEPS, BLOCKS, ENVS // BLOCKS).swapaxes(0, 1), episodes)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("rate", [0.02, 0.2, 1.0])
def test_against_lists(exact, rate):
    shards = Shards(blocks=BLOCKS, exact=exact)
    reduce = jax.jit(lambda episodes, recent: episode_metrics(episodes, recent, shards))
    recent, history = no_episodes(), []
    for episodes in batches(int(100 * rate), 12, rate):
        recent, metrics = reduce(by_block(episodes) if exact else episodes, recent)
        ended = episodes.ended
        history.insert(0, [x[ended] for x in (episodes.total, episodes.length, episodes.success)])
        window, held = [], 0
        for update in history:  # newest first, until there are enough
            if held >= WINDOW_EPISODES:
                break
            window.append(update)
            held += len(update[0])
        recently = [np.concatenate(columns) for columns in zip(*window, strict=True)]

        def mean(x):
            return x.mean() if len(x) else np.nan

        new = history[0]
        expected = {
            "episode/count": len(new[0]),
            "episode/return": mean(new[0]),
            "episode/return_min": new[0].min() if len(new[0]) else np.nan,
            "episode/return_max": new[0].max() if len(new[0]) else np.nan,
            "episode/length": mean(new[1]),
            "episode/success": mean(new[2]),
            "recent/return": mean(recently[0]),
            "recent/length": mean(recently[1]),
            "recent/success": mean(recently[2]),
        }
        assert set(metrics) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_window_is_a_hundred_updates_at_most():
    shards = Shards()
    reduce = jax.jit(lambda episodes, recent: episode_metrics(episodes, recent, shards))
    one = np.zeros((STEPS, ENVS), bool)
    one[2, 3] = True
    recent = no_episodes()
    for update in range(130):
        total = np.full((STEPS, ENVS), update, np.float32)
        episodes = EpisodeTotals(one if update % 2 else ~one & one, total, total.astype(int), None)
        recent, metrics = reduce(episodes, recent)
    np.testing.assert_allclose(metrics["recent/return"], np.arange(31, 130, 2).mean())
    assert recent.count.shape == (100,)


def test_worlds_without_success():
    nothing = EpisodeTotals(*(jnp.zeros((STEPS, ENVS), t) for t in (bool, float, int)), None)
    _, metrics = episode_metrics(nothing, no_episodes(), Shards())
    assert not any("success" in name for name in metrics)
    assert np.isnan(metrics["episode/return"]) and np.isnan(metrics["recent/return"])
    assert metrics["episode/count"] == 0
