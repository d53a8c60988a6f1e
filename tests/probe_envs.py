"""Worlds so small that the right values and actions are known.

Importing this module registers them as ``probe/...``.  Most are rows of one table, and the table
is *data*: a program compiled for one of them runs all of them, by another ``env_params``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import envs_jax
from envs_jax import spaces
from envs_jax.base import Environment, EnvParams, EnvState

STATES, ACTIONS = 6, 2
GAMMA = 0.9
NEVER = 10_000


@struct.dataclass
class Place(EnvState):
    state: jax.Array


@struct.dataclass
class Table(EnvParams):
    """A decision process of six states and two actions.

    Attributes:
        observation: float32 [S, S], what is seen in each state (equal rows look alike).
        reward: float32 [S, A].
        following: int32 [S, A], the next state.
        ends: bool [S, A], whether the world ends the episode.
        start: float32 [S], probability of starting there.
    """

    observation: Any = None
    reward: Any = None
    following: Any = None
    ends: Any = None
    start: Any = None
    max_steps_in_episode: int = NEVER


def table(
    reward: Any, following: Any, ends: Any, start: Any, looks: Any = None, limit: int = NEVER
) -> Table:
    """A table from its first rows; a row of one number holds for both actions.

    Args:
        reward, following, ends: one entry per state used.
        start: probabilities of starting in these.
        looks: which of six one-hot observations each state shows; by default its own.
        limit: steps after which episodes are truncated.
    """
    used = len(reward)

    def fill(rows: Any, dtype: Any) -> np.ndarray:
        whole = np.zeros((STATES, ACTIONS), dtype)
        for state, row in enumerate(rows):
            whole[state] = row
        return whole

    sees = np.eye(STATES, dtype=np.float32)
    if looks is not None:
        sees[:used] = sees[list(looks)]
    return Table(
        max_steps_in_episode=limit,
        observation=sees,
        reward=fill(reward, np.float32),
        following=fill(following, np.int32),
        ends=fill(ends, bool),
        start=np.array([*start, *[0.0] * (STATES - used)], np.float32),
    )


TABLES: dict[str, Table] = {
    # One step, reward 1: V = 1.
    "constant": table([1], [0], [True], [1]),
    # What is seen tells the reward: V = -1 and 1.
    "predict": table([-1, 1], [0, 0], [True, True], [0.5, 0.5]),
    # The reward comes a step later: V = gamma, 1.
    "discount": table([0, 1], [1, 0], [False, True], [1, 0]),
    # State 0 asks for action 0, state 1 for action 1: V = 1 once that is learnt.
    "choose": table([[1, -1], [-1, 1]], [0, 0], [True, True], [0.5, 0.5]),
    # Reward 1 in each of five steps, after which the *time limit* strikes: V = 1 / (1 - gamma).
    "truncated": table([1], [0], [False], [1], limit=5),
    # The same five steps, after which the *world* ends: V = 1 + gamma + ... as far as is left.
    "terminated": table([1] * 5, [1, 2, 3, 4, 0], [False] * 4 + [True], [1, 0, 0, 0, 0]),
    # A cue (state 0 or 1), a blank, then a question that looks the same for both cues.
    "memory": table(
        [0, 0, 0, 0, [1, -1], [-1, 1]],
        [2, 3, 4, 5, 0, 0],
        [False] * 4 + [True] * 2,
        [0.5, 0.5, 0, 0, 0, 0],
        looks=[0, 1, 2, 2, 3, 3],
    ),
}


class TableWorld(Environment[Place, Table]):
    """A table; see `TABLES`."""

    def __init__(self, start_with: str = "constant") -> None:
        super().__init__()
        self._name = start_with

    @property
    def default_params(self) -> Table:
        return TABLES[self._name]

    def reset_env(self, key: jax.Array, params: Table) -> tuple[Any, Place]:
        state = Place(0, jax.random.choice(key, STATES, p=jnp.asarray(params.start)))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Place, action: Any, params: Table) -> Any:
        at = (state.state, action)
        following = Place(state.time + 1, jnp.asarray(params.following)[at])
        reward, ends = jnp.asarray(params.reward)[at], jnp.asarray(params.ends)[at]
        info = {"success": reward > 0}
        return self.observe(key, following, action, params), following, reward, ends, info

    def observe(self, key: jax.Array, state: Place, action: Any, params: Table) -> Any:
        return jnp.asarray(params.observation)[state.state]

    def action_space(self, params: Table) -> Any:
        return spaces.Discrete(ACTIONS)

    def observation_space(self, params: Table) -> Any:
        return spaces.Box(0.0, 1.0, (STATES,))


class _OneStep(Environment[Place, EnvParams]):
    """One of two cues, one action, the end."""

    cues = 2

    @property
    def default_params(self) -> EnvParams:
        return EnvParams(max_steps_in_episode=NEVER)

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, Place]:
        state = Place(0, jax.random.randint(key, (), 0, self.cues))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Place, action: Any, params: EnvParams) -> Any:
        reward = self.reward(state.state, action)
        return self.observe(key, state, action, params), state, reward, True, {}

    def observe(self, key: jax.Array, state: Place, action: Any, params: EnvParams) -> Any:
        return self.look(state.state)

    def look(self, cue: jax.Array) -> Any:
        return jax.nn.one_hot(cue, self.cues)

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        raise NotImplementedError

    def action_space(self, params: EnvParams) -> Any:
        return spaces.Discrete(ACTIONS)

    def observation_space(self, params: EnvParams) -> Any:
        return spaces.Box(0.0, 1.0, (self.cues,))


TARGETS = (0.5, -1.0)
"""Best action of the continuous probe for each cue; actions are in [-2, 2]."""


class Reach(_OneStep):
    """Reward -(a - target)^2 in both dimensions, whose target depends on the cue."""

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        target = jnp.asarray(TARGETS)[cue]
        return -jnp.square(action - jnp.stack([target, -target])).sum()

    def action_space(self, params: EnvParams) -> Any:
        return spaces.Box(-2.0, 2.0, (2,))


class Combination(_OneStep):
    """Two choices, of 3 and of 2: reward 1 for each that is right."""

    right = ((2, 0), (0, 1))

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        return (action == jnp.asarray(self.right)[cue]).sum()

    def action_space(self, params: EnvParams) -> Any:
        return spaces.MultiDiscrete((3, 2))


class Forbidden(_OneStep):
    """Action 0 pays 10, 1 pays 1, 2 nothing; under cue 0 the mask forbids action 0."""

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        return jnp.asarray([10.0, 1.0, 0.0])[action]

    def look(self, cue: jax.Array) -> Any:
        allowed = jnp.stack([cue == 1, jnp.bool(True), jnp.bool(True)])
        return {"cue": jax.nn.one_hot(cue, 2), spaces.ACTION_MASK: allowed}

    def action_space(self, params: EnvParams) -> Any:
        return spaces.Discrete(3)

    def observation_space(self, params: EnvParams) -> Any:
        part = spaces.Box(0.0, 1.0, (2,))
        return spaces.Dict({"cue": part, spaces.ACTION_MASK: spaces.Box(0, 1, (3,), jnp.bool)})


class TwoParts(_OneStep):
    """A bit in each of two named parts (of different shape); the right action is their xor."""

    cues = 4

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        return jnp.where(action == (cue // 2) ^ (cue % 2), 1.0, -1.0)

    def look(self, cue: jax.Array) -> Any:
        return {"left": jax.nn.one_hot(cue // 2, 2), "right": (cue % 2).astype(jnp.float32)}

    def observation_space(self, params: EnvParams) -> Any:
        left, right = spaces.Box(0.0, 1.0, (2,)), spaces.Box(0.0, 1.0, ())
        return spaces.Dict({"left": left, "right": right})


SEEN = "seen"
"""The part of `Secret` that says nothing."""


class Secret(_OneStep):
    """Reward -1 or 1 whatever is done; what is seen is the same, a part tells which it will be.

    Args:
        part: name of that part.
    """

    def __init__(self, part: str = spaces.PRIVILEGED) -> None:
        super().__init__()
        self._part = part

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        return 2.0 * cue - 1.0

    def look(self, cue: jax.Array) -> Any:
        # Far from zero, to show whether it is normalised.
        return {SEEN: jnp.ones(2), self._part: 100.0 + jax.nn.one_hot(cue, self.cues)}


class Picture(_OneStep):
    """A dot on a 10x10 grid, bool; its channel is the right action, its place says nothing."""

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, Place]:
        state = Place(0, jax.random.randint(key, (), 0, 200))
        return self.observe(key, state, None, params), state

    def reward(self, cue: jax.Array, action: Any) -> jax.Array:
        return jnp.where(action == cue % 2, 1.0, -1.0)

    def look(self, cue: jax.Array) -> Any:
        return jax.nn.one_hot(cue, 200, dtype=jnp.bool).reshape(10, 10, 2)

    def observation_space(self, params: EnvParams) -> Any:
        return spaces.Box(0, 1, (10, 10, 2), jnp.bool)


@struct.dataclass
class Tick(EnvState):
    number: jax.Array


def tick(number: Any, time: Any) -> jax.Array:
    """What `Ticking` shows at an age of an episode with that number: float32 [..., 3]."""
    return jnp.stack([number, jnp.cos(3 * number + time), jnp.asarray(time) / 4], -1)


class Ticking(Environment[Tick, EnvParams]):
    """Episodes with a number drawn at their start: the world ends each step's with chance 1/8,
    the time limit strikes after five.  The next observation follows from this one.

    Args:
        actions: discrete, masked, multi_discrete or continuous.
    """

    def __init__(self, actions: str = "discrete") -> None:
        super().__init__()
        self._actions = actions

    @property
    def default_params(self) -> EnvParams:
        return EnvParams(max_steps_in_episode=5)

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, Tick]:
        state = Tick(0, jax.random.uniform(key, (), minval=-1.0))
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Tick, action: Any, params: EnvParams) -> Any:
        following = state.replace(time=state.time + 1)
        reward = 1.0 + state.number + 0.1 * jnp.sum(action)
        ends = jax.random.bernoulli(key, 1 / 8)
        return self.observe(key, following, action, params), following, reward, ends, {}

    def observe(self, key: jax.Array, state: Tick, action: Any, params: EnvParams) -> Any:
        seen = tick(state.number, state.time)
        if self._actions != "masked":
            return seen
        return {"seen": seen, spaces.ACTION_MASK: jnp.append(seen > 0.2, True)}

    def action_space(self, params: EnvParams) -> Any:
        return {
            "discrete": spaces.Discrete(3),
            "masked": spaces.Discrete(4),
            "multi_discrete": spaces.MultiDiscrete((3, 2)),
            "continuous": spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 1.0]), (2,)),
        }[self._actions]

    def observation_space(self, params: EnvParams) -> Any:
        seen = spaces.Box(-2.0, 2.0, (3,))
        if self._actions != "masked":
            return seen
        return spaces.Dict({"seen": seen, spaces.ACTION_MASK: spaces.Box(0, 1, (4,), jnp.bool)})


class Recall(Ticking):
    """`Ticking` whose number, -1/2 or 1/2, is to be named in every step: reward -(a - number)^2.

    The part "answer" says it all the time, "glimpse" in an episode's first step only.
    """

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, Tick]:
        state = Tick(0, jax.random.bernoulli(key) - 0.5)
        return self.observe(key, state, None, params), state

    def step_env(self, key: jax.Array, state: Tick, action: Any, params: EnvParams) -> Any:
        observation, following, _, ends, info = super().step_env(key, state, action, params)
        return observation, following, -jnp.square(action - state.number).sum(), ends, info

    def observe(self, key: jax.Array, state: Tick, action: Any, params: EnvParams) -> Any:
        glimpse = jnp.where(jnp.asarray(state.time) == 0, state.number, 0.0)
        return {"answer": state.number[None], "glimpse": glimpse[None]}

    def action_space(self, params: EnvParams) -> Any:
        return spaces.Box(-1.0, 1.0, (1,))

    def observation_space(self, params: EnvParams) -> Any:
        part = spaces.Box(-0.5, 0.5, (1,))
        return spaces.Dict({"answer": part, "glimpse": part})


def _register() -> None:
    envs_jax.register("probe/ticking", Ticking)
    envs_jax.register("probe/recall", Recall)
    for name in TABLES:
        envs_jax.register(f"probe/{name}", lambda name=name: TableWorld(name))
    for world in (Reach, Combination, Forbidden, TwoParts, Secret, Picture):
        envs_jax.register(f"probe/{world.__name__.lower()}", world)


_register()
