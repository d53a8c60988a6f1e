"""Whole episodes of the particle worlds in one compiled program each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import make

KINDS = [
    (world, continuous)
    for world in ("Spread", "Reference", "SpeakerListener")
    for continuous in (False, True)
]


@pytest.fixture(scope="session")
def made() -> Callable[..., Any]:
    """`make` of a particle world by the front part of its name, once for each set of arguments."""
    return functools.cache(lambda world, **arguments: make(f"{world}-particles", **arguments))


@pytest.fixture(scope="session")
def play(made: Any) -> Callable[..., Any]:
    """Play actions [T, N, ...] from a state: states, observations, rewards, global states, [T]."""

    @functools.cache
    def compiled(world: str, **arguments: Any) -> Any:
        env, _ = made(world, **arguments)

        def run(state: Any, actions: Any, params: Any) -> Any:
            def step(state: Any, action: Any) -> Any:
                seen, state, reward, terminated, info = env.step_env(None, state, action, params)
                whole = env.global_state(state, params)
                return state, (state, seen, reward, whole, terminated, info["success"])

            return jax.lax.scan(step, state, actions)[1]

        return jax.jit(run)

    def play(state: Any, actions: Any, params: Any, world: str, **arguments: Any) -> Any:
        return compiled(world, **arguments)(state, jnp.asarray(actions), params)

    return play


@pytest.fixture(scope="session")
def place(made: Any) -> Callable[..., Any]:
    """A state at rest with given positions, landmarks and goals (or None)."""

    def place(
        world: str, position: Any, landmarks: Any, goals: Any = None, **arguments: Any
    ) -> Any:
        env, params = made(world, **arguments)
        _, state = env.reset_env(jax.random.key(0), params)
        if goals is not None:
            state = state.replace(goals=jnp.asarray(goals, jnp.int32))
        position, landmarks = (np.asarray(a, np.float32) for a in (position, landmarks))
        assert position.shape == state.position.shape
        return state.replace(position=jnp.asarray(position), landmarks=jnp.asarray(landmarks))

    return place


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'box' if kind[1] else 'choice'}")
def kind(request: Any) -> tuple[str, bool]:
    """Name of a world and whether it is continuous: all six."""
    return request.param  # type: ignore[no-any-return]
