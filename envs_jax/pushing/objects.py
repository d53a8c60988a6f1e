"""The objects to push, by name: shape, mass and the ranges from which an episode is drawn.

A shape is a union of rectangles, rounded: each point within `rounding` of them belongs to it. A
disc is a rounded rectangle without extent.

Source: task and object files of MAPush (arXiv 2411.07104). Where a file gives a moment of inertia
that a solid body could not have, the file is followed.
"""

from typing import NamedTuple

from envs_jax.words import check_word

__all__ = ["OBJECTS", "ObjectKind", "object_kind"]


class ObjectKind(NamedTuple):
    """What `object_name` decides; lengths in m, masses in kg.

    Attributes:
        rectangles: of each its centre (x, y) from the centre of mass, and its half sides (x, y).
        rounding: radius by which the rectangles are rounded.
        mass: in kg.
        inertia: about the centre of mass, in kg m^2.
        friction_range: of the object's own coefficient of friction.
        limit_radius_range: of the radius c of the limit surface: the largest frictional moment
            over the largest frictional force. The first is that of uniform pressure, the second
            that of a support along the rim (at the corners, for a square).
        spawn_radius_range: of the agents' distance from the object at reset.
        num_agents: how many push it, unless told otherwise.
        collision_scale: of the reward for keeping apart.
    """

    rectangles: tuple[tuple[float, float, float, float], ...]
    rounding: float
    mass: float
    inertia: float
    friction_range: tuple[float, float]
    limit_radius_range: tuple[float, float]
    spawn_radius_range: tuple[float, float] = (1.2, 1.3)
    num_agents: int = 2
    collision_scale: float = -0.0025


OBJECTS = {
    "cuboid": ObjectKind(
        rectangles=((0.0, 0.0, 0.6, 0.6),),
        rounding=0.0,
        mass=4.0,
        inertia=0.25,
        friction_range=(0.5, 0.6),
        limit_radius_range=(0.459, 0.849),
    ),
    # A bar of 1.0 x 0.5 m and 2 kg, a stem of 0.5 x 0.5 m and 1 kg, each with 0.01 kg m^2.
    "t_block": ObjectKind(
        rectangles=((0.0, -1 / 6, 0.5, 0.25), (0.0, 1 / 3, 0.25, 0.25)),
        rounding=0.0,
        mass=3.0,
        inertia=0.187,
        friction_range=(0.6, 0.7),
        limit_radius_range=(0.346, 0.64),
    ),
    "cylinder": ObjectKind(
        rectangles=((0.0, 0.0, 0.0, 0.0),),
        rounding=1.5,
        mass=10.0,
        inertia=0.0417,
        friction_range=(0.3, 0.4),
        limit_radius_range=(1.0, 1.5),
        spawn_radius_range=(2.0, 2.5),
        num_agents=3,
        collision_scale=-0.0015,
    ),
}


def object_kind(name: str) -> ObjectKind:
    """Look an object up.

    Raises:
        ValueError: for an unknown name.
    """
    check_word("object_name", name, OBJECTS)
    return OBJECTS[name]
