"""gymnax's classic control."""

from rljax.algorithms.ppo_config import PPOConfig
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig


def cartpole_ppo() -> Config:
    """CartPole-v1: balance a pole for 500 steps."""
    return Config(
        name="cartpole_ppo",
        env=EnvConfig(name="CartPole-v1"),
        total_steps=500_000,
        num_envs=8,
        ppo=PPOConfig(
            rollout_length=64,
            learning_rate=2.5e-4,
            schedule="linear",
            entropy_coefficient=0.01,
            value_clip=0.2,
        ),
    )


def acrobot_ppo() -> Config:
    """Acrobot-v1: swing the tip of a double pendulum up."""
    return Config(
        name="acrobot_ppo",
        env=EnvConfig(name="Acrobot-v1", random_phase=True, normalise_observations=True),
        total_steps=1_000_000,
        num_envs=32,
        ppo=PPOConfig(
            rollout_length=128,
            learning_rate=1e-3,
            schedule="linear",
            entropy_coefficient=0.01,
        ),
    )


def pendulum_ppo() -> Config:
    """Pendulum-v1: swing up and balance with a bounded torque."""
    return Config(
        name="pendulum_ppo",
        env=EnvConfig(
            name="Pendulum-v1",
            random_phase=True,
            normalise_observations=True,
            normalise_rewards=True,
        ),
        total_steps=1_000_000,
        num_envs=32,
        ppo=PPOConfig(
            rollout_length=64,
            epochs=10,
            learning_rate=1e-3,
            schedule="linear",
            gamma=0.95,
        ),
    )


def mountaincar_ppo() -> Config:
    """MountainCar-v0: leave a valley with a motor that is too weak."""
    return Config(
        name="mountaincar_ppo",
        env=EnvConfig(
            name="MountainCar-v0",
            random_phase=True,
            normalise_observations=True,
            normalise_rewards=True,
        ),
        total_steps=2_000_000,
        num_envs=64,
        ppo=PPOConfig(
            rollout_length=64,
            learning_rate=1e-3,
            schedule="linear",
            gamma=0.995,
            gae_lambda=0.98,
            entropy_coefficient=0.01,
        ),
        network=NetworkConfig(),
    )


PRESETS = {
    "cartpole_ppo": cartpole_ppo,
    "acrobot_ppo": acrobot_ppo,
    "pendulum_ppo": pendulum_ppo,
    "mountaincar_ppo": mountaincar_ppo,
}
