"""A quadruped's links in slow float64 NumPy: places, speeds, energy and momenta, link by link.

Written from the definition of :class:`envs_jax.quadruped.robot.Robot` with 3x3 matrices in the
world's frame, with nothing of the engine's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs_jax.quadruped.engine import Body
from envs_jax.quadruped.robot import Robot

GRAVITY = 9.81


class Link(NamedTuple):
    """A rigid body in the world's frame.

    Attributes:
        mass: kg. tensor: [3, 3], inertia about its centre of mass, kg m^2.
        centre: [3], of mass, m. velocity: of that, m/s. spin: rad/s.
        end: [3], where the next joint or the foot is, m.
    """

    mass: float
    tensor: np.ndarray
    centre: np.ndarray
    velocity: np.ndarray
    spin: np.ndarray
    end: np.ndarray


def links(body: Body, robot: Robot) -> list[Link]:
    """The trunk, then hip, thigh and calf of each leg; of one robot."""
    body, robot = _float64(body), _float64(robot)
    turned = rotation(body.quaternion)
    spin = turned @ body.spin
    origin = body.position
    found = [
        _link(
            turned,
            origin,
            body.velocity,
            spin,
            robot.trunk_mass,
            robot.trunk_com,
            robot.trunk_inertia,
            np.zeros(3),
        )
    ]
    for leg in range(4):
        frame, turning = turned, spin
        joint = origin + turned @ robot.hip[leg]
        velocity = body.velocity + np.cross(spin, joint - origin)
        ends = (robot.thigh[leg], robot.knee[leg], robot.foot[leg])
        for i, axis in enumerate((0, 1, 1)):
            frame = frame @ _about(axis, body.angles[leg, i])
            turning = turning + frame[:, axis] * body.speeds[leg, i]
            link = _link(
                frame,
                joint,
                velocity,
                turning,
                robot.link_mass[leg, i],
                robot.link_com[leg, i],
                robot.link_inertia[leg, i],
                ends[i],
            )
            velocity = velocity + np.cross(turning, link.end - joint)
            joint = link.end
            found.append(link)
    return found


def feet(body: Body, robot: Robot) -> np.ndarray:
    """Middles of the feet, [4, 3], m."""
    return np.stack([link.end for link in links(body, robot)[3::3]])


def energy(body: Body, robot: Robot) -> float:
    """Kinetic energy, with that of the rotors, and potential energy over height 0, J."""
    total = 0.0
    for link in links(body, robot):
        total += 0.5 * link.mass * link.velocity @ link.velocity
        total += 0.5 * link.spin @ link.tensor @ link.spin
        total += link.mass * GRAVITY * link.centre[2]
    speeds = np.asarray(body.speeds, np.float64)
    return float(total + 0.5 * np.sum(np.asarray(robot.armature) * speeds**2))


def momentum(body: Body, robot: Robot) -> np.ndarray:
    """Linear momentum, kg m/s, and angular momentum about the centre of mass, kg m^2/s: [6]."""
    found = links(body, robot)
    middle = centre(body, robot)
    linear = sum(link.mass * link.velocity for link in found)
    angular = sum(
        link.tensor @ link.spin + np.cross(link.centre - middle, link.mass * link.velocity)
        for link in found
    )
    return np.concatenate([linear, angular])


def mass(robot: Robot) -> float:
    """Of the whole robot, kg."""
    return float(robot.trunk_mass) + float(np.sum(robot.link_mass))


def centre(body: Body, robot: Robot) -> np.ndarray:
    """Centre of mass, [3], m."""
    return sum(link.mass * link.centre for link in links(body, robot)) / mass(robot)


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion w x y z."""
    w, v = quaternion[0], np.asarray(quaternion[1:])
    across = np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])
    return np.eye(3) + 2 * w * across + 2 * across @ across


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of quaternions w x y z: the rotation b, then a."""
    scalar = a[0] * b[0] - a[1:] @ b[1:]
    return np.concatenate([[scalar], a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])])


def _link(
    frame: np.ndarray,
    joint: np.ndarray,
    velocity: np.ndarray,
    spin: np.ndarray,
    mass: float,
    com: np.ndarray,
    inertia: np.ndarray,
    end: np.ndarray,
) -> Link:
    xx, yy, zz, xy, xz, yz = inertia
    tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    out = frame @ com
    return Link(
        mass=float(mass),
        tensor=frame @ tensor @ frame.T,
        centre=joint + out,
        velocity=velocity + np.cross(spin, out),
        spin=spin,
        end=joint + frame @ end,
    )


def _about(axis: int, angle: float) -> np.ndarray:
    """Rotation about the x or y axis."""
    c, s = np.cos(angle), np.sin(angle)
    if axis == 0:
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _float64(tree: Any) -> Any:
    return type(tree)(
        **{
            name: _float64(value) if hasattr(value, "__dataclass_fields__") else np.float64(value)
            for name, value in vars(tree).items()
        }
    )
