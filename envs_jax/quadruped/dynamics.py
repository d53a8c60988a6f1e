"""Rigid-body dynamics of a quadruped: where its links are, what they weigh, how they accelerate.

Recursive Newton-Euler for the forces of motion, and the articulated-body algorithm for the
accelerations (Featherstone 2008, chapters 5 and 7), leg by leg up to the trunk, whose six by six
system is solved by Cholesky. All vectors of a leg are in the leg's frame: the trunk's, turned about
x by the abduction angle. In it hip and knee turn about y, and all four legs are one set of arrays
``[4, ...]``; a number of the trunk is ``[...]``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from envs_jax.quadruped.robot import Robot
from envs_jax.quadruped.spatial import (
    X_AXIS,
    Y_AXIS,
    ZERO,
    Articulated,
    Inertia,
    Matrix,
    Number,
    Spatial,
    Symmetric,
    Vector,
    about_x,
    add,
    cross,
    cross_force,
    cross_motion,
    less,
    pair,
    plus,
    point_mass,
    rotate,
    scale,
    sum_legs,
    times,
    turn,
    unturn,
)

GRAVITY = 9.81


class Pose(NamedTuple):
    """Where everything is.

    Attributes:
        rotation: rows of the trunk's rotation matrix, numbers ``[...]``.
        cosines, sines: of the angles of abduction, hip, and hip plus knee, ``[4, ...]``.
        hip, thigh, knee, foot: joints and foot in the leg's frame, from the trunk's origin, m.
    """

    rotation: Matrix
    cosines: Vector
    sines: Vector
    hip: Vector
    thigh: Vector
    knee: Vector
    foot: Vector


class Links(NamedTuple):
    """Motion of the links.

    Attributes:
        inertias: of hip, thigh and calf in the leg's frame.
        velocities: of these, about the trunk's origin.
        biases: forces on these that gravity and the velocities alone ask for.
        trunk_bias: the same for the trunk, in its frame.
    """

    inertias: tuple[Inertia, ...]
    velocities: tuple[Spatial, ...]
    biases: tuple[Spatial, ...]
    trunk_bias: Spatial


class Joint(NamedTuple):
    """A joint that was eliminated: its acceleration is ``(force - column . a) / inertia``.

    Attributes:
        column: force that a unit acceleration of the joint asks of the link.
        inertia: kg m^2.
        force: N m.
    """

    column: Spatial
    inertia: Number
    force: Number


def pose_of(quaternion: tuple[Number, ...], angles: Vector, robot: Robot) -> Pose:
    """Where everything is.

    Args:
        quaternion: of the trunk, w x y z, numbers ``[...]``.
        angles: of the joints, numbers ``[4, ...]``.
        robot: its vectors split into numbers, see :func:`columns`.
    """
    abduction, hip, knee = angles
    cosines = (jnp.cos(abduction), jnp.cos(hip), jnp.cos(hip + knee))
    sines = (jnp.sin(abduction), jnp.sin(hip), jnp.sin(hip + knee))
    hip_at = unturn(cosines[0], sines[0], columns(robot.hip))
    thigh_at = add(hip_at, columns(robot.thigh))
    knee_at = add(thigh_at, _pitch(cosines[1], sines[1], columns(robot.knee)))
    foot_at = add(knee_at, _pitch(cosines[2], sines[2], columns(robot.foot)))
    return Pose(rotation_of(quaternion), cosines, sines, hip_at, thigh_at, knee_at, foot_at)


def rotation_of(quaternion: tuple[Number, ...]) -> Matrix:
    """Rows of the rotation matrix of a unit quaternion w x y z."""
    w, x, y, z = quaternion
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


def columns(vectors: jax.Array) -> tuple[jax.Array, ...]:
    """Numbers ``[4, ...]`` of vectors ``[4, n, ...]`` of the legs."""
    return tuple(vectors[:, i] for i in range(vectors.shape[1]))


def axes(pose: Pose) -> tuple[Spatial, ...]:
    """Motion of a leg's links by a unit speed of each joint, in the leg's frame."""
    return (
        (X_AXIS, cross(pose.hip, X_AXIS)),
        (Y_AXIS, cross(pose.thigh, Y_AXIS)),
        (Y_AXIS, cross(pose.knee, Y_AXIS)),
    )


def to_leg(pose: Pose, motion: Spatial) -> Spatial:
    """A spatial vector of the trunk's frame, in those of the legs."""
    c, s = pose.cosines[0], pose.sines[0]
    return unturn(c, s, motion[0]), unturn(c, s, motion[1])


