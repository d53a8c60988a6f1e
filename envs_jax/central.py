"""Observations of a multi-agent world with the global state beside what each agent sees."""

from typing import Any

import jax
import numpy as np

from envs_jax.autoreset import aged, restart
from envs_jax.base import MultiAgentEnvironment
from envs_jax.spaces import GLOBAL_STATE

__all__ = ["WithGlobalState"]


class WithGlobalState(MultiAgentEnvironment[Any, Any]):
    """A multi-agent world whose observation is a dict with the part :data:`GLOBAL_STATE`.

    What an agent sees keeps its parts; a plain array becomes the part ``"observation"``. The
    global state thus goes wherever observations go: into the rollout, the running moments, and the
    bootstrap at a time limit.

    Args:
        world: the world.
    """

    def __init__(self, world: MultiAgentEnvironment[Any, Any]) -> None:
        super().__init__()
        self.world = world
        self.num_agents = world.num_agents
        if hasattr(world, "restart_env"):  # not a method, for it may be absent
            self.restart_env = self._restart_env

    @property
    def name(self) -> str:
        """The world's."""
        return self.world.name

    @property
    def default_params(self) -> Any:
        """The world's."""
        return self.world.default_params

    def _add(self, observation: Any, state: Any, params: Any) -> dict[str, Any]:
        parts = observation if isinstance(observation, dict) else {"observation": observation}
        return {**parts, GLOBAL_STATE: self.world.global_state(state, params)}

    def reset_env(self, key: jax.Array, params: Any) -> tuple[Any, Any]:
        """The world's, with the global state."""
        observation, state = self.world.reset_env(key, params)
        return self._add(observation, state, params), state

    def _restart_env(self, key: jax.Array, state: Any, params: Any) -> tuple[Any, Any]:
        """The world's, with the global state."""
        observation, state = restart(self.world, key, state, params)
        return self._add(observation, state, params), state

    def step_env(
        self, key: jax.Array, state: Any, action: Any, params: Any
    ) -> tuple[Any, Any, jax.Array, jax.Array, dict[Any, Any]]:
        """The world's, with the global state."""
        observation, state, *rest = self.world.step_env(key, state, action, params)
        return self._add(observation, state, params), state, *rest

    def observe(self, key: jax.Array, state: Any, action: Any, params: Any) -> Any:
        """The world's, with the global state."""
        return self._add(self.world.observe(key, state, action, params), state, params)

    def global_state(self, state: Any, params: Any) -> jax.Array:
        """The world's."""
        return self.world.global_state(state, params)

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """The world's."""
        truncated: jax.Array = self.world.is_truncated(state, params)
        return truncated

    def aged(self, key: jax.Array, state: Any, params: Any) -> Any:
        """See :func:`envs_jax.autoreset.aged`."""
        return aged(self.world, key, state, params)

    def action_space(self, params: Any) -> Any:
        """The world's: of one agent."""
        return self.world.action_space(params)

    def observation_space(self, params: Any) -> Any:
        """The world's: of one agent, without the global state."""
        return self.world.observation_space(params)

    def render(self, state: Any, params: Any) -> np.ndarray:
        """The world's."""
        return self.world.render(state, params)
