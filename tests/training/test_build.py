"""From a config to its world, whoever has made that."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from typing import Any

import jax.numpy as jnp
import pytest

import envs_jax
import stage_worlds  # noqa: F401  (registers its worlds)
from probe_envs import TableWorld
from rljax.core.config import from_dict, to_dict
from rljax.core.errors import UserError
from rljax.training import build, presets
from rljax.training.build import make_env
from rljax.training.config import EnvConfig
from tiny_runs import plain

LATE = "test/late"


def test_a_world_is_looked_for_where_presets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is resumed without its preset, whose module had registered the world."""
    config = plain(env={"name": LATE})
    with pytest.raises(UserError, match=f"unknown environment '{LATE}'"):
        make_env(config)

    def available() -> None:
        envs_jax.register(LATE, lambda: TableWorld("constant"))

    monkeypatch.setattr(build, "available", available)
    assert isinstance(make_env(config)[0].env, TableWorld)


def test_presets_that_cannot_be_loaded_are_told_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a folder of that name stands before ours on the path."""
    theirs = EntryPoint("theirs", "json.presets:PRESETS", "rljax.presets")
    monkeypatch.setattr(presets, "entry_points", lambda group: (theirs,))
    with pytest.warns(UserWarning, match="presets of theirs are left out: .*json.presets"):
        assert "cartpole_ppo" in presets.available()


def test_a_part_of_a_world_may_have_named_numbers() -> None:
    stored = {"name": LATE, "params": {"camera": {"delay": 8, "offset": [0.3, 0.0, 0.1]}}}
    config = from_dict(EnvConfig, stored)
    assert config.params["camera"] == {"delay": 8, "offset": (0.3, 0.0, 0.1)}
    assert isinstance(hash(config), int)
    assert from_dict(EnvConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_a_world_that_fails_is_told_with_its_place() -> None:
    class Broken(TableWorld):
        def reset_env(self, key: Any, params: Any) -> Any:
            return jnp.stack([jnp.zeros(2), jnp.zeros(3)]), None

    envs_jax.register("test/broken", lambda: Broken("constant"))
    config = plain(env={"name": "test/broken", "random_phase": True})
    with pytest.raises(UserError, match=r"same shape.* \(raised in test_build.py, line \d+\)$"):
        make_env(config)
    with pytest.raises(UserError, match=r"no parameter 'lenth'.*[^)]$"):
        make_env(plain(env={"name": "stages/lock", "params": {"lenth": 3}}))
