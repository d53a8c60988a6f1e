"""A quadruped that walks as it is told to, on level ground or on terrain."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax import spaces
from envs_jax.base import Environment
from envs_jax.quadruped.checks import check_params
from envs_jax.quadruped.depth import Camera
from envs_jax.quadruped.engine import simulate
from envs_jax.quadruped.frames import CameraState, camera_of, image_size, look, seen, start_camera
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.measures import (
    feet_of,
    ground_height,
    on_edge,
    rotation_of,
    wrapped,
    yaw_of,
)
from envs_jax.quadruped.observation import (
    PRIVILEGED_SIZE,
    PROPRIOCEPTION_SIZE,
    privileged,
    proprioception,
)
from envs_jax.quadruped.promotion import Rule, stage_move
from envs_jax.quadruped.randomisation import randomised
from envs_jax.quadruped.reward import Step, reward_terms, total_reward
from envs_jax.quadruped.robot import make_robot
from envs_jax.quadruped.scan import scan, scan_grid
from envs_jax.quadruped.terrain import BORDER, COLUMNS, GROUNDS, Terrain, kinds_of, make_terrain
from envs_jax.quadruped.world import (
    QuadrupedParams,
    QuadrupedState,
    course_heading,
    default_params,
    disturbed,
    has_fallen,
    start,
    steered,
    targets,
)
from envs_jax.words import check_word

__all__ = ["Quadruped"]

SUBSTEPS = 5
"""Steps of the physics in a control step."""


class Quadruped(Environment[QuadrupedState, QuadrupedParams]):
    """Locomotion of a four-legged robot, 50 decisions a second: registered as ``Quadruped-v1``.

    An action, float32 ``[12]``, is where the joints are steered to: ``home + action_scale *
    clip(action)``, by position control with limited torque. The robot is asked for velocities
    (see :func:`~envs_jax.quadruped.world.draw_command`), and rewarded by the terms of
    :mod:`~envs_jax.quadruped.reward`. An episode ends when the robot has fallen; at the time limit,
    or at the end of a course, it is truncated. ``info["success"]``: it did not fall, and got
    through if there is a terrain. ``info["metrics"]``: each term's share of the reward, per second,
    errors, and the level.

    Observations are a dict with ``proprioception`` (see
    :func:`~envs_jax.quadruped.observation.proprioception`) and, as wanted, ``scan``, ``depth``
    (float32 ``[H, W, 1]``) and the critic's own ``privileged``.

    An environment stays on its column of the terrain from episode to episode
    (:meth:`restart_env`); levels are stages of a curriculum (:meth:`stage_move`).

    Args:
        robot: name of one of :data:`~envs_jax.quadruped.robot.ROBOTS`, or arguments of
            :func:`~envs_jax.quadruped.robot.make_robot`: ``{"name": "a1", "trunk_mass": 6}``.
        ground: "flat", or kinds of terrain joined by "+", see
            :func:`~envs_jax.quadruped.terrain.kinds_of`.
        levels: rows of the terrain, easiest first. cell: of its grid, m. terrain_seed: it is made
            with. roughness: factor of random unevenness, of courses and of "rough_slope".
        rewards: whose weights: "legged_gym", "extreme_parkour" or "playground". randomisation:
            whose ranges and noise: these, "own" or "none", see
            :data:`~envs_jax.quadruped.randomisation.RANGES`.
        promotion: whose rule of levels: "legged_gym" or "extreme_parkour".
        velocity: whether the trunk's velocity is part of the proprioception.
        scan: the name of a grid or its points, see :func:`~envs_jax.quadruped.scan.scan_grid`;
            None for none.
        depth: height and width of depth images; None for none. camera: how it differs from
            extreme-parkour's, see :func:`~envs_jax.quadruped.frames.camera_of`.
        privileged: whether there is a part for the critic; it has the scan of the grid "rough"
            too, where there is a terrain and no scan for all.
        whole_body: whether knees and trunk touch the ground, or the feet alone.
        renderer: what draws pictures: "own", or "mujoco" with the extra ``mujoco``.

    Raises:
        ValueError: for an unknown name, impossible sizes, a scan or depth of flat ground, or a grid
            that reaches outside the map.
    """

    def __init__(
        self,
        robot: str | Mapping[str, Any] = "go1",
        ground: str = "flat",
        levels: int = 10,
        cell: float = 0.05,
        terrain_seed: int = 0,
        roughness: float = 1.0,
        rewards: str = "legged_gym",
        randomisation: str = "own",
        promotion: Rule = "legged_gym",
        velocity: bool = True,
        scan: str | Mapping[str, Any] | None = None,
        depth: tuple[int, int] | None = None,
        camera: Mapping[str, Any] | None = None,
        privileged: bool = False,
        whole_body: bool = True,
        renderer: str = "own",
    ) -> None:
        super().__init__()
        self._robot = make_robot(**{"name": robot} if isinstance(robot, str) else robot)
        kinds = kinds_of(ground)
        if not kinds and (scan or depth):
            raise ValueError(
                f"ground 'flat' with scan {scan!r} and depth {depth}: there is nothing to see; "
                f"expected ground {', '.join(GROUNDS)} or kinds of terrain"
            )
        check_word("promotion", promotion, get_args(Rule))
        self._make_terrain = functools.partial(
            make_terrain,
            {kind: COLUMNS[kind] for kind in kinds},
            levels=levels,
            cell=cell,
            seed=terrain_seed,
            roughness=roughness,
        )
        self._has_terrain = bool(kinds)
        self._grid = None if scan is None else scan_grid(scan)
        if self._grid is not None and self._grid.reach > BORDER:
            raise ValueError(
                f"scan grid reaches {self._grid.reach:.3g} m from the trunk, outside the map: "
                f"expected at most {BORDER:g} m, its border around the tiles"
            )
        self._depth = () if depth is None else image_size(depth)
        if camera and not depth:
            raise ValueError(f"camera {camera} without depth images; expected a depth")
        self._make_camera, self._frames = camera_of(camera or {})
        self._task, self._promotion = (rewards, randomisation), promotion
        self._velocity, self._privileged = velocity, privileged
        check_word("renderer", renderer, ("own", "mujoco"))
        self._whole_body, self._renderer = whole_body, renderer
        default_params(self._robot, None, None, *self._task)  # refuses unknown names

    @property
    def name(self) -> str:
        """The registered id."""
        return "Quadruped-v1"

    @property
    def group_names(self) -> tuple[str, ...]:
        """Kinds of terrain, by ``info["group"]``."""
        return tuple(KINDS)

    @functools.cached_property
    def default_params(self) -> QuadrupedParams:
        """The robot's and the task's; the terrain is made when first asked for."""
        terrain = self._make_terrain() if self._has_terrain else None
        camera = self._make_camera() if self._depth else None
        return default_params(self._robot, terrain, camera, *self._task)

    def check_params(self, params: QuadrupedParams) -> None:
        """See :func:`~envs_jax.quadruped.checks.check_params`."""
        check_params(params, self._has_terrain, SUBSTEPS)

    def reset_env(self, key: jax.Array, params: QuadrupedParams) -> tuple[Any, QuadrupedState]:
        """An episode on a random column."""
        key, observe_key = jax.random.split(key)
        state = start(key, params, self._new_camera())
        return self.get_obs(state, params, observe_key), state

    def restart_env(
        self, key: jax.Array, state: QuadrupedState, params: QuadrupedParams
    ) -> tuple[Any, QuadrupedState]:
        """The next episode of an environment, on the same column."""
        key, observe_key = jax.random.split(key)
        state = start(key, params, self._new_camera(), state.column)
        return self.get_obs(state, params, observe_key), state

    def stage_move(self, state: QuadrupedState, params: QuadrupedParams) -> jax.Array:
        """Levels to move by, int32, after an episode that ended in `state`."""
        if params.terrain is None:
            return jnp.int32(0)
        seconds = params.max_steps_in_episode * params.dt * SUBSTEPS
        asked = jnp.linalg.norm(state.command[:2]) * seconds
        finish = jnp.asarray(params.terrain.finish)[state.column]
        return stage_move(self._promotion, self._walked(state, params), finish, asked)

    def step_env(
        self,
        key: jax.Array,
        state: QuadrupedState,
        action: int | float | jax.Array,
        params: QuadrupedParams,
    ) -> tuple[Any, QuadrupedState, jax.Array, jax.Array, dict[Any, Any]]:
        """One control step of `SUBSTEPS` steps of the physics."""
        push_key, command_key, observe_key, camera_key = jax.random.split(key, 4)
        control = params.dt * SUBSTEPS
        robot = randomised(params.robot, state.drawn)
        chosen, target = targets(action, robot.home, params)
        ground = None if params.terrain is None else params.terrain.ground
        body, forces = simulate(
            state.body,
            target,
            robot,
            ground,
            params.dt,
            SUBSTEPS,
            previous=state.target,
            delay=state.drawn.delay,
            whole_body=self._whole_body,
        )
        rotation = rotation_of(body)
        yaw = yaw_of(rotation)
        directed = self._directed(state, params)
        heading = jnp.where(directed, course_heading(body.position, state.origin), state.heading)
        command = steered(state.command, heading - yaw, directed, params)
        touches = forces.feet[:, 2] > 1.0
        air_time = state.air_time + control
        height = body.position[2] - ground_height(ground, body.position)
        feet, feet_speed = feet_of(state.body, body, robot, control)
        feet_height = feet[:, 2] - robot.foot_radius - ground_height(ground, feet.T)
        swing_peak = jnp.maximum(state.swing_peak, feet_height)
        fell = has_fallen(body, forces, height, state.origin, directed, params)
        terms = reward_terms(
            Step(
                before=state.body,
                body=body,
                forces=forces,
                robot=robot,
                command=command,
                heading=heading,
                heading_error=wrapped(heading - yaw),
                velocity=rotation.T @ body.velocity,
                gravity=-rotation[2],
                height=height,
                feet_height=feet_height,
                feet_speed=feet_speed,
                touches=touches,
                touched=state.touched,
                air_time=air_time,
                swing_peak=swing_peak,
                on_edge=on_edge(ground, feet),
                action=chosen,
                last_action=state.action,
                last_torques=state.forces.torques,
                fell=fell,
                directed=directed,
                level=state.level,
                dt=control,
            ),
            params,
        )
        reward, given = total_reward(terms, params, control)
        reward = jnp.where(jnp.isfinite(reward), reward, 0.0)
        time = state.time + 1
        following = state.replace(
            time=time,
            body=body,
            forces=forces,
            action=chosen,
            target=target,
            command=command,
            heading=heading,
            air_time=jnp.where(touches, 0.0, air_time),
            swing_peak=jnp.where(touches, 0.0, swing_peak),
            touched=touches,
            tracked=state.tracked + terms["track_velocity"],
        )
        success = self._has_succeeded(following, fell, params)
        metrics = {f"reward_{name}": value / control for name, value in given.items()}
        metrics |= {
            "velocity_error": jnp.linalg.norm(command[:2] - (rotation.T @ body.velocity)[:2]),
            "yaw_rate_error": jnp.abs(command[2] - body.spin[2]),
            "track_velocity": terms["track_velocity"],
            "track_yaw": terms["track_yaw"],
            "falls": fell.astype(jnp.float32),
            "level": state.level.astype(jnp.float32),
        }
        following = disturbed(following, (push_key, command_key), yaw, directed, params)
        following = self._looked(following, camera_key, params)
        kinds = np.zeros(1, np.int32) if params.terrain is None else params.terrain.kinds
        info = {"success": success, "group": jnp.asarray(kinds)[state.column], "metrics": metrics}
        observation = self.get_obs(following, params, observe_key)
        return observation, following, reward, fell, info

    def is_truncated(self, state: QuadrupedState, params: QuadrupedParams) -> jax.Array:
        """At the time limit, or beyond the last obstacle of a course."""
        through = self._directed(state, params) & self._is_through(state, params)
        return (state.time >= params.max_steps_in_episode) | through

    def get_obs(
        self,
        state: QuadrupedState,
        params: QuadrupedParams | None = None,
        key: jax.Array | None = None,
    ) -> Any:
        """All parts that are wanted, see the class."""
        params = self.default_params if params is None else params
        own_key, scan_key = jax.random.split(jax.random.key(0) if key is None else key)
        rotation = rotation_of(state.body)
        velocity = rotation.T @ state.body.velocity
        own = proprioception(state, velocity, -rotation[2], params, own_key, self._velocity)
        parts = {"proprioception": own}
        position = state.body.position
        ground = None if params.terrain is None else params.terrain.ground
        if self._grid is not None:
            noise = params.noise * params.noise_scan
            parts["scan"] = scan(
                cast(HeightMap, ground), position, rotation, self._grid, noise=noise, key=scan_key
            )
        if self._depth:
            frames = cast(CameraState, state.camera)
            parts["depth"] = seen(frames, cast(Camera, params.camera))[..., None]
        if self._privileged:
            known = [privileged(state, velocity, params)]
            if self._grid is None and ground is not None:
                known.append(scan(ground, position, rotation, scan_grid("rough")))
            parts[spaces.PRIVILEGED] = jnp.concatenate(known)
        return parts

    def action_space(self, params: QuadrupedParams | None = None) -> spaces.Box:
        """Joint targets, unbounded (the world clips)."""
        return spaces.Box(-jnp.inf, jnp.inf, (12,))

    def observation_space(self, params: QuadrupedParams) -> spaces.Dict:
        """Unbounded boxes."""
        sizes: dict[str, tuple[int, ...]] = {
            "proprioception": (PROPRIOCEPTION_SIZE + 3 * self._velocity,)
        }
        if self._grid is not None:
            sizes["scan"] = (self._grid.size,)
        if self._depth:
            sizes["depth"] = (*self._depth, 1)
        if self._privileged:
            extra = scan_grid("rough").size if self._grid is None and self._has_terrain else 0
            sizes[spaces.PRIVILEGED] = (PRIVILEGED_SIZE + extra,)
        return spaces.Dict({n: spaces.Box(-jnp.inf, jnp.inf, s) for n, s in sizes.items()})

    def render(self, state: QuadrupedState, params: QuadrupedParams) -> np.ndarray:
        """One picture, see :meth:`film`."""
        return self.film([state], params)[0]

    def film(self, states: Sequence[QuadrupedState], params: QuadrupedParams) -> list[np.ndarray]:
        """Pictures of an episode, with what the robot sees and which feet were on the ground."""
        from envs_jax.quadruped.film import film

        return film(states, params, self._grid, self._renderer)

    def _new_camera(self) -> Any:
        if not self._depth:
            return None
        height, width = self._depth
        return start_camera(height, width, self._frames)

    def _directed(self, state: QuadrupedState, params: QuadrupedParams) -> jax.Array:
        if params.terrain is None:
            return jnp.bool(False)
        return jnp.asarray(params.terrain.directed)[state.column]

    def _walked(self, state: QuadrupedState, params: QuadrupedParams) -> jax.Array:
        """How far from its start the robot is: along a course, or as the crow flies; m."""
        gone = (state.body.position - state.origin)[:2]
        return jnp.where(self._directed(state, params), gone[0], jnp.linalg.norm(gone))

    def _is_through(self, state: QuadrupedState, params: QuadrupedParams) -> jax.Array:
        if params.terrain is None:
            return jnp.bool(True)
        finish = jnp.asarray(params.terrain.finish)[state.column]
        return self._walked(state, params) > finish

    def _has_succeeded(
        self, state: QuadrupedState, fell: jax.Array, params: QuadrupedParams
    ) -> jax.Array:
        tracked = state.tracked >= params.track_for_success * state.time
        return ~fell & self._is_through(state, params) & tracked

    def _looked(
        self, state: QuadrupedState, key: jax.Array, params: QuadrupedParams
    ) -> QuadrupedState:
        if not self._depth:
            return state
        terrain, camera = cast(Terrain, params.terrain), cast(Camera, params.camera)
        rotation, position = rotation_of(state.body), state.body.position
        frames = cast(CameraState, state.camera)
        frames = look(frames, key, position, rotation, terrain.ground, camera)
        return state.replace(camera=frames)
