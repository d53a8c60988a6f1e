"""What an agent sees of a level. Pictures and graphs are in `pixels.py` and `graph.py`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from envs_jax.platformer.levels import Levels
from envs_jax.platformer.paths import SIGHT, Guidance, Paths, clearances
from envs_jax.platformer.state import (
    FALLING,
    JUMPING,
    RUNNING,
    SLIDING,
    WALL_SLIDING,
    Ninja,
    World,
)

__all__ = ["FEATURES", "MINES", "action_mask", "features", "minimal"]

_TOP_SPEED, _LETHAL_SPEED = 10 / 3, 14 / 3  # px a frame
_HOLD, _BUFFER = 45.0, 5.0  # frames
_FAR = 480.0  # px
_NEAR_HOPS, _FAR_HOPS = 34.0, 136.0  # px, the most that two and eight lattice steps are
_DEADLY, _SAFE = 0, 1

MINES = 2
"""How many of the nearest mines are seen, unless something else is said."""

_MINE_FEATURES = ("dx", "dy", "deadly", "untoggled")


def features(mines: int) -> tuple[str, ...]:
    """Names of the numbers of `minimal`, in their order, with so many mines.

    What they mean is in docs/platformer.md.
    """
    return (
        "vx", "vy", "on_floor", "wall", "floor_nx", "floor_slope",
        "running", "sliding", "jumping", "falling", "wall_sliding",
        "jump_held", "jump_left", "jump_buffer", "floor_buffer", "wall_buffer",
        "exit_is_open", "goal_is_lock", "goal_x", "goal_y", "goal_distance", "share_done",
        "near_x", "near_y", "far_x", "far_y",
        *(f"sight_{way}" for way in ("e", "se", "s", "sw", "w", "nw", "n", "ne")),
        *(f"mine{number}_{what}" for number in range(mines) for what in _MINE_FEATURES),
    )  # fmt: skip


FEATURES = features(MINES)
"""Names of the numbers of `minimal` with the usual number of mines."""


def minimal(
    world: World,
    guide: Guidance,
    levels: Levels,
    paths: Paths,
    level: jax.Array,
    mines: int = MINES,
) -> jax.Array:
    """One ninja's situation in numbers of about -1 to 1, float32 ``[len(features(mines))]``.

    Args:
        world: of one ninja.
        guide: where it should go.
        levels: the bank.
        paths: of the bank.
        level: int32, index into it.
        mines: how many of the nearest are told of.
    """
    ninja = world.ninja
    sight = clearances(ninja.x, ninja.y, paths, level) / SIGHT
    return jnp.concatenate(
        [
            _body(ninja),
            _guide(world, guide, paths.total[level]),
            sight,
            _nearest_mines(world, levels.mine_position[level], mines),
        ]
    )


def _body(ninja: Ninja) -> jax.Array:
    on_floor = ~ninja.airborne
    jumping = ninja.state == JUMPING
    parts = [
        ninja.vx / _TOP_SPEED,
        ninja.vy / _LETHAL_SPEED,
        on_floor,
        jnp.where(ninja.walled, ninja.wall_normal, 0.0),
        jnp.where(on_floor, ninja.floor_nx, 0.0),
        jnp.where(on_floor, 1.0 + ninja.floor_ny, 0.0),
        *(ninja.state == state for state in (RUNNING, SLIDING, JUMPING, FALLING, WALL_SLIDING)),
        ninja.jump_held,
        jnp.where(jumping, 1.0 - ninja.jump_duration / _HOLD, 0.0),
        *map(_freshness, (ninja.jump_buffer, ninja.floor_buffer, ninja.wall_buffer)),
    ]
    return _stack(parts)


def _freshness(buffer: jax.Array) -> jax.Array:
    """1 when just set, falling to 0.2 in its last frame, 0 when off."""
    return jnp.where(buffer >= 0, 1.0 - buffer / _BUFFER, 0.0)


def _guide(world: World, guide: Guidance, total: jax.Array) -> jax.Array:
    straight = jnp.clip(guide.to_goal / _FAR, -1.0, 1.0)
    near, far = guide.near / _NEAR_HOPS, guide.far / _FAR_HOPS
    parts = [
        world.exit_active,
        guide.goal >= 0,
        *straight,
        guide.distance / (guide.distance + 0.5 * _FAR),
        jnp.clip(1.0 - guide.remaining / jnp.maximum(total, 1.0), -1.0, 1.0),
        *jnp.clip(near, -2.0, 2.0),
        *jnp.clip(far, -2.0, 2.0),
    ]
    return _stack(parts)


def _nearest_mines(world: World, place: jax.Array, most: int) -> jax.Array:
    """Of the nearest `most` mines within sight: where they are, deadly, untoggled; else zeros."""
    count = world.mine_state.shape[-1]
    told = []
    dx, dy = place[:, 0] - world.ninja.x, place[:, 1] - world.ninja.y
    apart = jnp.where(world.mine_state >= 0, jnp.hypot(dx, dy), jnp.inf)
    for _ in range(min(most, count)):
        nearest = jnp.argmin(apart)
        state = world.mine_state[nearest]
        parts = [dx[nearest] / SIGHT, dy[nearest] / SIGHT, state == _DEADLY, state == _SAFE]
        told.append(jnp.where(apart[nearest] < SIGHT, _stack(parts), 0.0))
        apart = apart.at[nearest].set(jnp.inf)
    zeros = jnp.zeros(len(_MINE_FEATURES) * max(0, most - count))
    return jnp.concatenate([*told, zeros])


def _stack(parts: list[jax.Array]) -> jax.Array:
    return jnp.stack([jnp.asarray(part, jnp.float32) for part in parts])


def action_mask(ninja: Ninja) -> jax.Array:
    """Which of the six actions are not pointless, bool ``[6]``.

    To hold the jump button does nothing unless a jump goes on or is buffered: it has to be let go
    first. Nor does running into the wall at which one stands.
    """
    may_jump = ~ninja.jump_held | (ninja.state == JUMPING) | (ninja.jump_buffer >= 0)
    at_wall = ~ninja.airborne & ninja.walled
    left, right = (~(at_wall & (ninja.wall_normal == away)) for away in (1.0, -1.0))
    return jnp.stack([jnp.ones_like(left), left, right, may_jump, may_jump, may_jump])
