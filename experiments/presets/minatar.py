"""MinAtar (Young & Tian 2019): Atari games on a 10x10 grid."""

from rljax.algorithms.ppo_config import PPOConfig
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig, EvaluationConfig


def breakout_ppo() -> Config:
    """Breakout-MinAtar: a CNN clears bricks."""
    return Config(
        name="breakout_ppo",
        env=EnvConfig(name="Breakout-MinAtar"),
        total_steps=10_000_000,
        num_envs=64,
        network=NetworkConfig(
            hidden_sizes=(64,), activation="relu", convolution="small", separate_value=False
        ),
        ppo=PPOConfig(
            rollout_length=128,
            minibatches=8,
            learning_rate=5e-3,
            schedule="linear",
            entropy_coefficient=0.01,
        ),
        evaluation=EvaluationConfig(episodes=128, greedy=False),
    )


PRESETS = {"breakout_ppo": breakout_ppo}
