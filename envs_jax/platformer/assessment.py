"""Every level of a bank played once, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.platformer.physics import TOGGLED, UNTOGGLED
from envs_jax.platformer.reward import has_died, has_won
from envs_jax.platformer.state import World

if TYPE_CHECKING:  # it imports gymnax, which starts a backend
    from envs_jax.platformer.env import Platformer, PlatformerParams, PlatformerState

__all__ = ["OUTCOMES", "Play", "play_levels"]

Act = Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, jax.Array]]
"""(carry, observation, reset bool ``[B]``, key) -> (carry, actions ``[B]``)."""

OUTCOMES = ("won", "timeout", "mine", "impact")

_CHUNK = 50  # steps between looks at whether all is over
_BEFORE, _AFTER = 8, 8  # steps before a death from which on, and after it to which, one may live


@dataclasses.dataclass(frozen=True)
class Play:
    """What came of one level each, ``[L]``, with ``T`` steps played at most.

    Attributes:
        outcome: index into `OUTCOMES`.
        frames: until the end.
        avoidable: of deaths, whether 8 steps earlier one of the six actions, held for 16 steps,
            would have kept the ninja alive.
        travelled: px.
        trail: float32 ``[T + 1, L, 2]``, px, after each step.
        steps: until the end.
        worlds: how each was left, leaves ``[L, ...]``.
    """

    outcome: np.ndarray
    frames: np.ndarray
    avoidable: np.ndarray
    travelled: np.ndarray
    trail: np.ndarray
    steps: np.ndarray
    worlds: World


def play_levels(
    env: Platformer, params: PlatformerParams, act: Act, carry: Any, seed: int = 0
) -> Play:
    """Play every level of the bank from its start, all at once.

    Args:
        env: the world.
        params: with the bank.
        act: how to act.
        carry: of a batch of as many environments as there are levels.
        seed: of whatever `act` draws.
    """
    course = env.course
    count = len(course.frames)
    groups = jnp.asarray([course.group_of(level) for level in range(count)], jnp.int32)
    start = jax.jit(jax.vmap(env.start_level, (0, 0, None)))
    observation, state = start(jnp.arange(count), groups, params)
    key = jax.random.key(seed)
    step = jax.vmap(env.step_env, (None, 0, 0, None))

    @jax.jit
    def chunk(loop: Any, number: jax.Array, params: PlatformerParams) -> tuple[Any, Any]:
        def one(loop: Any, number: jax.Array) -> tuple[Any, Any]:
            carry, observation, state, reset = loop
            own = jax.random.fold_in(key, number)
            carry, action = act(carry, observation, reset, own)
            observation, state, *_ = step(own, state, action, params)
            return (carry, observation, state, jnp.zeros_like(reset)), state

        return jax.lax.scan(one, loop, number * _CHUNK + jnp.arange(_CHUNK))

    loop = (carry, observation, state, jnp.ones(count, bool))
    states = [jax.tree.map(lambda leaf: np.asarray(leaf)[None], state)]
    longest = int(params.max_steps_in_episode)
    for number in range(-(-longest // _CHUNK)):
        loop, some = chunk(loop, jnp.int32(number), params)
        states.append(jax.device_get(some))
        if bool((has_won(loop[2].world) | has_died(loop[2].world)).all()):
            break
    path = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: longest + 1], *states)
    return _judge(env, params, path)


def _judge(env: Platformer, params: PlatformerParams, path: PlatformerState) -> Play:
    """From the states ``[T + 1, L]`` of all levels."""
    world = path.world
    won, died = np.asarray(has_won(world)), np.asarray(has_died(world))
    over = won | died
    last = len(over) - 1
    ended = over.any(0)
    steps = np.where(ended, over.argmax(0), last)
    mines = np.asarray(world.mine_state)
    blown = ((mines[:-1] == TOGGLED) & (mines[1:] == UNTOGGLED)).any((0, 2))
    outcome = np.where(~ended, 1, np.where(won[-1], 0, np.where(blown, 2, 3)))
    trail = np.stack([world.ninja.x, world.ninja.y], -1)
    travelled = np.linalg.norm(np.diff(trail, axis=0), axis=-1).sum(0)
    levels = np.arange(trail.shape[1])
    # A frame that ends the level is the last that counts.
    frames = np.asarray(world.frame)[steps, levels]
    back = np.maximum(steps - _BEFORE, 0)
    earlier = jax.tree.map(lambda leaf: jnp.asarray(leaf[back, levels]), path)
    avoidable = np.asarray(_survives(env, params, earlier)) & died[-1]
    left = jax.tree.map(lambda leaf: np.asarray(leaf)[steps, levels], world)
    return Play(outcome, frames, avoidable, travelled, trail, steps, left)


def _survives(env: Platformer, params: PlatformerParams, state: PlatformerState) -> jax.Array:
    """Whether some action, held, keeps each of the ninjas alive: bool ``[L]``."""
    hold = jax.vmap(env.step_env, (None, 0, None, None))

    @jax.jit
    def alive(action: jax.Array, state: PlatformerState, params: PlatformerParams) -> jax.Array:
        def step(_: int, state: PlatformerState) -> PlatformerState:
            return hold(jax.random.key(0), state, action, params)[1]

        state = jax.lax.fori_loop(0, _BEFORE + _AFTER, step, state)
        return ~has_died(state.world)

    tries = [alive(jnp.int32(action), state, params) for action in range(6)]
    return jnp.stack(tries).any(0)
