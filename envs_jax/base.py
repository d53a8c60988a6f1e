"""What a world of ours is: gymnax 1.0's ``Environment`` and a few named extras.

A world gives ``default_params``, ``reset_env(key, params) -> (observation, state)``,
``step_env(key, state, action, params) -> (observation, state, reward, terminated, info)``,
``observe(key, state, action, params) -> observation``, ``action_space(params)`` and
``observation_space(params)``; state and params are ``flax.struct`` dataclasses that extend
:class:`EnvState` and :class:`EnvParams`. The time limit is ``is_truncated(state, params)``, by
default ``state.time >= params.max_steps_in_episode``. A world never resets itself: that is
:class:`envs_jax.autoreset.AutoReset`.

Conventions on top of gymnax:

* ``info["success"]`` (bool scalar), where a world has a goal: was this episode a success? Read at
  the episode's last step only.
* ``info["metrics"]`` (a dict of float scalars), where a world tells more of a step than the reward:
  its terms, say, or errors. Means of them are logged.
* a dict observation may have the reserved parts :data:`envs_jax.spaces.ACTION_MASK` and
  :data:`envs_jax.spaces.PRIVILEGED`.
* ``restart_env(key, state, params) -> (observation, state)``, where an episode depends on the one
  before it: the reset after an episode whose last state is `state`.
* ``film(states, params) -> frames``, where a picture of an episode tells of the states before it:
  all its pictures at once, each as ``render`` gives one.
* whatever else differs between episodes (level, terrain, mass) is data in state or params.

Importing this module imports gymnax, and with it starts a JAX backend; the registry therefore
imports worlds only when one is made.
"""

import math
from typing import Generic, TypeVar

import jax
import numpy as np
from gymnax.environments import environment
from gymnax.environments.environment import EnvParams, EnvState

from envs_jax.spaces import action_kind

__all__ = ["EnvParams", "EnvState", "Environment", "MultiAgentEnvironment"]

StateT = TypeVar("StateT", bound=EnvState)
ParamsT = TypeVar("ParamsT", bound=EnvParams)


class Environment(environment.Environment[StateT, ParamsT], Generic[StateT, ParamsT]):
    """One agent in one world."""

    @property
    def num_actions(self) -> int:
        """Number of choices of a Discrete action space, else the length of an action."""
        space = self.action_space(self.default_params)
        return int(space.n) if action_kind(space) == "discrete" else math.prod(space.shape)

    def check_params(self, params: ParamsT) -> None:
        """Optional: refuse numbers that the world cannot have, by a ValueError of one line."""

    def render(self, state: StateT, params: ParamsT) -> np.ndarray:
        """Optional: draw one (unbatched) state on the host, uint8 ``[H, W, 3]``."""
        raise NotImplementedError


class MultiAgentEnvironment(Environment[StateT, ParamsT]):
    """Several agents that act at once in one world.

    Observation, action and reward have a leading axis of ``num_agents``; ``terminated``,
    ``truncated`` and ``info["success"]`` are scalars, for all agents share an episode. The spaces
    are those of *one* agent, without that axis. Agents that differ in size are padded to the
    largest: observations with zeros, actions by the reserved action mask. Where agents come and
    go, a dict observation has the reserved part :data:`envs_jax.spaces.ACTIVE`.
    """

    num_agents: int

    def global_state(self, state: StateT, params: ParamsT) -> jax.Array:
        """All of the world that a centralised critic may see, float32 ``[G]``."""
        raise NotImplementedError
