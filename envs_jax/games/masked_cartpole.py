"""CartPole without its velocities: the smallest world that cannot be solved without memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments.classic_control import cartpole

from envs_jax import spaces
from envs_jax.base import Environment

_SEEN = slice(None, None, 2)  # x and theta, of (x, x_dot, theta, theta_dot)


class MaskedCartPole(Environment[cartpole.EnvState, cartpole.EnvParams]):
    """gymnax's CartPole-v1, of which only ``(x, theta)`` is observed: float32 ``[2]``, in m, rad.

    Physics, reward, termination, time limit and parameters are gymnax's, by delegation. The task
    follows the "velocity masked" control tasks of Wierstra et al., "Recurrent policy gradients"
    (2010).
    """

    def __init__(self) -> None:
        super().__init__()
        self._cartpole = cartpole.CartPole()

    @property
    def name(self) -> str:
        """The registered id."""
        return "MaskedCartPole-v1"

    @property
    def default_params(self) -> cartpole.EnvParams:
        """CartPole's own."""
        return self._cartpole.default_params

    def reset_env(
        self, key: jax.Array, params: cartpole.EnvParams
    ) -> tuple[jax.Array, cartpole.EnvState]:
        """CartPole's start, velocities hidden."""
        observation, state = self._cartpole.reset_env(key, params)
        return observation[_SEEN], state

    def step_env(
        self,
        key: jax.Array,
        state: cartpole.EnvState,
        action: float | jax.Array,
        params: cartpole.EnvParams,
    ) -> tuple[jax.Array, cartpole.EnvState, jax.Array, jax.Array, dict[Any, Any]]:
        """CartPole's step, velocities hidden."""
        observation, *rest = self._cartpole.step_env(key, state, action, params)
        return observation[_SEEN], *rest

    def get_obs(
        self,
        state: cartpole.EnvState,
        params: cartpole.EnvParams | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Position and angle of `state`, float32 ``[2]``."""
        observation: jax.Array = self._cartpole.get_obs(state)
        return observation[_SEEN]

    def is_terminated(self, state: cartpole.EnvState, params: cartpole.EnvParams) -> jax.Array:
        """Whether cart or pole is out of bounds."""
        out_of_bounds: jax.Array = self._cartpole.is_terminated(state, params)
        return out_of_bounds

    def action_space(self, params: cartpole.EnvParams | None = None) -> "spaces.Discrete":
        """Push left (0) or right (1)."""
        return self._cartpole.action_space(params)

    def observation_space(self, params: cartpole.EnvParams) -> "spaces.Box":
        """CartPole's bounds of position and angle."""
        high = jnp.array([2 * params.x_threshold, 2 * params.theta_threshold_radians])
        return spaces.Box(-high, high, (2,))

    def render(self, state: cartpole.EnvState, params: cartpole.EnvParams) -> np.ndarray:
        """The cart and the pole, uint8 ``[H, W, 3]``."""
        from envs_jax.render import draw_cartpole

        return draw_cartpole(state, params)
