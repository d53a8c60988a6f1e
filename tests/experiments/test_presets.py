"""Every preset is a run that could begin: sizes divide, and an update can be traced."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from experiments import run
from rljax.core.config import from_dict, merge, to_dict
from rljax.core.mesh import Shards
from rljax.training import presets
from rljax.training.build import make_algorithm
from rljax.training.config import Config


@pytest.mark.parametrize("name", list(presets.available()))
def test_an_update_can_be_traced(name):
    config = presets.preset(name)
    assert config.name == name and presets.describe(name)
    if config.env.params.get("levels") == "large":  # whose ways take most of a minute to find
        config = merge(config, {"env": {"params": {"levels": "starter"}}})
    trace(config)


def trace(config):
    """Trace an update of a run, and see that it gives what it takes."""
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


SCALED = [name for name in presets.available() if presets.scales(name)]

# What a scale may change of a world: how finely it is known or seen, not what is to be done.
SIZES = {"cell", "depth", "roughness"}


def test_the_quadruped_comes_in_two_scales():
    assert {f"quadruped_{name}" for name in ("flat", "rough", "parkour", "depth")} <= set(SCALED)


@pytest.mark.parametrize("name", SCALED)
def test_scales_are_budgets_of_one_task(name):
    assert presets.scales(name) == ("tiny", "full")
    tiny, full = (presets.preset(name, scale) for scale in ("tiny", "full"))
    assert presets.preset(name) == tiny
    assert tiny.total_steps < full.total_steps and tiny.num_envs < full.num_envs
    assert tiny.network.core == full.network.core
    assert tiny.network.core_size < full.network.core_size
    assert tiny.curriculum == full.curriculum
    one, other = (dict(config.env.params) for config in (tiny, full))
    assert {key for key in one | other if one.get(key) != other.get(key)} <= SIZES
    assert dataclasses.replace(tiny.env, params=full.env.params) == full.env


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quadruped_rough", "quadruped_depth"])
def test_an_update_of_the_full_scale_can_be_traced(name):
    trace(presets.preset(name, "full"))


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--preset", "quadruped_flat", "--scale", "huge"], "'huge'; expected one of tiny, full"),
        (["--preset", "cartpole_ppo", "--scale", "tiny"], "no scale 'tiny'; expected no scale"),
        (["--scale", "tiny"], "--scale tiny needs a --preset"),
        (["--scale", "tiny", "--env.name", "CartPole-v1"], "--scale tiny needs a --preset"),
    ],
)
def test_a_scale_that_is_not_there_is_one_line(argv, told, tmp_path, capsys):
    assert run.main([*argv, "--run-dir", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert told in err and not (tmp_path / "run").exists()


def test_a_scale_is_chosen_by_name(capsys):
    for scale, num_envs in (([], 512), (["--scale", "full"], 4096)):
        assert run.main(["--preset", "quadruped_flat", *scale, "--help"]) == 0
        (line,) = (x for x in capsys.readouterr().out.splitlines() if "--num_envs" in x)
        assert str(num_envs) in line.split()
