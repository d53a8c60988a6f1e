"""Robots that push an object to a target together: MAPush's middle level, in the plane."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax import spaces
from envs_jax.base import MultiAgentEnvironment
from envs_jax.pushing import dynamics
from envs_jax.pushing.objects import object_kind
from envs_jax.pushing.observation import observation_size, observe, physical_state
from envs_jax.pushing.reward import has_failed, has_succeeded, reward_terms
from envs_jax.pushing.world import PushingParams, PushingState, default_params, start
from envs_jax.words import check_word

__all__ = ["Pushing"]

Angles = Literal["radians", "sin_cos"]
GlobalState = Literal["observations", "physical"]


class Pushing(MultiAgentEnvironment[PushingState, PushingParams]):
    """Collaborative pushing (MAPush, arXiv 2411.07104), planar: registered as ``Pushing-v1``.

    Each agent observes float32 ``[2 + 3 n]`` in its own frame (see
    :func:`~envs_jax.pushing.observation.observe`) and gives an unbounded action float32 ``[3]``:
    ``clip(action_gain * action, -1, 1) * speed_limit`` is the forward, sideward and yaw speed that
    it then takes up with a lag. The reward, float32 ``[n]``, is the sum of
    :func:`~envs_jax.pushing.reward.reward_terms`. An episode ends when the object is at the target
    (success), when two agents are too close or the physics is no longer finite (failure), or after
    ``max_steps_in_episode`` steps of ``dt``. The arena of the original has walls at 12 m, which
    nobody reaches within its 20 s; here there are none.

    The physics is in :mod:`~envs_jax.pushing.dynamics`; roll, pitch and height are not modelled.

    Args:
        object_name: "cuboid", "t_block" or "cylinder".
        num_agents: how many push; None for as many as the original has for the object.
        action_repeat: steps of `dt` for which one environment step holds its action. Rewards are
            summed over them; the hold ends with the episode. ``state.time`` counts steps of `dt`.
        angles: "radians", or "sin_cos" for observations ``[2 + 4 n]`` without jumps.
        state: what `global_state` gives: all "observations" one after the other, or the
            "physical" state in the object's frame, with velocities.

    Raises:
        ValueError: for an unknown name, or a number below 1.
    """

    def __init__(
        self,
        object_name: str = "cuboid",
        num_agents: int | None = None,
        action_repeat: int = 1,
        angles: Angles = "radians",
        state: GlobalState = "observations",
    ) -> None:
        super().__init__()
        self._kind = object_kind(object_name)
        self.num_agents = self._kind.num_agents if num_agents is None else num_agents
        _check_count("num_agents", self.num_agents)
        _check_count("action_repeat", action_repeat)
        check_word("angles", angles, get_args(Angles))
        check_word("state", state, get_args(GlobalState))
        self.action_repeat = action_repeat
        self._sin_cos = angles == "sin_cos"
        self._physical = state == "physical"

    @property
    def name(self) -> str:
        """The registered id."""
        return "Pushing-v1"

    @property
    def default_params(self) -> PushingParams:
        """The original's, for the object at hand."""
        return default_params(self._kind, self.num_agents)

    def reset_env(self, key: jax.Array, params: PushingParams) -> tuple[jax.Array, PushingState]:
        """Object at the origin, target and agents around it; friction and lags drawn."""
        state = start(key, params)
        return self.get_obs(state), state

    def step_env(
        self,
        key: jax.Array,
        state: PushingState,
        action: int | float | jax.Array,
        params: PushingParams,
    ) -> tuple[jax.Array, PushingState, jax.Array, jax.Array, dict[Any, Any]]:
        """One environment step: `action_repeat` steps of `dt`, or up to the episode's end."""
        action = jnp.asarray(action)

        def hold(_: int, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            state, total, terminated, _ = carry
            going_on = ~(terminated | self.is_truncated(state, params))
            following = self._control_step(state, action, params)
            return jax.tree.map(
                lambda new, old: jnp.where(going_on, new, old),
                (following[0], total + following[1], *following[2:]),
                carry,
            )

        state, reward, terminated, success = self._control_step(state, action, params)
        if self.action_repeat > 1:
            carry = (state, reward, terminated, success)
            state, reward, terminated, success = jax.lax.fori_loop(
                1, self.action_repeat, hold, carry
            )
        return self.get_obs(state), state, reward, terminated, {"success": success}

    def _control_step(
        self, state: PushingState, action: jax.Array, params: PushingParams
    ) -> tuple[PushingState, jax.Array, jax.Array, jax.Array]:
        """State, reward, terminated and success after `dt`."""
        # A policy that broke down shall not break the world: its robots stop, and have failed.
        is_broken = jnp.isnan(action).any()
        following = dynamics.step(state, jnp.where(is_broken, 0.0, action), params)
        following = following.replace(time=state.time + 1)
        terms = reward_terms(state, following, params)
        reward = sum(terms.values(), jnp.where(is_broken, params.exception_scale, 0.0))
        success = has_succeeded(following, params)
        return following, reward, success | has_failed(following, params) | is_broken, success

    def get_obs(
        self,
        state: PushingState,
        params: PushingParams | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """What every agent sees, float32 ``[n, 2 + 3 n]`` (``[n, 2 + 4 n]`` with "sin_cos")."""
        return observe(state, self._sin_cos)

    def is_terminated(self, state: PushingState, params: PushingParams) -> jax.Array:
        """Whether the object is at the target, or two agents are too close."""
        return has_succeeded(state, params) | has_failed(state, params)

    def global_state(self, state: PushingState, params: PushingParams) -> jax.Array:
        """For a centralised critic, float32 ``[n (2 + 3 n)]`` or, "physical", ``[5 + 7 n]``."""
        return physical_state(state) if self._physical else self.get_obs(state).reshape(-1)

    def action_space(self, params: PushingParams | None = None) -> "spaces.Box":
        """Of one agent: forward, sideward and yaw speed, unbounded (the world clips)."""
        return spaces.Box(-jnp.inf, jnp.inf, (3,))

    def observation_space(self, params: PushingParams) -> "spaces.Box":
        """Of one agent, unbounded."""
        size = observation_size(self.num_agents, self._sin_cos)
        return spaces.Box(-jnp.inf, jnp.inf, (size,))

    def render(self, state: PushingState, params: PushingParams) -> np.ndarray:
        """The ground around object and target from above, uint8 ``[H, W, 3]``."""
        from envs_jax.pushing.render import draw

        return draw(state, params)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} {value!r}: expected a whole number of at least 1, nearest is 1")
