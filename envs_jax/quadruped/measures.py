"""What is measured of a robot beside its state: where its feet are, and the ground below it."""

from typing import Any

import jax
import jax.numpy as jnp

from envs_jax.quadruped import dynamics
from envs_jax.quadruped.heights import HeightMap, height_at
from envs_jax.quadruped.robot import Robot
from envs_jax.quadruped.timestep import Body

__all__ = [
    "feet_of",
    "ground_height",
    "on_edge",
    "places_of_feet",
    "rotation_of",
    "wrapped",
    "yaw_of",
]

_EDGE = 0.05  # m around a foot, and m that the ground falls away within it, for an edge


def rotation_of(body: Body) -> jax.Array:
    """From the trunk's axes to the world's, [3, 3]."""
    rows = dynamics.rotation_of(tuple(body.quaternion))
    return jnp.stack([jnp.stack([jnp.asarray(x) for x in row]) for row in rows])


def yaw_of(rotation: jax.Array) -> jax.Array:
    """Where the trunk's forward axis points, rad, of :func:`rotation_of`."""
    return jnp.arctan2(rotation[1, 0], rotation[0, 0])


def feet_of(before: Body, body: Body, robot: Robot, control: Any) -> tuple[jax.Array, jax.Array]:
    """Where the feet are, [4, 3], m, and how fast they went along the ground, [4], m/s."""
    now = places_of_feet(body, robot)
    gone = now - places_of_feet(before, robot)
    return now, jnp.linalg.norm(gone[:, :2], axis=-1) / control


def places_of_feet(body: Body, robot: Robot) -> jax.Array:
    """The middles of the feet, [4, 3], m."""
    pose = dynamics.pose_of(tuple(body.quaternion), tuple(body.angles.T), robot)
    feet, _ = dynamics.to_trunk(pose, (pose.foot, pose.foot))
    world = dynamics.to_world(pose, feet)
    return body.position + jnp.stack([jnp.asarray(x) for x in world], -1)


def on_edge(ground: HeightMap | None, feet: jax.Array) -> jax.Array:
    """Whether the ground falls away beside a foot, bool [4]."""
    if ground is None:
        return jnp.zeros(4, bool)
    x, y = feet[:, 0], feet[:, 1]
    here = height_at(ground, x, y)
    sides = [(_EDGE, 0.0), (-_EDGE, 0.0), (0.0, _EDGE), (0.0, -_EDGE)]
    around = [height_at(ground, x + dx, y + dy) for dx, dy in sides]
    return jnp.stack([here - h > _EDGE for h in around]).any(0)


def wrapped(angle: jax.Array) -> jax.Array:
    """The same angle within +-pi."""
    return (angle + jnp.pi) % (2 * jnp.pi) - jnp.pi


def ground_height(ground: HeightMap | None, place: jax.Array) -> jax.Array:
    """Height of the ground below places [2 or more, ...], of which the first two are x and y, m."""
    return jnp.float32(0) if ground is None else height_at(ground, place[0], place[1])
