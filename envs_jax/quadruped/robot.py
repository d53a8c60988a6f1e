"""Four-legged robots as numbers: a trunk and four legs of three joints, all of it traced data.

A leg hangs on the trunk by an abduction joint (about x); its thigh turns about y in the hip, its
calf about y in the knee. Legs are ordered front right, front left, rear right, rear left; joints
abduction, hip, knee. All axes are x forward, y left, z up when the joints are at 0 (legs straight
down).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.quadruped.models import ROBOTS
from envs_jax.quadruped.spatial import Number, Vector
from envs_jax.words import check_word

__all__ = ["ROBOTS", "Ground", "Robot", "corners", "make_robot"]

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
        depth: m; deeper points are pushed out no harder, so that nothing is shot up, but are slowed
            down the more if they go in farther.
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
            kg m^2. trunk_size: [3], half lengths of its box, m, see :func:`corners`.
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
        home: [4, 3], joint angles to stand with, rad. height: of the trunk then, its
            feet just touching the ground, m.
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
    """A robot by name, with some fields changed; `ground` is changed by a mapping of its fields.

    `height` is what the other fields make it, unless it is given.

    Raises:
        ValueError: for an unknown name or field, a value of another shape, masses, lengths or
            limits that no robot can have.
    """
    check_word("robot", name, tuple(ROBOTS))
    robot = _changed("robot", _mirrored(ROBOTS[name]), changes)
    if "height" not in changes:
        robot = robot.replace(height=_standing_height(robot))
    check_robot(robot)
    return robot


def check_robot(robot: Robot) -> None:
    """Refuse what no robot can have.

    Raises:
        ValueError: with the field, its value and what is expected.
    """
    numbers = {**vars(robot), **{f"ground {k}": v for k, v in vars(robot.ground).items()}}
    del numbers["ground"]
    for name, value in numbers.items():
        value = np.asarray(value)
        if not np.isfinite(value).all():
            raise ValueError(f"robot {name} {value[~np.isfinite(value)][0]:g}: expected finite")
        if name in _POSITIVE and not (value > 0).all():
            raise ValueError(f"robot {name} {value.min():g}: expected numbers above 0")
        if name in _AT_LEAST_0 and not (value >= 0).all():
            raise ValueError(f"robot {name} {value.min():g}: expected numbers of at least 0")
    _check_inertia("trunk_inertia", np.asarray(robot.trunk_inertia))
    _check_inertia("link_inertia", np.asarray(robot.link_inertia))
    lower, upper = np.asarray(robot.lower), np.asarray(robot.upper)
    wrong = np.argwhere(~(lower < upper))
    if len(wrong):
        leg, joint = wrong[0]
        raise ValueError(
            f"robot limits of leg {leg}, joint {joint}: {lower[leg, joint]:g} to "
            f"{upper[leg, joint]:g}; expected the lower one first"
        )
    home = np.asarray(robot.home)
    wrong = np.argwhere(~((home >= lower) & (home <= upper)))
    if len(wrong):
        leg, joint = wrong[0]
        raise ValueError(
            f"robot home of leg {leg}, joint {joint}: {home[leg, joint]:g}; expected within "
            f"{lower[leg, joint]:g} to {upper[leg, joint]:g}"
        )


def _changed(owner: str, old: Any, changes: Mapping[str, Any]) -> Any:
    """Some fields of a robot or of its ground replaced, by arrays of the same shapes."""
    new = {}
    for field, value in changes.items():
        check_word(f"{owner} field", field, tuple(old.__dataclass_fields__))
        before = getattr(old, field)
        if isinstance(before, Ground):
            fields = vars(value) if isinstance(value, Ground) else value
            if not isinstance(fields, Mapping):
                raise ValueError(f"{owner} {field} {value!r}: expected a mapping of its fields")
            new[field] = _changed(f"{owner} {field}", before, fields)
            continue
        try:
            new[field] = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise ValueError(f"{owner} {field} {value!r}: expected numbers") from None
        if new[field].shape != before.shape:
            shape = new[field].shape
            raise ValueError(f"{owner} {field}: shape {shape}, expected {before.shape}")
    return old.replace(**new)


def _check_inertia(name: str, inertia: np.ndarray) -> None:
    """Refuse a tensor ``[..., 6]`` that no distribution of mass has."""
    xx, yy, zz, xy, xz, yz = np.moveaxis(inertia.astype(np.float64), -1, 0)
    rows = [np.stack(row, -1) for row in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))]
    moments = np.linalg.eigvalsh(np.stack(rows, -2)).reshape(-1, 3)
    # Moments are sums of the squares of two coordinates each; published ones are rounded.
    wrong = (moments[:, 0] <= 0) | (moments[:, 2] > 1.01 * (moments[:, 0] + moments[:, 1]))
    if wrong.any():
        a, b, c = moments[wrong][0]
        raise ValueError(
            f"robot {name}: moments {a:g}, {b:g}, {c:g}; expected above 0 and none greater than "
            "the sum of the others"
        )


def _standing_height(robot: Robot) -> np.ndarray:
    """Height of the trunk when the lowest foot just touches level ground, m."""
    abduction, hip, knee = np.asarray(robot.home).T

    def z_of(angle: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.cos(angle) * v[:, 2] - np.sin(angle) * v[:, 0]

    side = robot.thigh[:, 1] + robot.knee[:, 1] + robot.foot[:, 1]
    drop = robot.thigh[:, 2] + z_of(hip, robot.knee) + z_of(hip + knee, robot.foot)
    feet = robot.hip[:, 2] + np.sin(abduction) * side + np.cos(abduction) * drop
    return np.asarray(robot.foot_radius - feet.min(), np.float32)


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
    limits = np.broadcast_to(np.asarray(one["limits"], np.float32), (2, 3, 2))  # front and rear
    ends = turns[..., None] * limits[(_FRONT < 0).astype(int)]  # [4, 3, 2]
    number = {name: np.float32(one[name]) for name in _NUMBERS}
    vector = {name: np.asarray(one[name], np.float32) for name in _VECTORS}
    return Robot(
        **number,
        **vector,
        height=np.float32(0.0),
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


def corners(robot: Robot) -> tuple[Vector, Number]:
    """The balls in the trunk's corners, one beside each leg, as tall as the trunk.

    They touch the ground with the same edges whichever way the trunk lies, so none of them comes to
    be in a wall by a turn.

    Returns:
        Their middles in the trunk's frame, three arrays [4, ...], and their radius, m.
    """
    x, y, z = robot.trunk_size
    ahead, left = jnp.sign(robot.hip[:, 0]), jnp.sign(robot.hip[:, 1])
    return (ahead * jnp.maximum(x - z, 0.0), left * jnp.maximum(y - z, 0.0), 0.0 * ahead), z


_NUMBERS = ("trunk_mass", "limit_stiffness", "foot_radius", "knee_radius")
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
_POSITIVE = (
    "trunk_mass",
    "link_mass",
    "armature",
    "torque_limit",
    "foot_radius",
    "ground stiffness",
    "ground slip",
    "ground depth",
)
_AT_LEAST_0 = (
    "trunk_size",
    "joint_damping",
    "joint_friction",
    "limit_stiffness",
    "stiffness",
    "damping",
    "knee_radius",
    "ground damping",
    "ground friction",
)
