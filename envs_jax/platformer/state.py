"""What changes from frame to frame: the ninja, and the entities of its level."""

from __future__ import annotations

import jax
from flax import struct

__all__ = ["Ninja", "World"]

# Values of `Ninja.state`.
IMMOBILE, RUNNING, SLIDING, JUMPING, FALLING, WALL_SLIDING, DEAD, DYING, WON = range(9)


class Ninja(struct.PyTreeNode):
    """One ninja; all leaves scalars, or with the same leading axes.

    Attributes:
        x: of the centre, float32, px from the frame's left.
        y: the same, px downwards from the frame's top.
        x_rest: px that rounding took from `x`, so that errors do not add up over frames.
        y_rest: the same of `y`.
        vx: px a frame, float32.
        vy: px a frame, downwards, float32.
        state: int32: 0 immobile, 1 running, 2 ground sliding, 3 jumping, 4 falling, 5 wall
            sliding, 6 dead, 7 awaiting death (within a frame only), 8 won.
        jump_held: whether jump was pressed in the last frame.
        jump_duration: frames since the jump began, int32.
        jump_buffer: frames since jump was pressed in the air, int32, 0 to 4; -1 if longer ago.
        floor_buffer: the same since a floor was touched.
        wall_buffer: the same since a wall was touched.
        airborne: whether no floor was touched in the last frame.
        walled: whether a wall was in reach in the last frame.
        wall_normal: -1.0 or 1.0, away from the wall that was touched last; 0.0 if none ever was.
        floor_nx: unit normal of the floor that was touched last, float32.
        floor_ny: the same, downwards.
    """

    x: jax.Array
    y: jax.Array
    x_rest: jax.Array
    y_rest: jax.Array
    vx: jax.Array
    vy: jax.Array
    state: jax.Array
    jump_held: jax.Array
    jump_duration: jax.Array
    jump_buffer: jax.Array
    floor_buffer: jax.Array
    wall_buffer: jax.Array
    airborne: jax.Array
    walled: jax.Array
    wall_normal: jax.Array
    floor_nx: jax.Array
    floor_ny: jax.Array

    @property
    def held_gravity(self) -> jax.Array:
        """Whether gravity is that of a jump with the button held, bool."""
        return self.state == JUMPING


class World(struct.PyTreeNode):
    """A level as one ninja has left it.

    Attributes:
        ninja: the ninja.
        frame: int32, frames since the start.
        mine_state: int32 ``[M]``: 0 toggled (deadly), 1 untoggled, 2 toggling; -1 for no mine.
        exit_active: bool, whether the exit's switch has been touched.
        door_closed: bool ``[D]``, of locked doors; false where there is none.
    """

    ninja: Ninja
    frame: jax.Array
    mine_state: jax.Array
    exit_active: jax.Array
    door_closed: jax.Array
