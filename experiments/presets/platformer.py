"""The platformer: PPO on one category of levels, and through all of them in stages.

Levels, categories and observations are explained in docs/platformer.md.  Rules and numbers of the
stages follow the public npp-rl system.
"""

import dataclasses

from rljax.algorithms.ppo_config import PPOConfig
from rljax.control import CurriculumConfig, Stage
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig, EvaluationConfig

_DISCOUNT = 0.995  # also of the shaping, see Platformer-v1's shaping_discount

_MIXING = 0.7  # share of episodes in earlier stages

# Category, success to advance at, episodes before that, success to go back below.
_STAGES = (
    ("simplest", 0.60, 100, 0.0),
    ("simplest_few_mines", 0.50, 100, 0.30),
    ("simplest_with_mines", 0.50, 100, 0.30),
    ("simpler", 0.40, 100, 0.30),
    ("simple", 0.40, 75, 0.30),
    ("medium", 0.35, 100, 0.25),
    ("complex", 0.30, 150, 0.20),
    ("exploration", 0.25, 150, 0.15),
    ("mine_heavy", 0.20, 200, 0.15),
)


def _config(name: str, total_steps: int, **options: str | int) -> Config:
    return Config(
        name=name,
        env=EnvConfig(name="Platformer-v1", params=options),
        total_steps=total_steps,
        num_envs=256,
        network=NetworkConfig(hidden_sizes=(128, 128), activation="tanh"),
        ppo=PPOConfig(
            rollout_length=64,
            epochs=4,
            minibatches=8,
            learning_rate=5e-4,
            schedule="linear",
            gamma=_DISCOUNT,
            gae_lambda=0.95,
            entropy_coefficient=0.01,
            max_grad_norm=0.5,
        ),
        evaluation=EvaluationConfig(episodes=256),
    )


def platformer_ppo() -> Config:
    """Platformer-v1, simple levels: rooms, mazes, hills, gaps and islands."""
    return _config("platformer_ppo", 3_000_000, category="simpler+simple")


def platformer_curriculum() -> Config:
    """Platformer-v1 from the simplest levels to mine fields, in nine stages."""
    stages = (
        Stage(
            name=category,
            params={"category": category},
            advance_at=advance_at,
            min_episodes=min_episodes,
            regress_below=regress_below,
        )
        for category, advance_at, min_episodes, regress_below in _STAGES
    )
    config = _config("platformer_curriculum", 16_000_000, levels="large", mirrored=True, mines=4)
    # The last stage is most of a run: what the others teach should not be forgotten in it.
    curriculum = CurriculumConfig(stages=tuple(stages), mixing=_MIXING, mixing_when_failing=_MIXING)
    return dataclasses.replace(config, curriculum=curriculum)


PRESETS = {preset.__name__: preset for preset in (platformer_ppo, platformer_curriculum)}
