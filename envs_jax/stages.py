"""Episodes that belong to a stage: the same world under one of several sets of parameters.

A stage overrides some fields of a world's parameters. Only these are stacked, one value for each
stage along a new leading axis; all others (a large bank of levels, say) are there once, shared by
all stages.

Who says which stage an episode is of? Either each reset draws it, with probabilities that are
parameters too, so that whoever trains may move them inside a compiled program; who does, and why,
is no business of this module. Or each environment has a stage of its own: only its first is drawn,
and from then on it moves at the end of each of its episodes, up, down or not at all. That is the
curriculum of terrains of Rudin et al. (2022, arXiv:2109.11978), as in legged_gym's
``_update_terrain_curriculum``.

Conventions that worlds may follow:

* the parameter ``group_probabilities``, float ``[G]``: how likely a reset is to take its level from
  each of G groups (generators, say). As any other field it may differ between stages; 0 says that
  a stage has no levels of a group.
* ``info["group"]``, int32 scalar: the group of the running episode, told at every step.
* ``group_names``, tuple of G words: what the groups are called. With it, episodes can be counted by
  group also where no parameter says how many there are.
* ``stage_move(state, params)``, int32 scalar: by how many stages an environment with a stage of its
  own moves after an episode whose last state is `state`, in a stage whose parameters are `params`.
  Worlds without it move up by one after a success (``info["success"]``), else down by one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.autoreset import AutoReset, aged, restart
from envs_jax.base import Environment
from envs_jax.render import render_episode, render_frame
from envs_jax.words import check_word

__all__ = ["GROUPS", "StageParams", "StageState", "WithStages", "draw"]

Moves = Literal["drawn", "own"]

GROUPS = "group_probabilities"
"""Name of the parameter that says how likely each group of levels is."""

# Stream of a reset's key, far from the small numbers that worlds derive theirs with.
_STAGE = 0x73746167


class StageParams(struct.PyTreeNode):
    """Parameters of a staged world.

    Attributes:
        base: the world's parameters, for all that stages do not override.
        stages: fields that differ between stages, leaves ``[K, ...]``.
        probabilities: float32 ``[K]``, how likely it is to draw each stage; any weights >= 0, not
            all of them 0.
    """

    base: Any
    stages: dict[str, Any]
    probabilities: Any


class StageState(struct.PyTreeNode):
    """State of a staged world.

    Attributes:
        world: the world's own state.
        stage: int32 scalar, the stage of the running episode.
        success: bool scalar, ``info["success"]`` of the last step, where the next stage is decided
            by it; else None.
    """

    world: Any
    stage: jax.Array
    success: jax.Array | None = None


class WithStages(Environment[Any, Any]):
    """A world of one or of several agents whose episodes belong to stages.

    ``info["stage"]`` (int32 scalar) tells the stage of the episode that was stepped, its last step
    included. A running episode keeps its stage, whatever becomes of the probabilities.

    Args:
        world: any environment with gymnax 1.0's interface.
        params: its parameters.
        stages: K >= 1 mappings of field names to the values that these have in a stage. A field
            that some stages do not name keeps its value of `params` in those.
        moves: ``drawn``: every episode's stage is drawn; ``own``: each environment has its own,
            which moves. Below the first stage is the first; beyond the last is any of them, all
            equally likely, lest those who are through forget the others.

    Raises:
        ValueError: for no stages, a field that the parameters lack, values that do not stack, or
            a world that does not tell how stages of environments should move.
    """

    def __init__(
        self,
        world: Any,
        params: Any,
        stages: Sequence[Mapping[str, Any]],
        moves: Moves = "drawn",
    ) -> None:
        super().__init__()
        check_word("moves", moves, get_args(Moves))
        self.world, self.num_stages, self.moves = world, len(stages), moves
        self._by_success = moves == "own" and not hasattr(world, "stage_move")
        if self._by_success and AutoReset(world).told(params).success is None:
            raise ValueError(
                f"moves 'own': {world.name} has neither stage_move nor info['success'], by which "
                "stages of environments move; expected either"
            )
        if moves == "own" or hasattr(world, "restart_env"):  # not a method, for it may be absent
            self.restart_env = self._restart_env
        self._params = StageParams(
            base=params,
            stages=_stack(params, stages),
            probabilities=np.full(self.num_stages, 1 / self.num_stages, np.float32),
        )
        if hasattr(world, "num_agents"):
            self.num_agents = world.num_agents

    @property
    def name(self) -> str:
        """The world's."""
        return self.world.name

    @property
    def default_params(self) -> StageParams:
        """The stages, all equally likely."""
        return self._params

    def of_stage(self, stage: Any, params: StageParams) -> Any:
        """The world's own parameters in a stage (int32 scalar)."""
        chosen = jax.tree.map(lambda values: jnp.asarray(values)[stage], params.stages)
        return params.base.replace(**chosen)

    def reset_env(self, key: jax.Array, params: StageParams) -> tuple[Any, StageState]:
        """Start an episode of a random stage; the world's own reset gets `key` as it is."""
        stage = _random(key, jnp.asarray(params.probabilities))
        observation, world = self.world.reset_env(key, self.of_stage(stage, params))
        return observation, self._begin(world, stage)

    def _restart_env(
        self, key: jax.Array, state: StageState, params: StageParams
    ) -> tuple[Any, StageState]:
        """Start the episode after one that ended in `state`.

        The world's own restart gets `key` as it is, and the parameters of the new episode's stage.
        """
        if self.moves == "own":
            stage = self._moved(key, state, params)
        else:
            stage = _random(key, jnp.asarray(params.probabilities))
        own = self.of_stage(stage, params)
        observation, world = restart(self.world, key, state.world, own)
        return observation, self._begin(world, stage)

    def _moved(self, key: jax.Array, state: StageState, params: StageParams) -> jax.Array:
        """The stage after an episode's last state."""
        if state.success is None:
            move = self.world.stage_move(state.world, self.of_stage(state.stage, params))
        else:
            move = jnp.where(state.success, 1, -1)
        stage = jnp.maximum(state.stage + move, 0).astype(jnp.int32)
        return jnp.where(stage < self.num_stages, stage, _random(key, jnp.ones(self.num_stages)))

    def _begin(self, world: Any, stage: jax.Array) -> StageState:
        return StageState(world, stage, jnp.bool(False) if self._by_success else None)

    def step_env(
        self, key: jax.Array, state: StageState, action: Any, params: StageParams
    ) -> tuple[Any, StageState, jax.Array, jax.Array, dict[Any, Any]]:
        """The world's step, by the parameters of the episode's stage."""
        observation, world, reward, terminated, info = self.world.step_env(
            key, state.world, action, self.of_stage(state.stage, params)
        )
        success = jnp.asarray(info["success"]).astype(jnp.bool) if self._by_success else None
        info = {**info, "stage": state.stage}
        return observation, StageState(world, state.stage, success), reward, terminated, info

    def observe(self, key: jax.Array, state: StageState, action: Any, params: StageParams) -> Any:
        """The world's."""
        return self.world.observe(key, state.world, action, self.of_stage(state.stage, params))

    def is_truncated(self, state: StageState, params: StageParams) -> jax.Array:
        """The world's, by the time limit of the episode's stage."""
        own = self.of_stage(state.stage, params)
        truncated: jax.Array = self.world.is_truncated(state.world, own)
        return truncated

    def aged(self, key: jax.Array, state: StageState, params: StageParams) -> StageState:
        """See :func:`envs_jax.autoreset.aged`; the age is below the stage's time limit."""
        own = self.of_stage(state.stage, params)
        return state.replace(world=aged(self.world, key, state.world, own))

    def global_state(self, state: StageState, params: StageParams) -> jax.Array:
        """The world's, where it has several agents."""
        own = self.of_stage(state.stage, params)
        seen: jax.Array = self.world.global_state(state.world, own)
        return seen

    def action_space(self, params: StageParams) -> Any:
        """The world's: the same in all stages."""
        return self.world.action_space(params.base)

    def observation_space(self, params: StageParams) -> Any:
        """The world's: the same in all stages."""
        return self.world.observation_space(params.base)

    def render(self, state: StageState, params: StageParams) -> np.ndarray:
        """As the world is drawn."""
        return render_frame(self.world, self.of_stage(state.stage, params), state.world)

    def film(self, states: Sequence[StageState], params: StageParams) -> list[np.ndarray]:
        """As the world is filmed; an episode is all in one stage."""
        own = self.of_stage(states[0].stage, params)
        return render_episode(self.world, own, [state.world for state in states])


