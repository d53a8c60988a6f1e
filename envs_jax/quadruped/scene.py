"""What a camera sees of a robot and its ground: a picture in NumPy.

For each pixel the nearest of what its ray meets is shaded by one distant lamp, so that risers,
treads and walls differ, and the robot's shadow shows how high its feet are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs_jax.canvas import Colour
from envs_jax.quadruped.insets import tints
from envs_jax.quadruped.rays import (
    Floats,
    Rays,
    box_hits,
    capsule_hits,
    ground_hits,
    ground_normals,
)

if TYPE_CHECKING:
    from envs_jax.quadruped.heights import HeightMap
    from envs_jax.quadruped.robot import Robot
    from envs_jax.quadruped.skeleton import Skeleton

__all__ = [
    "DOT",
    "FACE",
    "FACE_FROM",
    "FAR",
    "GROUND",
    "HAZE",
    "LAMP",
    "SKY",
    "TILE",
    "TRUNK",
    "Part",
    "paint_scene",
    "parts_of",
]

_SHARP = 8.0  # m, up to which no edge of the ground is missed
FAR = 14.0  # m, up to which ground is seen
DOT = 0.016  # m, radius of a scandot
TILE = 0.5  # m, of the pattern that shows motion over level ground
SKY = np.array((150, 180, 215), np.float32)
HAZE = np.array((228, 234, 238), np.float32)
GROUND = np.array((182, 174, 156), np.float32)
TRUNK: Colour = (225, 180, 60)
FACE: Colour = (50, 50, 55)  # the trunk's front
FACE_FROM = 0.6  # of its half length
_LEG: tuple[Colour, Colour, Colour] = ((90, 95, 105), (120, 125, 138), (62, 66, 76))
_FOOT: tuple[Colour, Colour] = ((235, 235, 235), (225, 50, 40))  # in the air, on the ground
_THICKNESS = (0.035, 0.03, 0.016)  # m, radii of the links
LAMP = np.array([-0.3, 0.35, 0.8874], np.float32)  # towards it, of unit length


class _Picture(NamedTuple):
    """What is nearest in each pixel: its depth [H, W] and its colour [H, W, 3], 0 to 255."""

    depth: Floats
    colour: Floats


class Part(NamedTuple):
    """A capsule that a leg is made of; lengths in m."""

    start: Floats
    end: Floats
    radius: float
    colour: Colour


def paint_scene(
    rays: Rays,
    ground: HeightMap,
    points: Skeleton,
    robot: Robot,
    touching: np.ndarray | None,
    dots: np.ndarray | None,
) -> np.ndarray:
    """The ground, the robot and dots on the ground, uint8 ``[H, W, 3]``.

    Args:
        rays: of the camera.
        ground: NumPy leaves, as of the others.
        points: where the robot is.
        robot: of what size.
        touching: bool [4], whose feet are red; None for none.
        dots: [n, 3], m; None for none.
    """
    parts = parts_of(points, robot, touching)
    picture = _terrain(rays, ground, points, robot, parts)
    _trunk(picture, rays, points, robot)
    for part in parts:
        _capsule(picture, rays, part)
    if dots is not None:
        _dots(picture, rays, np.asarray(dots, np.float32))
    _outline(picture)
    return np.rint(picture.colour.clip(0, 255)).astype(np.uint8)


def parts_of(points: Skeleton, robot: Robot, touching: np.ndarray | None) -> list[Part]:
    """Start, end, radius and colour of the capsules that legs and feet are made of."""
    parts: list[Part] = []
    for leg, joints in enumerate(points.legs):
        for link, (radius, colour) in enumerate(zip(_THICKNESS, _LEG, strict=True)):
            parts.append(Part(joints[link], joints[link + 1], radius, colour))
        on_ground = touching is not None and bool(touching[leg])
        parts.append(Part(joints[3], joints[3], float(robot.foot_radius), _FOOT[on_ground]))
    return parts


def _terrain(
    rays: Rays, ground: HeightMap, points: Skeleton, robot: Robot, parts: list[Part]
) -> _Picture:
    """The ground in the robot's shadow, and the sky."""
    depth = ground_hits(rays, ground, _SHARP, FAR)
    zenith = np.clip(rays.directions[..., 2:] * 2, 0, 1)
    sky = HAZE + zenith * (SKY - HAZE)

    bounded = np.minimum(depth, np.float32(FAR))
    x, y, z = (rays.eye[i] + bounded * rays.directions[..., i] for i in range(3))
    light = _light(ground_normals(ground, x, y))
    shaded = _shadowed((x, y, z), points, robot, parts)
    light = np.where(shaded, np.minimum(light, np.float32(0.55)), light)
    share = (bounded / np.float32(FAR))[..., None]
    clear = np.where(np.isfinite(depth)[..., None], 1 - share * share, 0)
    odd = (np.floor(x / TILE) + np.floor(y / TILE)) % 2
    # The pattern ends before it is finer than pixels.
    light *= 1 - np.float32(0.1) * odd * (1 - share[..., 0])
    return _Picture(depth, sky + clear * (GROUND * light[..., None] - sky))