def to_trunk(pose: Pose, force: Spatial) -> Spatial:
    """A spatial vector of the legs' frames, in the trunk's."""
    c, s = pose.cosines[0], pose.sines[0]
    return turn(c, s, force[0]), turn(c, s, force[1])


def trunk_inertia(robot: Robot) -> Inertia:
    """Spatial inertia of the trunk."""
    return point_mass(robot.trunk_mass, tuple(robot.trunk_com), tuple(robot.trunk_inertia))


def links_of(
    pose: Pose, motion: Spatial, speeds: Vector, robot: Robot, joint_accelerations: Vector = ZERO
) -> Links:
    """How the links move, and the forces that takes (recursive Newton-Euler, outward).

    Args:
        pose: where they are.
        motion: of the trunk in its frame, rad/s and m/s.
        speeds: of the joints, rad/s.
        robot: what moves.
        joint_accelerations: of the joints, rad/s^2.
    """
    inertias = _inertias(pose, robot)
    down = scale(-GRAVITY, pose.rotation[2])  # of gravity in the trunk's frame
    trunk = trunk_inertia(robot)
    against_gravity: Spatial = (ZERO, scale(-1.0, down))
    trunk_bias = _force(trunk, motion, against_gravity)
    velocity, acceleration = to_leg(pose, motion), to_leg(pose, against_gravity)
    velocities, biases = [], []
    for inertia, axis, speed, faster in zip(
        inertias, axes(pose), speeds, joint_accelerations, strict=True
    ):
        turning = _scaled(speed, axis)
        acceleration = _sum(acceleration, cross_motion(velocity, turning), _scaled(faster, axis))
        velocity = _sum(velocity, turning)
        velocities.append(velocity)
        biases.append(_force(inertia, velocity, acceleration))
    return Links(inertias, tuple(velocities), tuple(biases), trunk_bias)


def eliminate(
    articulated: Articulated, force: Spatial, axis: Spatial, torque: Number, extra: Number
) -> tuple[Articulated, Spatial, Joint]:
    """Take a joint out of the system.

    Args:
        articulated: inertia of all beyond the joint.
        force: that all of it asks for.
        axis: of the joint.
        torque: of the joint, N m.
        extra: inertia of the joint itself, kg m^2.

    Returns:
        Inertia and force that the link before the joint feels, and the joint.
    """
    column = articulated * axis
    inertia = plus(pair(axis, column), extra)
    remaining = less(torque, pair(axis, force))
    inverse = 1.0 / inertia
    felt = articulated.with_outer(-inverse, column)
    return (
        felt,
        _sum(force, _scaled(remaining * inverse, column)),
        Joint(column, inertia, remaining),
    )


def acceleration_of(joint: Joint, link: Spatial) -> Number:
    """Acceleration of a joint, given that of the link before it, rad/s^2."""
    return (joint.force - pair(link, joint.column)) / joint.inertia


def solve(lower: list[list[Number]], force: list[Number]) -> list[Number]:
    """Solve a symmetric positive system by Cholesky, unrolled.

    Args:
        lower: rows of its lower triangle.
        force: right-hand side.
    """
    size = len(force)
    factor: list[list[Number]] = []
    inverse: list[Number] = []
    for i in range(size):
        row: list[Number] = []
        for j in range(i + 1):
            rest = lower[i][j]
            for k in range(j):
                rest = less(rest, times(row[k], factor[j][k] if j < i else row[k]))
            if j < i:
                row.append(times(rest, inverse[j]))
            else:
                inverse.append(jax.lax.rsqrt(rest))
                row.append(times(rest, inverse[i]))
        factor.append(row)
    forward: list[Number] = []
    for i in range(size):
        rest = force[i]
        for k in range(i):
            rest = less(rest, times(factor[i][k], forward[k]))
        forward.append(times(rest, inverse[i]))
    result: list[Number] = [0.0] * size
    for i in reversed(range(size)):
        rest = forward[i]
        for k in range(i + 1, size):
            rest = less(rest, times(factor[k][i], result[k]))
        result[i] = times(rest, inverse[i])
    return result


