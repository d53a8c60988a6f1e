"""Collaborative pushing: two quadrupeds bring a box to its target.

The "basic" and "safe" presets follow two public runs of HARL's HAPPO on MAPush in numbers and in
what they learnt from: the first agent's reward, and no bootstrap at a time limit.
"""

from typing import Any

from rljax.algorithms.happo_config import TeamConfig
from rljax.algorithms.ppo_config import PPOConfig
from rljax.networks.config import NetworkConfig
from rljax.training.config import Config, EnvConfig, EvaluationConfig

_PUBLIC_NETWORK = NetworkConfig(
    hidden_sizes=(256, 256),
    activation="relu",
    input_norm=True,
    layer_norm="after",
    std="capped",
    initial_std=0.36553,  # half the sigmoid of 1
    max_std=0.5,
)
_EVALUATION = EvaluationConfig(episodes=300)


def _public(name: str, learning_rate: float, max_grad_norm: float) -> Config:
    return Config(
        name=name,
        env=EnvConfig(name="Pushing-v1", params={"state": "observations"}),
        total_steps=100_000_000,
        num_envs=500,
        network=_PUBLIC_NETWORK,
        ppo=PPOConfig(
            rollout_length=200,
            epochs=5,
            minibatches=1,
            learning_rate=learning_rate,
            max_grad_norm=max_grad_norm,
            value_clip=0.2,
            huber_delta=10.0,
            value_coefficient=1.0,
            entropy_coefficient=0.01,
            normalise_advantages="batch",
        ),
        team=TeamConfig(reward="agent0", value_norm=True, harl_truncation=True),
        evaluation=_EVALUATION,
    )


def pushing_happo_basic() -> Config:
    """The public "basic" run: learning rate 5e-4, gradients clipped at 10 (which never binds)."""
    return _public("pushing_happo_basic", 5e-4, 10.0)


def pushing_happo_safe() -> Config:
    """The public "safe" run: learning rate 3e-4, gradients clipped at 0.5.

    Its third change, a flag for normalised advantages, is none: HARL always normalises them.
    """
    return _public("pushing_happo_safe", 3e-4, 0.5)


def _ours(name: str, team: TeamConfig, total_steps: int = 16_000_000, **options: Any) -> Config:
    return Config(
        name=name,
        env=EnvConfig(
            name="Pushing-v1",
            params={"action_repeat": 5, "angles": "sin_cos", "state": "physical", **options},
            random_phase=True,
        ),
        total_steps=total_steps,
        num_envs=256,
        network=NetworkConfig(
            hidden_sizes=(64, 64), activation="tanh", initial_std=1.0, std="learned"
        ),
        ppo=PPOConfig(
            rollout_length=64,
            epochs=4,
            minibatches=4,
            learning_rate=1e-3,
            schedule="linear",
            gamma=0.99,
            gae_lambda=0.95,
            entropy_coefficient=0.0,
            max_grad_norm=1.0,
        ),
        team=team,
        evaluation=_EVALUATION,
    )


_HAPPO = TeamConfig(critic="both", reward="per_agent", value_norm=True)
_MAPPO = TeamConfig(
    sequential=False, share_parameters=True, critic="both", reward="per_agent", value_norm=True
)


def pushing_happo() -> Config:
    """Pushing-v1, our best: to each agent its own reward, decisions at 10 Hz."""
    return _ours("pushing_happo", _HAPPO)


def pushing_mappo() -> Config:
    """The same with MAPPO: one actor for both agents."""
    return _ours("pushing_mappo", _MAPPO)


def pushing_t_block_happo() -> Config:
    """A T-shaped object."""
    return _ours("pushing_t_block_happo", _HAPPO, object_name="t_block")


def pushing_cylinder_happo() -> Config:
    """A cylinder of 1.5 m radius, pushed by three agents."""
    return _ours("pushing_cylinder_happo", _HAPPO, object_name="cylinder")


def pushing_mixed_happo() -> Config:
    """A quick agent and a slow, heavy one, which shared parameters could not tell apart."""
    return _ours(
        "pushing_mixed_happo",
        _HAPPO,
        speed_limit=((0.5, 0.5, 0.5), (0.3, 0.3, 0.3)),
        agent_mass=(11.31, 30.0),
        agent_length=(0.55, 0.8),
        agent_radius=(0.13, 0.18),
    )


PRESETS = {
    preset.__name__: preset
    for preset in (
        pushing_happo,
        pushing_mappo,
        pushing_t_block_happo,
        pushing_cylinder_happo,
        pushing_mixed_happo,
        pushing_happo_basic,
        pushing_happo_safe,
    )
}
