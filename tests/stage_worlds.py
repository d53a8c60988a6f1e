"""Worlds for curricula: of given chances, one climbed step by step, one only learnt in order.

Importing this module registers them as ``stages/...``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import envs_jax
from envs_jax import spaces
from envs_jax.base import Environment, EnvParams, EnvState, MultiAgentEnvironment

GROUPS = 3


@struct.dataclass
class Bet(EnvState):
    group: jax.Array


@struct.dataclass
class Odds(EnvParams):
    """Parameters of `Chance`: how likely an episode succeeds, and how likely a step is its last;
    which group it is of; and numbers that all stages share."""

    max_steps_in_episode: int = 20
    chance: float = 0.5
    ends: float = 0.5
    group_probabilities: Any = (0.5, 0.25, 0.25)
    shared: Any = struct.field(default_factory=lambda: np.arange(1000.0, dtype=np.float32))


def _group(key: jax.Array, params: Odds) -> jax.Array:
    edges = jnp.cumsum(jnp.asarray(params.group_probabilities))
    return (jax.random.uniform(key) * edges[-1] >= edges).sum(dtype=jnp.int32)


class Chance(Environment[Bet, Odds]):
    """Episodes of random length that succeed with a given probability, whatever is done.

    Args:
        tells: what of success and group it gives in info, as words.
    """

    def __init__(self, tells: str = "success group") -> None:
        super().__init__()
        self._tells = tells.split()

    @property
    def default_params(self) -> Odds:
        return Odds()

    def reset_env(self, key: jax.Array, params: Odds) -> tuple[Any, Bet]:
        state = Bet(0, _group(key, params))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Bet, action: Any, params: Odds) -> Any:
        end, win = jax.random.split(key)
        state = state.replace(time=state.time + 1)
        success = jax.random.bernoulli(win, params.chance)
        told = {"success": success, "group": state.group}
        info = {name: told[name] for name in self._tells}
        ends = jax.random.bernoulli(end, params.ends)
        observation = self.observe(key, state, action, params)
        return observation, state, success.astype(jnp.float32), ends, info

    def observe(self, key: jax.Array, state: Bet, action: Any, params: Odds) -> Any:
        return jnp.stack([jnp.float32(params.chance), jnp.asarray(state.time, jnp.float32) / 20])

    def action_space(self, params: Odds) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params: Odds) -> Any:
        return spaces.Box(0.0, 1.0, (2,))


class Pair(MultiAgentEnvironment[Bet, Odds]):
    """`Chance` for two, who see it as a dict."""

    num_agents = 2

    def __init__(self) -> None:
        super().__init__()
        self.world = Chance()

    @property
    def default_params(self) -> Odds:
        return Odds()

    def reset_env(self, key: jax.Array, params: Odds) -> tuple[Any, Bet]:
        _, state = self.world.reset_env(key, params)
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Bet, action: Any, params: Odds) -> Any:
        _, state, reward, *rest = self.world.step_env(key, state, action, params)
        return self.observe(key, state, action, params), state, jnp.stack([reward] * 2), *rest

    def observe(self, key: jax.Array, state: Bet, action: Any, params: Odds) -> Any:
        seen = self.world.observe(key, state, action, params)
        return {"observation": jnp.stack([seen, seen])}

    def global_state(self, state: Bet, params: Odds) -> jax.Array:
        return jnp.float32(params.chance)[None]

    def action_space(self, params: Odds) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params: Odds) -> Any:
        return spaces.Box(0.0, 1.0, (2,))


@struct.dataclass
class Rung(Bet):
    number: jax.Array
    score: jax.Array


@struct.dataclass
class Rungs(Odds):
    """Parameters of `Climb`: scores above which one goes up, below which down."""

    up: float = 0.5
    down: float = 0.3


class Climb(Chance):
    """Every step has a random score; that of the last says where an environment with a stage of its
    own goes.  An episode is of the group of the one before, and knows how many there were."""

    group_names = ("flat", "steps", "gaps")

    @property
    def default_params(self) -> Rungs:
        return Rungs()

    def reset_env(self, key: jax.Array, params: Odds) -> tuple[Any, Bet]:
        state = Rung(0, _group(key, params), jnp.int32(0), jnp.float32(0))
        return self.observe(key, state, None, params), state

    def restart_env(self, key: jax.Array, state: Rung, params: Rungs) -> tuple[Any, Rung]:
        state = Rung(0, state.group, state.number + 1, jnp.float32(0))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Bet, action: Any, params: Odds) -> Any:
        state = state.replace(score=jax.random.uniform(jax.random.fold_in(key, 1)))
        _, state, reward, ends, info = super().step_env(key, state, action, params)
        info["success"] = self.stage_move(state, params) > 0
        return self.observe(key, state, action, params), state, reward, ends, info

    def stage_move(self, state: Rung, params: Rungs) -> jax.Array:
        up, down = state.score > params.up, state.score < params.down
        return up.astype(jnp.int32) - down.astype(jnp.int32)

    def observe(self, key: jax.Array, state: Rung, action: Any, params: Odds) -> Any:
        return jnp.stack([state.score, jnp.asarray(state.number, jnp.float32)])

    def observation_space(self, params: Odds) -> Any:
        return spaces.Box(0.0, jnp.inf, (2,))


LONGEST = 9
KEYS = 3


@struct.dataclass
class Turn(EnvState):
    pass


@struct.dataclass
class LockParams(EnvParams):
    max_steps_in_episode: int = 100
    length: int = LONGEST


class Lock(Environment[Turn, LockParams]):
    """Choose the right one of three keys at every turn; a wrong one ends the episode, and only
    after the last turn is there a reward.  Whoever has opened short locks knows the first keys of
    long ones; by chance one in 3^length is opened."""

    @property
    def default_params(self) -> LockParams:
        return LockParams()

    def reset_env(self, key: jax.Array, params: LockParams) -> tuple[Any, Turn]:
        state = Turn(0)
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Turn, action: Any, params: LockParams) -> Any:
        right = action == (state.time * 7 + 1) % 5 % KEYS
        state = state.replace(time=state.time + 1)
        opened = right & (state.time >= params.length)
        observation = self.observe(key, state, action, params)
        return observation, state, opened.astype(jnp.float32), opened | ~right, {"success": opened}

    def observe(self, key: jax.Array, state: Turn, action: Any, params: LockParams) -> Any:
        return jax.nn.one_hot(state.time, LONGEST)

    def action_space(self, params: LockParams) -> Any:
        return spaces.Discrete(KEYS)

    def observation_space(self, params: LockParams) -> Any:
        return spaces.Box(0.0, 1.0, (LONGEST,))


for _world in (Chance, Pair, Climb, Lock):
    envs_jax.register(f"stages/{_world.__name__.lower()}", _world)
