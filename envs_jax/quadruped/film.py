"""Films of a robot: a camera that goes along calmly, and in the corners what the robot knows."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from envs_jax.quadruped.depth import Camera
from envs_jax.quadruped.frames import CameraState, seen
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.insets import caption
from envs_jax.quadruped.measures import rotation_of
from envs_jax.quadruped.randomisation import randomised
from envs_jax.quadruped.render import Painter, draw
from envs_jax.quadruped.scan import ScanGrid, scan_points
from envs_jax.quadruped.scene import paint_scene
from envs_jax.quadruped.world import QuadrupedParams, QuadrupedState

__all__ = ["film"]

_CALM = 12  # states before and after, over which the camera's target is averaged
_GAIT = 50  # states that the diagram of feet goes back


def film(
    states: Sequence[QuadrupedState],
    params: QuadrupedParams,
    grid: ScanGrid | None,
    renderer: str,
) -> list[np.ndarray]:
    """Pictures uint8 ``[H, W, 3]`` of the states of an episode.

    Scandots are on the ground and, from above, in the upper left corner; the newest depth image
    that the robot has is in the upper right, which feet touched the ground in the last second in
    the lower left, asked and true velocities in the lower right.

    Args:
        states: on the host or not, one after the other, at least one.
        params: of the world.
        grid: of its scan; None without.
        renderer: "own" or "mujoco".

    Raises:
        ValueError: by the renderer "mujoco", where there is none.
    """
    if renderer == "own":
        return _film(states, params, grid, paint_scene)
    from envs_jax.quadruped.mujoco_scene import MujocoScene

    with contextlib.closing(MujocoScene()) as paint:
        return _film(states, params, grid, paint)


def _film(
    states: Sequence[QuadrupedState], params: QuadrupedParams, grid: ScanGrid | None, paint: Painter
) -> list[np.ndarray]:
    states, params = jax.device_get((list(states), params))
    ground = None if params.terrain is None else params.terrain.ground
    places = np.stack([state.body.position for state in states])
    touched = np.stack([state.touched for state in states])
    if len(states) > 1:
        touched = np.concatenate([np.zeros((_GAIT - 1, 4), bool), touched])
    pictures = []
    for i, state in enumerate(states):
        dots = depth = None
        if grid is not None and ground is not None:
            dots = np.stack(_dots(ground, state.body, grid), -1)
        if params.camera is not None:
            depth = np.asarray(_seen(state.camera, params.camera))
        picture = draw(
            state.body,
            randomised(params.robot, state.drawn),
            ground,
            target=places[max(0, i - _CALM) : i + _CALM + 1].mean(0),
            contacts=touched[i : i + _GAIT],
            scandots=dots,
            depth=depth,
            text=caption(state.body, state.command),
            paint=paint,
        )
        pictures.append(picture)
    return pictures


@functools.partial(jax.jit, static_argnames="grid")
def _dots(ground: HeightMap, body: Any, grid: ScanGrid) -> Any:
    return scan_points(ground, body.position, rotation_of(body), grid)


@jax.jit
def _seen(frames: CameraState, camera: Camera) -> jax.Array:
    return seen(frames, camera)
