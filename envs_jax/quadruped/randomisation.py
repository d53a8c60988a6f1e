"""What differs from episode to episode, so that a policy suits more than one robot on one ground.

Ranges are those of three public tasks or our own: legged_gym (arXiv 2109.11978), extreme-parkour
(arXiv 2309.14341) and MuJoCo Playground's Go1 joystick (arXiv 2502.08844).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.base import EnvParams
from envs_jax.quadruped.robot import Robot

__all__ = ["RANGES", "Drawn", "RandomisationParams", "between", "draw_episode", "randomised"]


@struct.dataclass(kw_only=True)
class RandomisationParams(EnvParams):
    """Ranges (low, high) that are drawn from uniformly once per episode, pushes and noise.

    Attributes:
        friction: of the ground.
        added_mass: of the trunk, kg. shift: of the trunk's centre of mass, along each axis, m.
        strength: factor of the motors' torques and stiffness.
        link_mass: factor of mass and inertia, for each link of the legs.
        armature, joint_friction: factors of those of all joints.
        joint_offset: by which each joint is off what the robot takes it to be, rad.
        delay: of an action, steps of the physics up to a whole control step: low, and high that is
            not reached.
        push_speed: up to which the trunk's horizontal velocity is changed, m/s, along each axis,
            every `push_steps` control steps.
        noise: factor of the observation's noise, which is uniform within +-`noise_spin` rad/s,
            `noise_gravity`, `noise_angles` rad, `noise_speeds` rad/s, `noise_velocity` m/s and
            `noise_scan` m; 0: none.
    """

    friction: tuple[float, float] = (0.5, 1.25)
    added_mass: tuple[float, float] = (-1.0, 1.0)
    shift: tuple[float, float] = (-0.03, 0.03)
    strength: tuple[float, float] = (0.9, 1.1)
    link_mass: tuple[float, float] = (1.0, 1.0)
    armature: tuple[float, float] = (1.0, 1.0)
    joint_friction: tuple[float, float] = (1.0, 1.0)
    joint_offset: tuple[float, float] = (0.0, 0.0)
    delay: tuple[int, int] = (0, 1)
    push_speed: float = 0.5
    push_steps: int = 400
    noise: float = 1.0
    noise_spin: float = 0.2
    noise_gravity: float = 0.05
    noise_angles: float = 0.01
    noise_speeds: float = 1.5
    noise_velocity: float = 0.1
    noise_scan: float = 0.1


_NONE: dict[str, Any] = {
    "added_mass": (0.0, 0.0),
    "shift": (0.0, 0.0),
    "strength": (1.0, 1.0),
    "link_mass": (1.0, 1.0),
    "armature": (1.0, 1.0),
    "joint_friction": (1.0, 1.0),
    "joint_offset": (0.0, 0.0),
    "delay": (0, 1),
    "push_speed": 0.0,
}

RANGES: dict[str, dict[str, Any]] = {
    "own": {},
    "none": {**_NONE, "friction": (0.8, 0.8), "noise": 0.0},
    "legged_gym": {**_NONE, "push_speed": 1.0, "push_steps": 750},
    "extreme_parkour": {
        "friction": (0.6, 2.0),
        "added_mass": (0.0, 3.0),
        "shift": (-0.2, 0.2),
        "strength": (0.8, 1.2),
        "noise": 0.0,
    },
    "playground": {
        **_NONE,
        "friction": (0.4, 1.0),
        "added_mass": (-1.0, 1.0),
        "shift": (-0.05, 0.05),
        "link_mass": (0.9, 1.1),
        "armature": (1.0, 1.05),
        "joint_friction": (0.9, 1.1),
        "joint_offset": (-0.05, 0.05),
        "noise_angles": 0.03,
    },
}
"""What is random in each public task; the rest, and "own", as in :class:`RandomisationParams`.
extreme-parkour also delays actions by a control step from its 8,000th iteration on."""


class Drawn(struct.PyTreeNode):
    """What was drawn for one episode, see :class:`RandomisationParams`; float32 scalars, but for
    `shift` [3], `link_mass` and `joint_offset` [4, 3], and `delay`, int32."""

    friction: jax.Array
    added_mass: jax.Array
    shift: jax.Array
    strength: jax.Array
    link_mass: jax.Array
    armature: jax.Array
    joint_friction: jax.Array
    joint_offset: jax.Array
    delay: jax.Array


_SHAPES: dict[str, tuple[int, ...]] = {"shift": (3,), "link_mass": (4, 3), "joint_offset": (4, 3)}


def between(share: jax.Array, ends: Any, scale: Any = 1.0) -> jax.Array:
    """A number of a range, whose ends may be pulled to 0 by a factor."""
    low, high = jnp.asarray(ends[0]) * scale, jnp.asarray(ends[1]) * scale
    return low + share * (high - low)


def draw_episode(key: jax.Array, params: RandomisationParams) -> Drawn:
    """Draw what is random about an episode's ground and robot."""
    shapes = {name: _SHAPES.get(name, ()) for name in Drawn.__dataclass_fields__}
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    shares = jnp.split(jax.random.uniform(key, (int(ends[-1]),)), ends[:-1])
    drawn = {
        name: between(share.reshape(shape), getattr(params, name))
        for (name, shape), share in zip(shapes.items(), shares, strict=True)
    }
    return Drawn(**drawn | {"delay": jnp.floor(drawn["delay"]).astype(jnp.int32)})


def randomised(robot: Robot, drawn: Drawn) -> Robot:
    """The robot of an episode."""
    factor = drawn.link_mass
    return robot.replace(
        trunk_mass=robot.trunk_mass + drawn.added_mass,
        trunk_com=robot.trunk_com + drawn.shift,
        torque_limit=robot.torque_limit * drawn.strength,
        stiffness=robot.stiffness * drawn.strength,
        link_mass=robot.link_mass * factor,
        link_inertia=robot.link_inertia * factor[..., None],
        armature=robot.armature * drawn.armature,
        joint_friction=robot.joint_friction * drawn.joint_friction,
        home=robot.home + drawn.joint_offset,
        ground=robot.ground.replace(friction=drawn.friction),
    )
