"""Four-legged robots as numbers: a trunk and four legs of three joints, all of it traced data.

A leg hangs on the trunk by an abduction joint (about x); its thigh turns about y in the hip, its
calf about y in the knee. Legs are ordered front right, front left, rear right, rear left; joints
abduction, hip, knee. All axes are x forward, y left, z up when the joints are at 0 (legs straight
down).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import struct

from envs_jax.words import check_word

__all__ = ["ROBOTS", "Ground", "Robot", "make_robot"]

# x and y of each leg: front and rear, right and left.
_FRONT = np.array([1.0, 1.0, -1.0, -1.0], np.float32)
_LEFT = np.array([-1.0, 1.0, -1.0, 1.0], np.float32)


class Ground(struct.PyTreeNode):
    """How points of the robot push on the ground: a damped spring and Coulomb friction.

    Attributes:
        stiffness: N/m.
        damping: N s/m.
        friction: coefficient.
        slip: m/s; below this speed friction is viscous, as a stick-slip law without a jump.
        depth: m; deeper points are pushed out no harder, so that nothing is shot up.
    """

    stiffness: Any
    damping: Any
    friction: Any
    slip: Any
    depth: Any


class Robot(struct.PyTreeNode):
    """A quadruped; leaves float32.

    Attributes:
        trunk_mass: kg. trunk_com: [3], m. trunk_inertia: [6], about that (xx yy zz xy xz yz),
            kg m^2. trunk_size: [3], half lengths of the box whose corners touch the ground, m.
        hip: [4, 3], abduction joints in the trunk's frame, m.
        thigh: [4, 3], from there to the hip joints.
        knee: [4, 3], from there to the knees, along a thigh that hangs down.
        foot: [4, 3], from there to the middle of the feet, likewise.
        link_mass: [4, 3], of hip, thigh and calf, kg. link_com: [4, 3, 3], from the link's joint,
            m. link_inertia: [4, 3, 6], about that.
        armature: [3], inertia of the rotors as the joint feels it, kg m^2.
        joint_damping: [3], N m s. joint_friction: [3], N m.
        lower, upper: [4, 3], joint limits, rad. limit_stiffness: N m/rad.
        stiffness, damping: [3], gains of the joints' position control, N m/rad and N m s/rad.
        torque_limit: [3], N m.
        foot_radius, knee_radius: m.
        ground: see :class:`Ground`.
        home: [4, 3], joint angles to stand with, rad. height: of the trunk then, m.
    """

    trunk_mass: Any
    trunk_com: Any
    trunk_inertia: Any
    trunk_size: Any
    hip: Any
    thigh: Any
    knee: Any
    foot: Any
    link_mass: Any
    link_com: Any
    link_inertia: Any
    armature: Any
    joint_damping: Any
    joint_friction: Any
    lower: Any
    upper: Any
    limit_stiffness: Any
    stiffness: Any
    damping: Any
    torque_limit: Any
    foot_radius: Any
    knee_radius: Any
    ground: Ground
    home: Any
    height: Any


def make_robot(name: str = "go1", **changes: Any) -> Robot:
    """A robot by name, with some fields changed.

    Raises:
        ValueError: for an unknown name or field, a value of another shape, masses, lengths or
            limits that no robot can have.
    """
    check_word("robot", name, tuple(ROBOTS))
    robot = _mirrored(ROBOTS[name])
    for field, value in changes.items():
        check_word("robot field", field, tuple(robot.__dataclass_fields__))
        old = np.asarray(getattr(robot, field))
        new = np.asarray(value, np.float32)
        if field == "ground" or new.shape != old.shape:
            raise ValueError(f"robot {field}: shape {new.shape}, expected {old.shape}")
        robot = robot.replace(**{field: new})
    check_robot(robot)
    return robot


def check_robot(robot: Robot) -> None:
    """Refuse what no robot can have.

    Raises:
        ValueError: with the field, its value and what is expected.
    """
    for name in ("trunk_mass", "link_mass", "torque_limit", "armature"):
        value = np.asarray(getattr(robot, name))
        if not (np.isfinite(value) & (value > 0)).all():
            raise ValueError(f"robot {name} {value.min():g}: expected numbers above 0")
    lower, upper = np.asarray(robot.lower), np.asarray(robot.upper)
    wrong = np.argwhere(~(lower < upper))
    if len(wrong):
        leg, joint = wrong[0]
        raise ValueError(
            f"robot limits of leg {leg}, joint {joint}: {lower[leg, joint]:g} to "
            f"{upper[leg, joint]:g}; expected the lower one first"
        )
    home = np.asarray(robot.home)
    if not ((home >= lower) & (home <= upper)).all():
        raise ValueError("robot home: a joint is beyond its limits; expected all within")


def _mirrored(one: Mapping[str, Any]) -> Robot:
    """The robot of which `one` gives the front left leg; the others are its mirror images."""
    signs = np.stack([_FRONT, _LEFT, np.ones(4, np.float32)], -1)  # [4, 3]
    # A thigh and what hangs on it are the same in front and rear, unless the knees point inwards.
    bend = np.where(_FRONT > 0, 1.0, -1.0 if one["knees_inward"] else 1.0).astype(np.float32)
    below = np.stack([bend, _LEFT, np.ones(4, np.float32)], -1)

    def offsets(field: str, mirror: np.ndarray) -> np.ndarray:
        return mirror * np.asarray(one[field], np.float32)

    mirrors = np.stack([signs, below, below], 1)  # [4, 3 links, 3]
    products = np.stack(
        [mirrors[..., 0] * mirrors[..., 1], mirrors[..., 0], mirrors[..., 1]], -1
    )  # of xy, xz and yz
    inertia = np.concatenate([np.ones((4, 3, 3), np.float32), products], -1)
    turns = np.stack([_LEFT, bend, bend], -1)  # mirrored joints turn the other way
    ends = turns[..., None] * np.asarray(one["limits"], np.float32)  # [4, 3, 2]
    number = {name: np.float32(one[name]) for name in _NUMBERS}
    vector = {name: np.asarray(one[name], np.float32) for name in _VECTORS}
    return Robot(
        **number,
        **vector,
        hip=offsets("hip", signs),
        thigh=offsets("thigh", signs),
        knee=offsets("knee", below),
        foot=offsets("foot", below),
        link_mass=np.tile(np.asarray(one["link_mass"], np.float32), (4, 1)),
        link_com=mirrors * np.asarray(one["link_com"], np.float32),
        link_inertia=inertia * np.asarray(one["link_inertia"], np.float32),
        lower=ends.min(-1),
        upper=ends.max(-1),
        ground=Ground(
            **{name: np.float32(value) for name, value in one["ground"].items()},
        ),
        home=turns * np.asarray(one["home"], np.float32),
    )


_NUMBERS = ("trunk_mass", "limit_stiffness", "foot_radius", "knee_radius", "height")
_VECTORS = (
    "trunk_com",
    "trunk_inertia",
    "trunk_size",
    "armature",
    "joint_damping",
    "joint_friction",
    "stiffness",
    "damping",
    "torque_limit",
)
_GROUND = {"stiffness": 8000.0, "damping": 60.0, "friction": 0.6, "slip": 0.01, "depth": 0.03}

_GO1: dict[str, Any] = {
    "trunk_mass": 5.204,
    "trunk_com": (0.0223, 0.002, -0.0005),
    "trunk_inertia": (0.0168, 0.063, 0.0717, 0.0, 0.0, 0.0),
    "trunk_size": (0.188, 0.0935, 0.057),
    "hip": (0.1881, 0.04675, 0.0),
    "thigh": (0.0, 0.08, 0.0),
    "knee": (0.0, 0.0, -0.213),
    "foot": (0.0, 0.0, -0.213),
    "link_mass": (0.68, 1.009, 0.1959),
    "link_com": (
        (-0.0049, -0.0076, 0.0),
        (-0.003, -0.0193, -0.0305),
        (0.0043, 0.0, -0.1462),
    ),
    "link_inertia": (
        (0.00040, 0.00073, 0.00047, 0.0, 0.0, 0.0),
        (0.0046, 0.0048, 0.0007, 0.0, 0.0, 0.0),
        (0.0015, 0.0015, 0.00004, 0.0, 0.0, 0.0),
    ),
    "armature": (0.005, 0.005, 0.005),
    "joint_damping": (0.0, 0.0, 0.0),
    "joint_friction": (0.3, 0.3, 1.0),
    "limits": ((-0.863, 0.863), (-0.686, 4.501), (-2.818, -0.888)),
    "limit_stiffness": 300.0,
    "stiffness": (35.0, 35.0, 35.0),
    "damping": (0.5, 0.5, 0.5),
    "torque_limit": (23.7, 23.7, 35.55),
    "foot_radius": 0.023,
    "knee_radius": 0.03,
    "ground": _GROUND,
    "home": (-0.1, 0.9, -1.8),
    "height": 0.278,
    "knees_inward": False,
}

ROBOTS: dict[str, Mapping[str, Any]] = {"go1": _GO1}
"""By name, the numbers of the front left leg and of the trunk."""
