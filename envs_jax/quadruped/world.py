"""What the quadruped's world is: its parameters, its state, and how an episode starts."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.base import EnvState
from envs_jax.quadruped.depth import Camera
from envs_jax.quadruped.engine import Body, Forces
from envs_jax.quadruped.frames import CameraState
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.measures import places_of_feet, rotation_of, wrapped
from envs_jax.quadruped.randomisation import (
    RANGES,
    Drawn,
    RandomisationParams,
    between,
    draw_episode,
    randomised,
)
from envs_jax.quadruped.reward import TARGETS, WEIGHTS, RewardParams
from envs_jax.quadruped.robot import Robot
from envs_jax.quadruped.terrain import Terrain
from envs_jax.stages import draw
from envs_jax.words import check_word

__all__ = [
    "QuadrupedParams",
    "QuadrupedState",
    "course_heading",
    "default_params",
    "disturbed",
    "draw_command",
    "has_fallen",
    "start",
    "steered",
    "targets",
]


@struct.dataclass(kw_only=True)
class QuadrupedParams(RewardParams, RandomisationParams):
    """All numbers of the world; traced. Ranges are (low, high), drawn uniformly.

    Attributes:
        max_steps_in_episode: control steps; 1000 are 20 s.
        robot: before randomisation.
        terrain: None is flat ground without end.
        camera: of depth images.
        dt: step of the physics, s; a control step is five of them.
        level: int, row of the terrain that episodes start on; -1: any.
        group_probabilities: float32 [kinds], how likely an environment is to be on each kind of
            terrain, any weights; see :data:`~envs_jax.quadruped.kinds.KINDS`.
        action_scale: rad of a joint's target per unit of action.
        action_limit: units that actions are clipped to.
        command_x, command_y: of the velocity asked for, m/s; command_yaw: of the yaw rate, rad/s.
        course_speed: of the forward velocity asked for on courses, m/s.
        command_steps: control steps after which a new command is drawn.
        command_scale: share of these ranges that is in use, for curricula; not of a yaw rate that
            turns to a heading.
        stand_below: velocities asked for that are slower than this are 0, m/s.
        follow_heading: whether the yaw rate asked for is what turns the robot to a heading, drawn
            from all, rather than drawn itself. On courses it always is, to a point 1 m on on the
            middle line.
        spawn_joints: joints start within this of home, rad, the lowest foot just on the ground.
            spawn_speed: the trunk's velocities within this of 0, m/s and rad/s. spawn_radius: x and
            y within this of the start, m.
        fall_tilt: cosine of the trunk's tilt below which a robot has fallen.
        fall_height: height of the trunk above the ground below which it has, m.
        fall_depth: m below a course's start at which a robot has fallen off it.
        fall_push: N on a corner of the trunk from which on it has; infinite: never.
        track_for_success: share of the velocity tracking reward that success takes beside not
            falling and getting through.
    """

    max_steps_in_episode: int = 1000
    robot: Robot
    terrain: Terrain | None = None
    camera: Camera | None = None
    dt: float = 0.004
    level: int = -1
    group_probabilities: Any = None
    action_scale: float = 0.3
    action_limit: float = 4.0
    command_x: tuple[float, float] = (-0.5, 1.0)
    command_y: tuple[float, float] = (-0.3, 0.3)
    command_yaw: tuple[float, float] = (-1.0, 1.0)
    course_speed: tuple[float, float] = (0.3, 0.8)
    command_steps: int = 500
    command_scale: float = 1.0
    stand_below: float = 0.1
    follow_heading: bool = False
    spawn_joints: float = 0.2
    spawn_speed: float = 0.3
    spawn_radius: float = 0.3
    fall_tilt: float = 0.5
    fall_height: float = 0.14
    fall_depth: float = 0.6
    fall_push: float = float("inf")
    track_for_success: float = 0.0


@struct.dataclass
class QuadrupedState(EnvState):
    """One world; float32 unless told otherwise.

    Attributes:
        time: int32, control steps since the start.
        body: the robot. forces: that acted on it last.
        action, target: [4, 3], of the last control step.
        command: [3], see :class:`~envs_jax.quadruped.reward.Step`. heading: rad, where it points.
        air_time: [4], s that each foot has been off the ground. swing_peak: [4], m, how high its
            sole has been in that time. touched: bool [4], is it on it.
        origin: [3], where the episode started, m.
        level, column: int32, of the terrain.
        drawn: what is random about this episode.
        tracked: sum of the velocity tracking reward so far.
        camera: frames; None without depth images.
    """

    time: jax.Array
    body: Body
    forces: Forces
    action: jax.Array
    target: jax.Array
    command: jax.Array
    heading: jax.Array
    air_time: jax.Array
    swing_peak: jax.Array
    touched: jax.Array
    origin: jax.Array
    level: jax.Array
    column: jax.Array
    drawn: Drawn
    tracked: jax.Array
    camera: CameraState | None


# How many uniform numbers an episode's start and a new command take.
_START, _COMMAND = 23, 4
_HEADING_GAIN, _MOST_YAW = 0.5, 1.0  # legged_gym's, 1/s and rad/s
_WAYPOINT = 1.0  # m ahead on a course, where extreme-parkour has goals on and between obstacles


def default_params(
    robot: Robot,
    terrain: Terrain | None,
    camera: Camera | None,
    rewards: str,
    randomisation: str,
) -> QuadrupedParams:
    """Parameters with the weights of a public task and the ranges of one.

    Raises:
        ValueError: for an unknown task.
    """
    check_word("rewards", rewards, tuple(WEIGHTS))
    check_word("randomisation", randomisation, tuple(RANGES))
    task: dict[str, Any] = {f"weight_{n}": value for n, value in WEIGHTS[rewards].items()}
    task |= TARGETS.get(rewards, {}) | RANGES[randomisation]
    kinds = np.zeros(1, int) if terrain is None else np.asarray(terrain.kinds)
    probabilities = np.bincount(kinds, minlength=len(KINDS)).astype(np.float32)
    return QuadrupedParams(
        robot=robot,
        terrain=terrain,
        camera=camera,
        group_probabilities=probabilities,
        **task,
    )


def course_heading(place: jax.Array, origin: jax.Array) -> jax.Array:
    """Where the next point on the middle line of a course is as seen from a place, rad.

    Args:
        place: [3], on the course, m.
        origin: [3], where episodes start on it, m.
    """
    return jnp.arctan2(origin[1] - place[1], _WAYPOINT)


def draw_command(
    shares: jax.Array,
    yaw: jax.Array,
    course: jax.Array,
    directed: jax.Array,
    params: QuadrupedParams,
) -> tuple[jax.Array, jax.Array]:
    """A command and a heading.

    Args:
        shares: [4], uniform in [0, 1).
        yaw: rad, where the robot points.
        course: rad, the heading if the ground is a course.
        directed: whether it is.
        params: of the world.

    Returns:
        Velocities forwards and sidewards, m/s, and yaw rate, rad/s, [3]; the heading, rad.
    """
    scale = params.command_scale
    planar = jnp.stack(
        [between(shares[0], params.command_x, scale), between(shares[1], params.command_y, scale)]
    )
    planar = jnp.where(jnp.linalg.norm(planar) < params.stand_below, 0.0, planar)
    ahead = jnp.stack([between(shares[0], params.course_speed, scale), jnp.float32(0)])
    rate = between(shares[2], params.command_yaw, scale)
    command = jnp.append(jnp.where(directed, ahead, planar), rate)
    heading = jnp.where(directed, course, jnp.pi * (2 * shares[3] - 1))
    return steered(command, heading - yaw, directed, params), heading


def steered(
    command: jax.Array, turn: jax.Array, directed: jax.Array, params: QuadrupedParams
) -> jax.Array:
    """The command, whose yaw rate turns to the heading where that is to be followed.

    Args:
        command: [3].
        turn: rad, from where the robot points to the heading.
        directed: whether the ground is a course.
        params: of the world.
    """
    rate = jnp.clip(_HEADING_GAIN * wrapped(turn), -_MOST_YAW, _MOST_YAW)
    follows = jnp.asarray(params.follow_heading) | directed
    return command.at[2].set(jnp.where(follows, rate, command[2]))


def targets(action: Any, home: jax.Array, params: QuadrupedParams) -> tuple[jax.Array, jax.Array]:
    """An action as it is taken, [4, 3], and the joint angles that it steers to, rad.

    Args:
        action: [12].
        home: [4, 3], joint angles of the action 0, rad.
        params: of the world.

    Raises:
        ValueError: if it is not 12 numbers.
    """
    action = jnp.asarray(action, jnp.float32)
    if action.shape != (12,):
        raise ValueError(f"action of shape {action.shape}: expected (12,), one for each joint")
    limit = params.action_limit
    chosen = jnp.clip(action.reshape(4, 3), -limit, limit)
    # A policy that broke down shall not break the world: the joints go home.
    chosen = jnp.where(jnp.isnan(chosen), 0.0, chosen)
    return chosen, home + params.action_scale * chosen


def start(
    key: jax.Array,
    params: QuadrupedParams,
    camera: CameraState | None,
    column: jax.Array | None = None,
) -> QuadrupedState:
    """The start of an episode, on a column of the terrain or on a random one."""
    start_key, episode_key = jax.random.split(key)
    shares = jax.random.uniform(start_key, (_START + _COMMAND,))
    drawn = draw_episode(episode_key, params)
    robot, terrain = randomised(params.robot, drawn), params.terrain
    if terrain is None:
        origin, directed = jnp.zeros(3), jnp.bool(False)
        column = level = jnp.int32(0)
    else:
        starts = jnp.asarray(terrain.starts)
        kinds = jnp.asarray(terrain.kinds)
        if column is None:
            weights = jnp.asarray(params.group_probabilities)
            many = jnp.sum(kinds[:, None] == jnp.arange(len(KINDS)), 0)
            column = draw(shares[0], (weights / jnp.maximum(many, 1))[kinds])
        any_level = jnp.floor(shares[1] * starts.shape[0]).astype(jnp.int32)
        level = jnp.where(jnp.asarray(params.level) < 0, any_level, params.level)
        level = jnp.clip(level, 0, starts.shape[0] - 1)
        origin, directed = starts[level, column], jnp.asarray(terrain.directed)[column]
    signed = 2 * shares[2:] - 1
    yaw = jnp.pi * signed[0] * jnp.where(directed, 0.1, 1.0)
    place = origin + jnp.append(params.spawn_radius * signed[1:3], 0.0)
    body = Body(
        position=place,
        quaternion=jnp.stack([jnp.cos(yaw / 2), 0 * yaw, 0 * yaw, jnp.sin(yaw / 2)]),
        velocity=params.spawn_speed * signed[3:6],
        spin=params.spawn_speed * signed[6:9],
        angles=jnp.clip(
            robot.home + params.spawn_joints * signed[9:21].reshape(4, 3),
            robot.lower,
            robot.upper,
        ),
        speeds=jnp.zeros((4, 3)),
    )
    lowest = places_of_feet(body, robot)[:, 2].min() - robot.foot_radius
    body = body.replace(position=place.at[2].add(origin[2] - lowest))
    course = course_heading(place, origin)
    command, heading = draw_command(shares[_START:], yaw, course, directed, params)
    return QuadrupedState(
        time=jnp.int32(0),
        body=body,
        forces=Forces(jnp.zeros((4, 3)), jnp.zeros(4), jnp.zeros(4), jnp.zeros((4, 3))),
        action=jnp.zeros((4, 3)),
        target=robot.home,
        command=command,
        heading=heading,
        air_time=jnp.zeros(4),
        swing_peak=jnp.zeros(4),
        touched=jnp.ones(4, bool),
        origin=origin,
        level=level,
        column=column,
        drawn=drawn,
        tracked=jnp.float32(0),
        camera=camera,
    )


def disturbed(
    state: QuadrupedState,
    keys: tuple[jax.Array, jax.Array],
    yaw: jax.Array,
    directed: jax.Array,
    params: QuadrupedParams,
) -> QuadrupedState:
    """A state after the push and with the new command that are due, if they are.

    Args:
        state: after a control step; `heading` is where the course goes, if there is one.
        keys: for a push and for a command.
        yaw: rad, where the robot points.
        directed: whether the ground is a course.
        params: of the world.
    """
    shares = jax.random.uniform(keys[0], (2,))
    push = params.push_speed * jnp.append(2 * shares - 1, 0.0)
    push = jnp.where(state.time % params.push_steps == 0, push, 0.0)
    body = state.body.replace(velocity=state.body.velocity + push)
    shares = jax.random.uniform(keys[1], (4,))
    drawn, heading = draw_command(shares, yaw, state.heading, directed, params)
    # Not in the last step: how far a robot came is judged by what it was asked for.
    goes_on = state.time < params.max_steps_in_episode
    renew = (state.time % params.command_steps == 0) & goes_on
    return state.replace(
        body=body,
        command=jnp.where(renew, drawn, state.command),
        heading=jnp.where(renew, heading, state.heading),
    )


def has_fallen(
    body: Body,
    forces: Forces,
    height: jax.Array,
    origin: jax.Array,
    directed: jax.Array,
    params: QuadrupedParams,
) -> jax.Array:
    """Whether an episode has failed, bool; also where a number of the robot's is not finite.

    Args:
        body: the robot. forces: that act on it.
        height: of the trunk above the ground, m.
        origin: [3], where the episode started, m.
        directed: whether the ground is a course.
        params: of the world.
    """
    off_course = body.position[2] < origin[2] + params.robot.height - params.fall_depth
    whole = jnp.concatenate([x.reshape(-1) for x in jax.tree.leaves(body)])
    return (
        (rotation_of(body)[2, 2] < params.fall_tilt)
        | (height < params.fall_height)
        | (forces.corners > params.fall_push).any()
        | (directed & off_course)
        | ~jnp.isfinite(whole).all()
    )
