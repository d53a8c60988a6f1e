"""Particle worlds (Lowe et al. 2017) under the settings of HARL (Zhong et al. 2024).

They are as HARL has them: PettingZoo 1.22.2's dynamics and 25 steps, the sum of rewards for every
agent, no advantage for an episode's last step, 20 environments x 200 steps, 10 M steps.  Published
curves are in docs/results.md.
"""

import dataclasses
from typing import Any

from rljax.algorithms.happo_config import TeamConfig
from rljax.algorithms.ppo_config import PPOConfig
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig, EvaluationConfig

HARL_NETWORK = NetworkConfig(
    hidden_sizes=(128, 128),
    activation="relu",
    input_norm=True,
    layer_norm="after",
    std="capped",
    initial_std=0.36553,  # half the sigmoid of 1
    max_std=0.5,
    scale_actions=False,
)
HARL_PPO = PPOConfig(
    rollout_length=200,
    epochs=5,
    minibatches=1,
    learning_rate=5e-4,
    max_grad_norm=10.0,
    clip_epsilon=0.2,
    value_clip=0.2,
    huber_delta=10.0,
    value_coefficient=1.0,
    entropy_coefficient=0.01,
    normalise_advantages="batch",
)
HAPPO = TeamConfig(value_norm=True, harl_truncation=True)
MAPPO = dataclasses.replace(HAPPO, sequential=False, share_parameters=True)


def _particles(name: str, world: str, team: TeamConfig, **options: Any) -> Config:
    return Config(
        name=name,
        env=EnvConfig(
            name=f"{world}-particles",
            params={"pettingzoo_1_22": True, **options},
            reset="full",  # a rollout has eight episodes of each environment, a bank fewer starts
        ),
        total_steps=10_000_000,
        num_envs=20,
        network=HARL_NETWORK,
        ppo=HARL_PPO,
        team=team,
        evaluation=EvaluationConfig(episodes=512),
    )


def spread_happo() -> Config:
    """Spread-particles: three agents cover three landmarks."""
    return _particles("spread_happo", "Spread", HAPPO)


def spread_mappo() -> Config:
    """Spread-particles with MAPPO: one actor for all agents."""
    return _particles("spread_mappo", "Spread", MAPPO)


def spread_continuous_happo() -> Config:
    """Spread-particles with continuous actions."""
    return _particles("spread_continuous_happo", "Spread", HAPPO, continuous=True)


def reference_happo() -> Config:
    """Reference-particles: two agents tell each other where to go."""
    return _particles("reference_happo", "Reference", HAPPO)


def reference_continuous_happo() -> Config:
    """Reference-particles with continuous actions."""
    return _particles("reference_continuous_happo", "Reference", HAPPO, continuous=True)


def speaker_listener_happo() -> Config:
    """SpeakerListener-particles: one agent tells another where to go."""
    return _particles("speaker_listener_happo", "SpeakerListener", HAPPO)


def speaker_listener_continuous_happo() -> Config:
    """SpeakerListener-particles with continuous actions."""
    return _particles(
        "speaker_listener_continuous_happo", "SpeakerListener", HAPPO, continuous=True
    )


PRESETS = {
    preset.__name__: preset
    for preset in (
        spread_happo,
        spread_mappo,
        spread_continuous_happo,
        reference_happo,
        reference_continuous_happo,
        speaker_listener_happo,
        speaker_listener_continuous_happo,
    )
}
