"""Episodes that belong to a stage: the same world under one of several sets of parameters.

A stage overrides some fields of a world's parameters. Only these are stacked, one value for each
stage along a new leading axis; all others (a large bank of levels, say) are there once, shared by
all stages. A reset draws its episode's stage with probabilities that are parameters too, so that
whoever trains may move them inside a compiled program. Who does, and why, is no business of this
module.

Conventions that worlds may follow:

* the parameter ``group_probabilities``, float ``[G]``: how likely a reset is to take its level from
  each of G groups (generators, say). As any other field it may differ between stages; 0 says that
  a stage has no levels of a group.
* ``info["group"]``, int32 scalar: the group of the running episode, told at every step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.autoreset import aged
from envs_jax.base import Environment
from envs_jax.render import render_frame

__all__ = ["GROUPS", "StageParams", "StageState", "WithStages", "draw"]

GROUPS = "group_probabilities"
"""Name of the parameter that says how likely each group of levels is."""

# Stream of a reset's key, far from the small numbers that worlds derive theirs with.
_STAGE = 0x73746167


class StageParams(struct.PyTreeNode):
    """Parameters of a staged world.

    Attributes:
        base: the world's parameters, for all that stages do not override.
        stages: fields that differ between stages, leaves ``[K, ...]``.
        probabilities: float32 ``[K]``, how likely a reset is to start an episode of each stage;
            any weights >= 0, not all of them 0.
    """

    base: Any
    stages: dict[str, Any]
    probabilities: Any


class StageState(struct.PyTreeNode):
    """State of a staged world.

    Attributes:
        world: the world's own state.
        stage: int32 scalar, the stage of the running episode.
    """

    world: Any
    stage: jax.Array


class WithStages(Environment[Any, Any]):
    """A world of one or of several agents whose episodes belong to stages.

    ``info["stage"]`` (int32 scalar) tells the stage of the episode that was stepped, its last step
    included. A running episode keeps its stage, whatever becomes of the probabilities.

    Args:
        world: any environment with gymnax 1.0's interface.
        params: its parameters.
        stages: K >= 1 mappings of field names to the values that these have in a stage. A field
            that some stages do not name keeps its value of `params` in those.

    Raises:
        ValueError: for no stages, a field that the parameters lack, or values that do not stack.
    """

    def __init__(self, world: Any, params: Any, stages: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.world, self.num_stages = world, len(stages)
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
        share = jax.random.uniform(jax.random.fold_in(key, _STAGE))
        stage = draw(share, jnp.asarray(params.probabilities))
        observation, world = self.world.reset_env(key, self.of_stage(stage, params))
        return observation, StageState(world, stage)

    def step_env(
        self, key: jax.Array, state: StageState, action: Any, params: StageParams
    ) -> tuple[Any, StageState, jax.Array, jax.Array, dict[Any, Any]]:
        """The world's step, by the parameters of the episode's stage."""
        observation, world, reward, terminated, info = self.world.step_env(
            key, state.world, action, self.of_stage(state.stage, params)
        )
        info = {**info, "stage": state.stage}
        return observation, state.replace(world=world), reward, terminated, info

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
