"""The quadruped: walking on level ground, over rough terrain and over courses, from scan or depth.

Numbers follow legged_gym and rsl_rl (arXiv 2109.11978), and extreme-parkour (arXiv 2309.14341).
"""

from typing import Any

from rljax.algorithms.ppo_config import PPOConfig
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig, EvaluationConfig


def quadruped_flat() -> Config:
    """Quadruped-v1 on level ground: follow commanded velocities, with a GRU of 64."""
    params: dict[str, Any] = {"whole_body": False}
    return Config(
        name="quadruped_flat",
        env=EnvConfig(name="Quadruped-v1", params=params, reset="full", random_phase=True),
        total_steps=10_000_000,
        num_envs=512,
        network=NetworkConfig(
            hidden_sizes=(64,),
            activation="elu",
            core="gru",
            core_size=64,
            head_sizes=(64,),
            skip_core=True,
            initial_std=0.8,
            scale_actions=False,
        ),
        ppo=PPOConfig(
            rollout_length=24,
            bptt_length=24,
            epochs=5,
            minibatches=4,
            learning_rate=1e-3,
            schedule="adaptive_kl",
            max_grad_norm=1.0,
            value_clip=0.2,
            value_coefficient=1.0,
            entropy_coefficient=0.005,
            normalise_advantages="batch",
        ),
        evaluation=EvaluationConfig(episodes=64),
    )


PRESETS = {preset.__name__: preset for preset in (quadruped_flat,)}