def _shadowed(
    place: tuple[Floats, ...], points: Skeleton, robot: Robot, parts: list[Part]
) -> np.ndarray:
    """Which points, [H, W] in x, y and z, the robot keeps the light from, bool [H, W].

    Seen along the light, a capsule is a line with round ends.
    """
    across = np.cross(LAMP, (0.0, 0.0, 1.0)).astype(np.float32)
    across /= np.linalg.norm(across)
    plane = np.stack([across, np.cross(LAMP, across)])  # [2, 3]
    x, y, z = (a - b for a, b in zip(place, points.centre, strict=True))
    u, v = (x * row[0] + y * row[1] + z * row[2] for row in plane)
    # What is nearer to the lamp than the trunk, the robot cannot shade.
    below = x * LAMP[0] + y * LAMP[1] + z * LAMP[2] < 0
    reach = np.linalg.norm(points.legs - points.centre, axis=-1).max() + max(_THICKNESS)
    near = np.flatnonzero(below & (u * u + v * v < reach * reach))
    u, v = u.reshape(-1)[near], v.reshape(-1)[near]
    # The box's shadow is a hexagon, its sides along the shadows of the box's edges.
    dark = np.ones(len(near), bool)
    edges = plane @ (points.axes * robot.trunk_size)  # [2, 3], half of each
    for p, q in edges.T:
        dark &= np.abs(p * v - q * u) <= np.abs(p * edges[1] - q * edges[0]).sum()
    for start, end, radius, _ in parts:
        (u0, v0), (u1, v1) = (plane @ (end - points.centre) for end in (start, end))
        du, dv = u1 - u0, v1 - v0
        share = ((u - u0) * du + (v - v0) * dv) / max(float(du * du + dv * dv), 1e-9)
        share = share.clip(0, 1)
        dark |= (u - u0 - share * du) ** 2 + (v - v0 - share * dv) ** 2 < radius * radius
    shaded = np.zeros(place[0].size, bool)
    shaded[near] = dark
    return shaded.reshape(place[0].shape)


def _trunk(picture: _Picture, rays: Rays, points: Skeleton, robot: Robot) -> None:
    window = rays.window(points.corners, 0.0)
    size = np.asarray(robot.trunk_size, np.float32)
    depth, normals = box_hits(rays.eye, rays.directions[window], points.centre, points.axes, size)
    directions = rays.directions[window]
    forward = points.axes[:, 0]
    along = (rays.eye - points.centre) @ forward + np.minimum(depth, 1e3) * (directions @ forward)
    front = (along > FACE_FROM * size[0])[..., None]
    _paint(picture, window, depth, normals, np.where(front, FACE, TRUNK))


def _capsule(picture: _Picture, rays: Rays, part: Part) -> None:
    start, end, radius, colour = part
    window = rays.window(np.stack([start, end]), radius)
    directions = rays.directions[window]
    depth = capsule_hits(rays.eye, directions, start, end, radius)
    place = rays.eye + np.where(np.isfinite(depth), depth, 0)[..., None] * directions
    axis = end - start
    share = np.clip((place - start) @ axis / max(float(axis @ axis), 1e-12), 0, 1)
    normals: Any = (place - start - share[..., None] * axis) / np.float32(radius)
    _paint(picture, window, depth, normals, np.array(colour))


def _dots(picture: _Picture, rays: Rays, points: Floats) -> None:
    for point, colour in zip(points, tints(points), strict=True):
        window = rays.window(point[None], DOT)
        depth = capsule_hits(rays.eye, rays.directions[window], point, point, DOT)
        shown = depth < picture.depth[window]
        picture.colour[window][shown] = colour


def _paint(
    picture: _Picture,
    window: tuple[slice, slice],
    depth: Floats,
    normals: Floats,
    colours: np.ndarray,
) -> None:
    """Paint where it is nearer than what is there."""
    shown = depth < picture.depth[window]
    picture.depth[window][shown] = depth[shown]
    lit = colours * _light(normals)[..., None]
    picture.colour[window][shown] = lit[shown]


def _outline(picture: _Picture) -> None:
    """Darken edges. Over a plane 1 / depth is even in the image, so its bends are edges."""
    near = 1 / picture.depth
    bend = np.zeros_like(near)
    bend[:, 1:-1] = np.abs(near[:, 2:] - 2 * near[:, 1:-1] + near[:, :-2])
    bend[1:-1] = np.maximum(bend[1:-1], np.abs(near[2:] - 2 * near[1:-1] + near[:-2]))
    ink = np.clip(bend / np.maximum(near, np.float32(1 / FAR)) * 12 - 0.2, 0, 0.45)
    ink *= 1 - np.minimum(picture.depth / np.float32(FAR), 1)  # the horizon is none
    picture.colour[...] *= 1 - ink[..., None]


def _light(normals: Floats) -> Floats:
    """How bright surfaces are, level ground about 1."""
    direct = np.maximum(normals @ LAMP, 0)
    light: Floats = 0.42 + 0.13 * normals[..., 2] + 0.5 * direct
    return light
