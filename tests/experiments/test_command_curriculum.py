"""The curriculum of commands that docs/quadruped.md shows: standing still passes none of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import yaml

from envs_jax.quadruped.world import draw_command
from rljax.core.config import merge
from rljax.training.build import make_env
from rljax.training.config import Config
from rljax.training.presets import preset

DOCUMENT = Path(__file__).parents[2] / "docs" / "quadruped.md"
MANY = 4096


@pytest.fixture(scope="module")
def config() -> Config:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    fields: dict[str, Any] = yaml.safe_load(block)
    return merge(preset(fields.pop("preset")), fields)


def test_standing_earns_the_same_little_in_every_stage(config: Config) -> None:
    """Of an episode of two commands, as a share of what tracking the velocity can earn."""
    assert config.curriculum is not None
    shares = np.random.default_rng(0).random((2, MANY, 4), np.float32)
    draw = jax.jit(jax.vmap(draw_command, (0, None, None, None, None)))
    passed = []
    for stage in config.curriculum.stages:
        env, staged = make_env(config, stage.name)
        params = env.env.of_stage(np.argmax(staged.probabilities), staged)
        assert params.max_steps_in_episode == 2 * params.command_steps
        commands = np.stack([draw(part, 0.0, 0.0, False, params)[0] for part in shares])
        asked = np.linalg.norm(commands[..., :2], axis=-1)
        earned = np.exp(-(asked**2) / params.tracking_width).mean(0)
        passed.append((earned >= params.track_for_success).mean())
        assert stage.advance_at >= 0.7
    np.testing.assert_allclose(passed, passed[-1], atol=0.01)
    assert 0.1 < passed[-1] < 0.3
