"""Worlds of several agents in which the right values and actions are known.

Importing this module registers them as ``team/...``.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import envs_jax
import probe_envs
from envs_jax import spaces
from envs_jax.base import EnvParams, EnvState, MultiAgentEnvironment


class Alone(MultiAgentEnvironment[Any, Any]):
    """A world of one agent as a team of one; its global state is what the agent sees."""

    num_agents = 1

    def __init__(self, actions: str = "discrete") -> None:
        super().__init__()
        self.world = probe_envs.Ticking(actions)

    @property
    def default_params(self) -> Any:
        return self.world.default_params

    def _seen(self, observation: Any) -> Any:
        return jax.tree.map(lambda x: x[None], observation)

    def reset_env(self, key: jax.Array, params: Any) -> tuple[Any, Any]:
        observation, state = self.world.reset_env(key, params)
        return self._seen(observation), state

    def step_env(self, key: jax.Array, state: Any, action: Any, params: Any) -> Any:
        observation, state, reward, *rest = self.world.step_env(key, state, action[0], params)
        return self._seen(observation), state, reward[None], *rest

    def observe(self, key: jax.Array, state: Any, action: Any, params: Any) -> Any:
        return self._seen(self.world.observe(key, state, action, params))

    def global_state(self, state: Any, params: Any) -> jax.Array:
        return probe_envs.tick(state.number, state.time)

    def action_space(self, params: Any) -> Any:
        return self.world.action_space(params)

    def observation_space(self, params: Any) -> Any:
        return self.world.observation_space(params)


@struct.dataclass
class Game(EnvState):
    number: jax.Array


@struct.dataclass
class Players(EnvParams):
    """Parameters of `Coordination`: how many of its agents play; the others are inactive."""

    players: int = 2


class Coordination(MultiAgentEnvironment[Game, Players]):
    """Reward 1 if the first half of the players plays 0 and the second 1, or the other way round.

    Kuba et al. 2022, section 3: a shared policy, which plays 0 with one probability p, reaches at
    most 2 p^(n/2) (1-p)^(n/2) = 2 / 2^n.
    """

    def __init__(self, num_agents: int = 2) -> None:
        super().__init__()
        self.num_agents = num_agents

    @property
    def default_params(self) -> Players:
        return Players(max_steps_in_episode=probe_envs.NEVER, players=self.num_agents)

    def reset_env(self, key: jax.Array, params: Players) -> tuple[Any, Game]:
        state = Game(0, jnp.zeros(()))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Game, action: Any, params: Players) -> Any:
        agent = jnp.arange(self.num_agents)
        idle = agent >= params.players
        right = agent >= params.players // 2
        won = ((action == right) | idle).all() | ((action != right) | idle).all()
        reward = jnp.full(self.num_agents, won, jnp.float32)
        return self.observe(key, state, action, params), state, reward, True, {"success": won}

    def observe(self, key: jax.Array, state: Game, action: Any, params: Players) -> Any:
        return {
            "observation": jnp.ones((self.num_agents, 1)),
            spaces.ACTIVE: jnp.arange(self.num_agents) < params.players,
        }

    def global_state(self, state: Game, params: Players) -> jax.Array:
        return jnp.ones(1)

    def action_space(self, params: Players) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params: Players) -> Any:
        return spaces.Box(0.0, 1.0, (1,))


class Product(Coordination):
    """Reward a_1 a_2 of two continuous actions: the differential game of the same paper."""

    def step_env(self, key: jax.Array, state: Game, action: Any, params: EnvParams) -> Any:
        reward = jnp.full(self.num_agents, jnp.prod(action))
        return self.observe(key, state, action, params), state, reward, True, {}

    def observe(self, key: jax.Array, state: Game, action: Any, params: Players) -> Any:
        return jnp.ones((self.num_agents, 1))

    def action_space(self, params: Players) -> Any:
        return spaces.Box(-math.inf, math.inf, (1,))


PAY = (2.0, -1.0)


@struct.dataclass
class Contract(EnvParams):
    """Parameters of `Wages`: what is paid, and whether the world ends every step or only the time
    limit ends an episode."""

    max_steps_in_episode: int = 5
    ends: bool = True
    pay: tuple[float, float] = PAY


class Wages(MultiAgentEnvironment[Game, Contract]):
    """Each of two agents, which see who they are, gets its pay at every step."""

    num_agents = 2

    @property
    def default_params(self) -> Contract:
        return Contract()

    def reset_env(self, key: jax.Array, params: Contract) -> tuple[Any, Game]:
        state = Game(0, jnp.zeros(()))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Game, action: Any, params: Contract) -> Any:
        following = state.replace(time=state.time + 1)
        seen = self.observe(key, following, action, params)
        return seen, following, jnp.stack(params.pay), params.ends, {}

    def observe(self, key: jax.Array, state: Game, action: Any, params: Contract) -> Any:
        return jnp.eye(self.num_agents)

    def global_state(self, state: Game, params: Contract) -> jax.Array:
        return jnp.ones(1)

    def action_space(self, params: Contract) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params: Contract) -> Any:
        return spaces.Box(0.0, 1.0, (self.num_agents,))


@struct.dataclass
class Cues(EnvState):
    cue: jax.Array


class Recall(MultiAgentEnvironment[Cues, EnvParams]):
    """Each of two agents sees a cue, then a question that looks the same after both cues: reward 1
    for the action that is its cue, else -1."""

    num_agents = 2

    @property
    def default_params(self) -> EnvParams:
        return EnvParams(max_steps_in_episode=probe_envs.NEVER)

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, Cues]:
        state = Cues(0, jax.random.randint(key, (self.num_agents,), 0, 2))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Cues, action: Any, params: EnvParams) -> Any:
        following, asked = state.replace(time=state.time + 1), state.time == 1
        reward = jnp.where(asked, jnp.where(action == state.cue, 1.0, -1.0), 0.0)
        return self.observe(key, following, action, params), following, reward, asked, {}

    def observe(self, key: jax.Array, state: Cues, action: Any, params: EnvParams) -> Any:
        return jax.nn.one_hot(jnp.where(state.time == 0, state.cue, 2), 3)

    def global_state(self, state: Cues, params: EnvParams) -> jax.Array:
        return jnp.append(state.cue, state.time).astype(jnp.float32)

    def action_space(self, params: EnvParams) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params: EnvParams) -> Any:
        return spaces.Box(0.0, 1.0, (3,))


class Squad(MultiAgentEnvironment[Game, EnvParams]):
    """Agents with rewards of their own; the time limit strikes after five steps, the world ends an
    episode's step with chance 1/8.

    Args:
        num_agents: how many.
        actions: discrete, masked or continuous.
        rests: whether agents take turns being inactive.
    """

    def __init__(self, num_agents: int = 3, actions: str = "discrete", rests: bool = False) -> None:
        super().__init__()
        self.num_agents, self._actions, self._rests = num_agents, actions, rests

    @property
    def default_params(self) -> EnvParams:
        return EnvParams(max_steps_in_episode=5)

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, Game]:
        state = Game(0, jax.random.uniform(key, (), minval=-1.0))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Game, action: Any, params: EnvParams) -> Any:
        following = state.replace(time=state.time + 1)
        own = 0.3 * action.reshape(self.num_agents, -1).sum(-1)
        reward = state.number + own * jnp.cos(jnp.arange(self.num_agents) + 3 * state.number)
        ends = jax.random.bernoulli(key, 1 / 8)
        return self.observe(key, following, action, params), following, reward, ends, {}

    def observe(self, key: jax.Array, state: Game, action: Any, params: EnvParams) -> Any:
        agent = jnp.arange(self.num_agents)
        seen = jax.vmap(lambda i: probe_envs.tick(state.number + i / 7, state.time))(agent)
        parts = {"observation": seen}
        if self._actions == "masked":
            allowed = jnp.stack([seen[:, 1] > 0.2, seen[:, 1] <= 0.6], -1)
            parts[spaces.ACTION_MASK] = jnp.concatenate(
                [allowed, jnp.ones((self.num_agents, 1), bool)], -1
            )
        if self._rests:
            parts[spaces.ACTIVE] = (agent + state.time) % 3 != 0
        return parts if len(parts) > 1 else seen

    def global_state(self, state: Game, params: EnvParams) -> jax.Array:
        return jnp.stack([state.number, jnp.asarray(state.time, jnp.float32)])

    def action_space(self, params: EnvParams) -> Any:
        if self._actions == "continuous":
            return spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 1.0]), (2,))
        return spaces.Discrete(3)

    def observation_space(self, params: EnvParams) -> Any:
        return spaces.Box(-2.0, 2.0, (3,))


def _register() -> None:
    for world in (Alone, Coordination, Product, Wages, Recall, Squad):
        envs_jax.register(f"team/{world.__name__.lower()}", world)


_register()
