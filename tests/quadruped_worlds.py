"""A small world of the quadruped for tests, compiled once: all that they vary is parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.randomisation import RANGES
from envs_jax.quadruped.world import QuadrupedParams, QuadrupedState

BATCH = 8
CONTROL = 0.02  # s, a step
SMALL: dict[str, Any] = {"ground": "all", "levels": 3, "cell": 0.2, "roughness": 0.0}
"""All kinds of terrain on a map that is made in moments."""
CALM: dict[str, Any] = {
    **RANGES["none"],
    "spawn_joints": 0.0,
    "spawn_speed": 0.0,
    "spawn_radius": 0.0,
}
"""Parameters that leave nothing to chance but place, direction and command."""


class World(NamedTuple):
    """A world and its functions for a batch.

    Attributes:
        env, params: the world and its default parameters.
        reset: of keys and parameters. restart: of keys, states and parameters.
        step: of keys, states, actions and parameters, as ``step_env``.
    """

    env: Quadruped
    params: QuadrupedParams
    reset: Callable[..., tuple[Any, QuadrupedState]]
    restart: Callable[..., tuple[Any, QuadrupedState]]
    step: Callable[..., tuple[Any, ...]]

    def start(self, kind: str | None = None, seed: int = 0, **changes: Any) -> QuadrupedState:
        """States of a batch that begins, on a kind of terrain."""
        params = self.changed(**changes)
        _, state = self.reset(keys(seed), params)
        if kind is None:
            return state
        column = jnp.full(BATCH, column_of(self.params, kind))
        return self.restart(keys(seed), state.replace(column=column), params)[1]

    def play(
        self, state: QuadrupedState, action: Any = 0.0, seed: int = 0, **changes: Any
    ) -> tuple[Any, ...]:
        """Step a batch, all by one action or each by its own; what ``step_env`` returns."""
        actions = jnp.broadcast_to(jnp.asarray(action, jnp.float32), (BATCH, 12))
        return self.step(keys(seed), strong(state), actions, self.changed(**changes))

    def changed(self, **changes: Any) -> QuadrupedParams:
        """The parameters with some changed, of the same types, for these programs to be kept."""
        cast = lambda old, new: jnp.asarray(new, old.dtype)
        values = {
            name: jax.tree.map(cast, getattr(self.params, name), value)
            for name, value in changes.items()
        }
        return self.params.replace(**values)


def keys(seed: int = 0, count: int = BATCH) -> jax.Array:
    """Of a batch."""
    return jax.random.split(jax.random.key(seed), count)


def column_of(params: QuadrupedParams, kind: str) -> int:
    """The first column of a kind."""
    assert params.terrain is not None
    return int(np.argmax(np.asarray(params.terrain.kinds) == list(KINDS).index(kind)))


@functools.cache
def world() -> World:
    """With every part that there is."""
    env = Quadruped(**SMALL, scan="parkour", depth=(6, 9), privileged=True)
    return World(
        env,
        strong(env.default_params),
        jax.jit(lambda *given: strong(jax.vmap(env.reset_env, (0, None))(*given))),
        jax.jit(lambda *given: strong(jax.vmap(env.restart_env, (0, 0, None))(*given))),
        jax.jit(lambda *given: strong(jax.vmap(env.step_env, (0, 0, 0, None))(*given))),
    )


def strong(tree: Any) -> Any:
    """Arrays of types that are not weak."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), tree)