def _random(key: jax.Array, weights: jax.Array) -> jax.Array:
    """A stage, drawn from a stream of a reset's key."""
    return draw(jax.random.uniform(jax.random.fold_in(key, _STAGE)), weights)


def draw(share: jax.Array, weights: jax.Array) -> jax.Array:
    """An index with probability in proportion to its weight, int32 scalar.

    A few additions, for there is one draw in every reset. An index of weight 0 is never drawn: a
    number below 1 times the sum stays below the sum.

    Args:
        share: uniform random number in [0, 1).
        weights: float32 ``[n]``, >= 0, not all of them 0.
    """
    edges = jnp.cumsum(weights)
    return jnp.minimum((share * edges[-1] >= edges).sum(dtype=jnp.int32), len(weights) - 1)


def _stack(params: Any, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values ``[K, ...]`` of every field that a stage names."""
    if not stages:
        raise ValueError("no stages given: expected one or more")
    stacked = {}
    for name in dict.fromkeys(name for stage in stages for name in stage):
        if not hasattr(params, name):
            raise ValueError(f"stages: {type(params).__name__} has no field {name!r}")
        values = [stage.get(name, getattr(params, name)) for stage in stages]
        try:
            stacked[name] = jax.tree.map(_stacked, *values)
        except (TypeError, ValueError):
            raise ValueError(
                f"stages: values of {name!r} do not stack: expected the same shape in all stages"
            ) from None
    return stacked


def _stacked(*values: Any) -> np.ndarray:
    whole = np.stack([np.asarray(value) for value in values])
    return whole.astype(jax.dtypes.canonicalize_dtype(whole.dtype))
