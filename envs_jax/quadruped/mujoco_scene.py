"""The same scene through MuJoCo's renderer; needs the extra ``mujoco`` and OpenGL."""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from envs_jax.quadruped.insets import tints
from envs_jax.quadruped.rays import Floats, Rays
from envs_jax.quadruped.scene import (
    DOT,
    FACE,
    FACE_FROM,
    FAR,
    GROUND,
    HAZE,
    LAMP,
    SKY,
    TILE,
    TRUNK,
    parts_of,
)

if TYPE_CHECKING:
    from envs_jax.quadruped.heights import HeightMap
    from envs_jax.quadruped.robot import Robot
    from envs_jax.quadruped.skeleton import Skeleton

__all__ = ["MujocoScene"]

_STRAY = 4.0  # m, a robot may go from the middle of the stage before it is set anew


class MujocoScene:
    """Paints what :func:`~envs_jax.quadruped.scene.paint_scene` does, for pictures of one size.

    Shapes, colours and camera are the same; light, shadows and edges are MuJoCo's. Only the ground
    within 10 m of the robot is there. Without a display OpenGL is reached by EGL, unless the
    environment variable ``MUJOCO_GL`` says otherwise.

    Raises:
        ValueError: MuJoCo is not installed, or finds no OpenGL.
    """

    def __init__(self) -> None:
        headless = sys.platform == "linux" and not (
            os.getenv("DISPLAY") or os.getenv("WAYLAND_DISPLAY")
        )
        if headless and "mujoco" not in sys.modules:
            os.environ.setdefault("MUJOCO_GL", "egl")
        try:
            import mujoco
        except ImportError:
            raise ValueError("MuJoCo is not installed: pip install 'rljax-lab[mujoco]'") from None
        if headless and mujoco.GLContext.__module__ == "mujoco.glfw":
            # It would end the process.
            raise ValueError(
                "MuJoCo draws in windows and there is no display; expected MUJOCO_GL to be set to "
                "egl or osmesa before mujoco is imported"
            )
        self._mujoco: Any = mujoco
        self._renderer: Any = None
        self._middle = np.zeros(2)

    def __call__(
        self,
        rays: Rays,
        ground: HeightMap,
        points: Skeleton,
        robot: Robot,
        touching: np.ndarray | None,
        dots: np.ndarray | None,
    ) -> np.ndarray:
        """See :func:`~envs_jax.quadruped.scene.paint_scene`."""
        away = np.inf if self._renderer is None else np.abs(points.centre[:2] - self._middle).max()
        if away > _STRAY:
            self.close()
            self._open(rays, ground, points.centre)
        forward = rays.axes[2].astype(float)
        camera = self._mujoco.MjvCamera()
        camera.lookat, camera.distance = rays.eye + forward, 1.0
        camera.azimuth = math.degrees(math.atan2(forward[1], forward[0]))
        camera.elevation = math.degrees(math.asin(forward[2]))
        self._renderer.update_scene(self._data, camera)
        self._trunk(points, robot)
        for start, end, radius, colour in parts_of(points, robot, touching):
            self._ball_or_capsule(start, end, radius, colour)
        if dots is not None:
            dots = np.asarray(dots, np.float32)
            for dot, colour in zip(dots, tints(dots), strict=True):
                self._ball_or_capsule(dot, dot, DOT, colour)
        return np.array(self._renderer.render())

    def close(self) -> None:
        """Give OpenGL's resources back."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _open(self, rays: Rays, ground: HeightMap, centre: Floats) -> None:
        """Set the stage, with the ground around `centre`."""
        height, width = rays.directions.shape[:2]
        cell, origin = float(ground.cell), np.asarray(ground.origin, float)
        nodes = 2 * math.ceil(FAR / cell) + 1
        # The pattern stays where it is when the stage moves by a multiple of its period.
        self._middle = 2 * TILE * np.round(np.asarray(centre[:2], float) / (2 * TILE))
        first = np.round((self._middle - origin) / cell).astype(int) - nodes // 2
        i, j = (
            np.clip(first[axis] + np.arange(nodes), 0, ground.heights.shape[axis] - 1)
            for axis in (0, 1)
        )
        heights = np.asarray(ground.heights)[i][:, j].T  # MuJoCo's rows run along y
        low = float(heights.min())
        span = max(float(heights.max()) - low, 1e-3)
        half = cell * (nodes - 1) / 2
        model = self._mujoco.MjModel.from_xml_string(
            _STAGE.format(
                nodes=nodes,
                size=_text((half, half, span, 0.1)),
                at=_text((*(origin + cell * first + half), low)),
                fov=math.degrees(2 * math.atan(height / 2 / rays.focal)),
                height=height,
                width=width,
                sky=_text(SKY / 255),
                haze=_text(HAZE / 255),
                light=_text(-LAMP),
                lamp=_text(np.asarray(centre) + 4 * LAMP),
                even=_text(GROUND / 255),
                odd=_text(0.9 * GROUND / 255),
                repeat=1 / TILE,
            )
        )
        model.hfield_data[:] = ((heights - low) / span).ravel()
        self._data = self._mujoco.MjData(model)
        self._mujoco.mj_forward(model, self._data)
        try:
            self._renderer = self._mujoco.Renderer(model, height, width)
        except Exception as error:  # EGL, GLFW and OSMesa raise each their own
            raise ValueError(
                f"MuJoCo found no OpenGL by {os.getenv('MUJOCO_GL', 'its default')}: {error}; "
                "install libegl1 or libosmesa6, or set MUJOCO_GL to egl, osmesa or glfw"
            ) from None

    def _trunk(self, points: Skeleton, robot: Robot) -> None:
        half = np.asarray(robot.trunk_size, float)
        for low, high, colour in ((-1.0, FACE_FROM, TRUNK), (FACE_FROM, 1.0, FACE)):
            middle = points.centre + points.axes[:, 0] * half[0] * (low + high) / 2
            size = half * ((high - low) / 2, 1.0, 1.0)
            self._add(self._mujoco.mjtGeom.mjGEOM_BOX, size, middle, points.axes, colour)

    def _ball_or_capsule(self, start: Floats, end: Floats, radius: float, colour: Any) -> None:
        kinds = self._mujoco.mjtGeom
        if np.array_equal(start, end):
            self._add(kinds.mjGEOM_SPHERE, np.full(3, radius), start, np.eye(3), colour)
            return
        geom = self._add(kinds.mjGEOM_CAPSULE, np.full(3, radius), start, np.eye(3), colour)
        ends = (np.asarray(start, float), np.asarray(end, float))
        self._mujoco.mjv_connector(geom, kinds.mjGEOM_CAPSULE, radius, *ends)

    def _add(self, kind: Any, size: Any, at: Any, axes: Any, colour: Any) -> Any:
        scene = self._renderer.scene
        geom = scene.geoms[scene.ngeom]
        rgba = np.array([*np.asarray(colour) / 255, 1.0], np.float32)
        place = (np.asarray(x, float).ravel() for x in (size, at, axes))
        self._mujoco.mjv_initGeom(geom, kind, *place, rgba)
        geom.category = self._mujoco.mjtCatBit.mjCAT_DYNAMIC  # decorations cast no shadow
        scene.ngeom += 1
        return geom


_STAGE = """<mujoco>
<statistic extent="8" center="{at}"/>
<visual>
  <global fovy="{fov}" offheight="{height}" offwidth="{width}"/>
  <headlight ambient="0.45 0.45 0.45" diffuse="0.1 0.1 0.1" specular="0 0 0"/>
  <quality shadowsize="4096" offsamples="4"/>
</visual>
<asset>
  <texture type="skybox" builtin="gradient" rgb1="{sky}" rgb2="{haze}" width="64" height="384"/>
  <texture name="tiles" type="2d" builtin="checker" rgb1="{odd}" rgb2="{even}"
    width="256" height="256"/>
  <material name="tiles" texture="tiles" texuniform="true" texrepeat="{repeat} {repeat}"/>
  <hfield name="ground" nrow="{nodes}" ncol="{nodes}" size="{size}"/>
</asset>
<worldbody>
  <light directional="true" pos="{lamp}" dir="{light}"
    diffuse="0.6 0.6 0.6" specular="0.1 0.1 0.1"/>
  <geom type="hfield" hfield="ground" pos="{at}" material="tiles"/>
</worldbody>
</mujoco>"""


def _text(numbers: Any) -> str:
    return " ".join(f"{float(x):.4f}" for x in numbers)
