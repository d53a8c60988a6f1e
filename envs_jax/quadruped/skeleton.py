"""Where a robot's joints, feet and corners are in the world, as NumPy arrays for pictures."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.quadruped.dynamics import columns, pose_of, to_world
from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.robot import Robot
from envs_jax.quadruped.spatial import turn

__all__ = ["Skeleton", "skeleton"]

# Signs of the half lengths at each corner, [8, 3].
_CORNERS = tuple((x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0))


class Skeleton(NamedTuple):
    """Points of a robot in the world, m, and the trunk's axes; float32.

    Attributes:
        legs: [4, 4, 3], abduction joint, hip joint, knee and foot of each leg.
        corners: [8, 3], of the trunk's box: z changes fastest, then y, then x, the lower end first.
        centre: [3], of that box.
        axes: [3, 3], the trunk's (forward, left, up) as columns.
    """

    legs: np.ndarray
    corners: np.ndarray
    centre: np.ndarray
    axes: np.ndarray


def skeleton(body: Body, robot: Robot) -> Skeleton:
    """Points of one robot.

    Args:
        body: where it is; leaves JAX or NumPy arrays of one robot, not of a batch.
        robot: of what size.
    """
    return Skeleton(*map(np.asarray, _skeleton(body, robot)))


@jax.jit  # operation by operation it would be the slowest part of a picture
def _skeleton(body: Body, robot: Robot) -> tuple[jax.Array, ...]:
    pose = pose_of(tuple(body.quaternion), columns(body.angles), robot)
    c, s = pose.cosines[0], pose.sines[0]
    joints = [
        jnp.stack(jnp.broadcast_arrays(*to_world(pose, turn(c, s, point))), -1)
        for point in (pose.hip, pose.thigh, pose.knee, pose.foot)
    ]
    axes = jnp.asarray(pose.rotation)
    corners = jnp.asarray(_CORNERS) * robot.trunk_size @ axes.T
    return body.position + jnp.stack(joints, 1), body.position + corners, body.position, axes
