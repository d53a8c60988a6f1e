"""Tasks that need memory: recurrent policies."""

from rljax.algorithms.ppo_config import PPOConfig
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig


def memory_rppo() -> Config:
    """MemoryChain-bsuite: recall a bit that is shown only at the start."""
    return Config(
        name="memory_rppo",
        env=EnvConfig(name="MemoryChain-bsuite"),
        total_steps=500_000,
        num_envs=32,
        network=NetworkConfig(hidden_sizes=(64,), core="gru", core_size=64),
        ppo=PPOConfig(
            rollout_length=64,
            bptt_length=16,
            learning_rate=1e-3,
            schedule="linear",
            entropy_coefficient=0.01,
        ),
    )


def masked_cartpole_rppo() -> Config:
    """MaskedCartPole-v1: CartPole seen without its velocities."""
    return Config(
        name="masked_cartpole_rppo",
        env=EnvConfig(name="MaskedCartPole-v1", normalise_observations=True),
        total_steps=1_000_000,
        num_envs=16,
        network=NetworkConfig(core="gru", core_size=64),
        ppo=PPOConfig(
            rollout_length=128,
            bptt_length=32,
            learning_rate=5e-4,
            schedule="linear",
            entropy_coefficient=0.01,
            value_clip=0.2,
        ),
    )


PRESETS = {"memory_rppo": memory_rppo, "masked_cartpole_rppo": masked_cartpole_rppo}
