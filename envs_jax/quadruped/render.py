"""A robot on its terrain, as a camera that goes along sees it: pictures in NumPy on the host."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.insets import depth_inset, gait_inset, paste, scan_inset, write
from envs_jax.quadruped.rays import Floats, Rays, ground_heights
from envs_jax.quadruped.scene import paint_scene
from envs_jax.quadruped.skeleton import skeleton

if TYPE_CHECKING:
    from envs_jax.quadruped.engine import Body
    from envs_jax.quadruped.robot import Robot

__all__ = ["Painter", "View", "draw"]

Painter = Callable[..., np.ndarray]
"""With the arguments of :func:`~envs_jax.quadruped.scene.paint_scene`."""

_CLEARANCE = 0.12  # m, of the line of sight above ground, if it may rise
_LEAST = math.radians(3.0)  # between the image's edge and straight up or down


class View(NamedTuple):
    """Where the camera is, seen from the robot.

    The defaults look at a robot that goes along +x from behind and from its right.

    Attributes:
        azimuth: anticlockwise from the world's x axis, rad.
        elevation: above the horizon, rad.
        distance: m.
        fov: horizontal angle between the image's edges, rad.
        rise: whether the camera goes up where ground would hide the trunk.
    """

    azimuth: float = math.radians(-130.0)
    elevation: float = math.radians(27.0)
    distance: float = 1.8
    fov: float = math.radians(48.0)
    rise: bool = True


def draw(
    body: Body,
    robot: Robot,
    ground: HeightMap | None = None,
    *,
    view: View | None = None,
    target: np.ndarray | None = None,
    contacts: np.ndarray | None = None,
    scandots: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    depth_limits: tuple[float, float] = (-0.5, 0.5),
    text: str = "",
    size: tuple[int, int] = (360, 480),
    paint: Painter = paint_scene,
) -> np.ndarray:
    """A robot on its terrain, uint8 ``[H, W, 3]``.

    Leaves of body, robot and ground are NumPy arrays, or JAX arrays that are then fetched.

    Args:
        body: where it is.
        robot: of what size.
        ground: below it; None is flat ground at height 0.
        view: from where it is looked at; None is a view from behind.
        target: [3], what the camera looks at, m; None is the trunk. Positions that are averaged
            over some frames make a calmer film.
        contacts: bool ``[T, 4]``: which feet touched the ground, the last row now, when these feet
            are red. With several rows there is a diagram of them in the lower left corner.
        scandots: [n, 3], points on the ground, m; also from above in the upper left corner.
        depth: [h, w], image of the robot's own camera, for the upper right corner.
        depth_limits: what is white and what black in it; these are a normalised image's.
        text: a line in the lower right corner, say :func:`~envs_jax.quadruped.insets.caption`.
        size: height and width, px.
        paint: makes the picture without what is in its corners, as
            :func:`~envs_jax.quadruped.scene.paint_scene` does.

    Raises:
        ValueError: the robot is not at a finite place, or the view is none.
    """
    view = View() if view is None else view
    points = skeleton(body, robot)
    if not all(np.isfinite(part).all() for part in points):
        raise ValueError("body: expected finite position, quaternion and angles")
    if not (view.distance > 0 and 0 < view.fov < 2 and min(size) > 0):
        raise ValueError(f"{view}, {size} px: expected distance and size above 0, fov in (0, 2)")
    if ground is None:
        level: Any = (np.zeros((2, 2), np.float32), np.float32(1), np.zeros(2, np.float32))
        ground = HeightMap(*level)
    robot, ground = jax.device_get((robot, ground))
    looked_at = points.centre if target is None else np.asarray(target, np.float32)
    rays = Rays.towards(_eye(looked_at, ground, view, size), looked_at, view.fov, size)
    touching = None if contacts is None else np.asarray(contacts, bool)[-1]
    pixels = paint(rays, ground, points, robot, touching, scandots)

    margin, width = max(2, size[0] // 60), size[1] // 4
    if scandots is not None:
        paste(pixels, scan_inset(scandots, body, width // 2 * 2), False, False, margin)
    if depth is not None:
        paste(pixels, depth_inset(depth, depth_limits, width), False, True, margin)
    if contacts is not None and len(contacts) > 1:
        paste(pixels, gait_inset(contacts, size[1] // 3), True, False, margin)
    return write(pixels, text, margin) if text else pixels


def _eye(target: Floats, ground: HeightMap, view: View, size: tuple[int, int]) -> Floats:
    """Where the camera is: as asked, or as much higher as the line of sight needs."""
    out = np.array([math.cos(view.azimuth), math.sin(view.azimuth)], np.float32)
    elevation = view.elevation
    if view.rise:
        reach = np.linspace(0.25, view.distance, 32, dtype=np.float32)
        x, y = target[0] + reach * out[0], target[1] + reach * out[1]
        above = ground_heights(ground, x, y) + _CLEARANCE - target[2]
        elevation = max(elevation, float(np.arctan2(above, reach).max()))
    # No ray may point backwards.
    half = math.atan(math.tan(view.fov / 2) * size[0] / size[1])
    steepest = math.pi / 2 - half - _LEAST
    elevation = min(max(elevation, -steepest), steepest)
    away = [*(math.cos(elevation) * out), math.sin(elevation)]
    return (target + view.distance * np.array(away)).astype(np.float32)