def inverse_dynamics(
    quaternion: tuple[Number, ...],
    angles: Vector,
    motion: Spatial,
    speeds: Vector,
    accelerations: tuple[Spatial, Vector],
    robot: Robot,
) -> tuple[Spatial, Vector]:
    """Forces on the trunk and torques of the joints that a motion takes, in free space.

    Args:
        quaternion, angles, motion, speeds: the state, see :func:`pose_of` and :func:`links_of`.
        accelerations: of the trunk (rate of change of `motion`, in its frame) and of the joints.
        robot: what moves.

    Returns:
        Force on the trunk in its frame, and torques; linear in the accelerations, with the mass
        matrix as the factor.
    """
    pose = pose_of(quaternion, angles, robot)
    links = links_of(pose, motion, speeds, robot, accelerations[1])
    leg = to_leg(pose, accelerations[0])
    total: Spatial = (ZERO, ZERO)
    torques: list[Number] = [0.0, 0.0, 0.0]
    for i in reversed(range(3)):
        total = _sum(total, links.biases[i], links.inertias[i] * leg)
        rotor = times(robot.armature[i], accelerations[1][i])
        torques[i] = plus(pair(axes(pose)[i], total), rotor)
    whole = _sum(
        links.trunk_bias,
        trunk_inertia(robot) * accelerations[0],
        sum_spatial(to_trunk(pose, total)),
    )
    return whole, (torques[0], torques[1], torques[2])


def sum_spatial(force: Spatial) -> Spatial:
    """Sum over the legs."""
    angular, linear = force
    return tuple(map(sum_legs, angular)), tuple(map(sum_legs, linear))


def to_world(pose: Pose, v: Vector) -> Vector:
    """A vector of the trunk's frame in the world's."""
    return rotate(pose.rotation, v)


def from_world(pose: Pose, v: Vector) -> Vector:
    """A vector of the world's frame in the trunk's."""
    rows = pose.rotation
    return rotate(tuple(tuple(row[i] for row in rows) for i in range(3)), v)


def _inertias(pose: Pose, robot: Robot) -> tuple[Inertia, ...]:
    joints = (pose.hip, pose.thigh, pose.knee)
    made = []
    for link, joint in enumerate(joints):
        centre: Vector = columns(robot.link_com[:, link])
        tensor: Symmetric = columns(robot.link_inertia[:, link])
        if link > 0:
            c, s = pose.cosines[link], pose.sines[link]
            centre, tensor = _pitch(c, s, centre), _about_y(c, s, tensor)
        made.append(point_mass(robot.link_mass[:, link], add(joint, centre), tensor))
    return tuple(made)


def _force(inertia: Inertia, velocity: Spatial, acceleration: Spatial) -> Spatial:
    """Force that a body's motion takes: the Newton-Euler equation."""
    return _sum(inertia * acceleration, cross_force(velocity, inertia * velocity))


def _pitch(cosine: Number, sine: Number, v: Vector) -> Vector:
    """A vector turned about the y axis."""
    y, z, x = turn(cosine, sine, (v[1], v[2], v[0]))
    return x, y, z


def _about_y(cosine: Number, sine: Number, s: Symmetric) -> Symmetric:
    """A symmetric matrix turned about the y axis: as about x, with the axes renamed."""
    xx, yy, zz, xy, xz, yz = s
    yy, zz, xx, yz, xy, xz = about_x(cosine, sine, (yy, zz, xx, yz, xy, xz))
    return xx, yy, zz, xy, xz, yz


def _sum(*vectors: Spatial) -> Spatial:
    return add(*(v[0] for v in vectors)), add(*(v[1] for v in vectors))


def _scaled(factor: Number, vector: Spatial) -> Spatial:
    return scale(factor, vector[0]), scale(factor, vector[1])
