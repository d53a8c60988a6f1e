"""Every preset is a run that could begin: sizes divide, and an update can be traced."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from rljax.core.config import from_dict, to_dict
from rljax.core.mesh import Shards
from rljax.training import presets
from rljax.training.build import make_algorithm
from rljax.training.config import Config


@pytest.mark.parametrize("name", list(presets.available()))
def test_an_update_can_be_traced(name):
    config = presets.preset(name)
    assert config.name == name and presets.describe(name)
    assert from_dict(Config, to_dict(config)) == config
    algorithm = make_algorithm(config)
    start = jax.eval_shape(
        lambda key: algorithm.init(key, jnp.arange(config.num_envs)), jax.random.key(0)
    )
    shards = Shards(blocks=algorithm.blocks)
    after, metrics = jax.eval_shape(lambda state: algorithm.update(state, shards), start)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, start)
    assert all(metric.shape == () for metric in metrics.values())
    assert algorithm.steps_per_update == config.num_envs * config.ppo.rollout_length
