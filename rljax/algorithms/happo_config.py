"""Static choices and traced hyperparameters of learning with several agents."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from rljax.algorithms.ppo_config import Hypers, PPOConfig, make_hypers
from rljax.core.config import Count, Positive, config_dataclass


@config_dataclass
class TeamConfig:
    """HAPPO, MAPPO and IPPO: what several agents add to PPO.

    =======  ==========  =================  ========  =========
    name     sequential  share_parameters   critic    reward
    =======  ==========  =================  ========  =========
    HAPPO    True        False              global    mean
    MAPPO    False       True               global    mean
    IPPO     False       either             own       per_agent
    =======  ==========  =================  ========  =========
    """

    sequential: bool = True
    """Whether agents learn one after the other, each weighing its advantages by how much more
    likely those before it have made their actions (HAPPO); else all at once."""
    fixed_order: bool = False
    """Whether they do so in the order of their numbers rather than in a random one."""
    share_parameters: bool = False
    """Whether all agents have the same actor."""
    action_aggregation: Literal["prod", "mean"] = "prod"
    """How the probability ratios of an action's dimensions become one: mean is for continuous
    actions only."""
    critic: Literal["global", "own", "both"] = "global"
    """What the critic sees: the global state, for one value of the team; or what each agent sees,
    alone or with the global state, for a value of each agent."""
    reward: Literal["mean", "sum", "agent0", "per_agent"] = "mean"
    """Whose reward the critic learns from: the agents' mean or sum, the first one's (as HARL does
    for a global state, which is right only where all have the same), or to each its own."""
    value_norm: bool = False
    """Whether the critic's targets are scaled by running statistics."""
    critic_epochs: Count | None = None
    """Passes of the critic over a rollout; none: as many as ppo.epochs."""
    critic_minibatches: Count | None = None
    """Gradient steps of the critic in each pass; none: as many as ppo.minibatches."""
    critic_learning_rate: Positive | None = None
    """The critic's step size at the start; none: ppo.learning_rate."""
    harl_truncation: bool = False
    """Whether a step that a time limit cut off has no advantage, as in HARL, instead of being
    bootstrapped."""

    def __post_init__(self) -> None:
        if self.reward == "per_agent" and self.critic == "global":
            raise ValueError(
                "reward per_agent needs a value of each agent: critic own or both, not global"
            )


class TeamHypers(Hypers):
    """PPO's hyperparameters and the critic's learning rate."""

    critic_learning_rate: jax.Array


def make_team_hypers(config: PPOConfig, team: TeamConfig) -> TeamHypers:
    """Return the hyperparameters as arrays."""
    rate = team.critic_learning_rate or config.learning_rate
    common = make_hypers(config)
    values = {name: getattr(common, name) for name in Hypers.__dataclass_fields__}
    return TeamHypers(**values, critic_learning_rate=jnp.float32(rate))


def critic_config(config: PPOConfig, team: TeamConfig) -> PPOConfig:
    """Return PPO's choices as they are for fitting the critic."""
    return dataclasses.replace(
        config,
        epochs=team.critic_epochs or config.epochs,
        minibatches=team.critic_minibatches or config.minibatches,
    )
