"""The reward, term by term.

Terms and weights are those of three public tasks: legged_gym (arXiv 2109.11978), extreme-parkour
(arXiv 2309.14341) and MuJoCo Playground's Go1 joystick (arXiv 2502.08844). Weights are per second:
each term is multiplied by its weight and by the control step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs_jax.base import EnvParams

if TYPE_CHECKING:
    from envs_jax.quadruped.engine import Body, Forces
    from envs_jax.quadruped.robot import Robot

__all__ = ["TARGETS", "WEIGHTS", "RewardParams", "Step", "reward_terms", "total_reward"]


@struct.dataclass(kw_only=True)
class RewardParams(EnvParams):
    """Weights of the terms, see :func:`reward_terms`, and what they are measured against.

    Attributes:
        tracking_width: sigma of the tracking terms, (m/s)^2 and (rad/s)^2.
        air_time_target: s that a foot should be off the ground between two steps; legged_gym's
            0.5 s is for a larger robot.
        clearance_target: m that a swinging foot should be above the ground, and be lifted to.
        soft_limit: share of the joints' range beyond which `weight_joint_limit` counts.
        only_positive: whether a negative sum counts as 0.
    """

    weight_track_velocity: float = 0.0
    weight_track_yaw: float = 0.0
    weight_goal_velocity: float = 0.0
    weight_goal_heading: float = 0.0
    weight_vertical_velocity: float = 0.0
    weight_tilt_rate: float = 0.0
    weight_orientation: float = 0.0
    weight_height: float = 0.0
    weight_torque: float = 0.0
    weight_effort: float = 0.0
    weight_torque_rate: float = 0.0
    weight_energy: float = 0.0
    weight_acceleration: float = 0.0
    weight_action_rate: float = 0.0
    weight_action_change: float = 0.0
    weight_joint_limit: float = 0.0
    weight_joint_error: float = 0.0
    weight_hip_error: float = 0.0
    weight_pose: float = 0.0
    weight_stand_still: float = 0.0
    weight_collision: float = 0.0
    weight_stumble: float = 0.0
    weight_edge: float = 0.0
    weight_air_time: float = 0.0
    weight_clearance: float = 0.0
    weight_step_height: float = 0.0
    weight_slip: float = 0.0
    weight_termination: float = 0.0
    tracking_width: float = 0.25
    air_time_target: float = 0.25
    clearance_target: float = 0.1
    soft_limit: float = 0.9
    only_positive: bool = True


_EDGES_COUNT_ABOVE = 3  # level of extreme-parkour's terrain

WEIGHTS: dict[str, dict[str, float]] = {
    "legged_gym": {
        "track_velocity": 1.0,
        "track_yaw": 0.5,
        "vertical_velocity": -2.0,
        "tilt_rate": -0.05,
        "torque": -2e-4,
        "acceleration": -2.5e-7,
        "air_time": 1.0,
        "collision": -1.0,
        "action_rate": -0.01,
        "joint_limit": -10.0,
    },
    "extreme_parkour": {
        "goal_velocity": 1.5,
        "goal_heading": 0.5,
        "vertical_velocity": -1.0,
        "tilt_rate": -0.05,
        "orientation": -1.0,
        "acceleration": -2.5e-7,
        "collision": -10.0,
        "action_change": -0.1,
        "torque_rate": -1e-7,
        "torque": -1e-5,
        "hip_error": -0.5,
        "joint_error": -0.04,
        "stumble": -1.0,
        "edge": -1.0,
    },
    "playground": {
        "track_velocity": 1.0,
        "track_yaw": 0.5,
        "vertical_velocity": -0.5,
        "tilt_rate": -0.05,
        "orientation": -5.0,
        "joint_limit": -1.0,
        "pose": 0.5,
        "termination": -1.0,
        "stand_still": -1.0,
        "effort": -2e-4,
        "action_rate": -0.01,
        "energy": -1e-3,
        "clearance": -2.0,
        "step_height": -0.2,
        "slip": -0.1,
        "air_time": 0.1,
    },
}
"""The weights of each public task, by term; the others are 0."""

TARGETS: dict[str, dict[str, float]] = {"playground": {"air_time_target": 0.1, "soft_limit": 0.95}}
"""What else is a task's own. Playground's soft limits are that share of each limit, ours of the
range around its middle; two of its terms take velocities in the world's frame, ours all take the
trunk's."""


class Step(NamedTuple):
    """What a control step was like; all about one robot.

    Attributes:
        before, body: where the robot was and is.
        forces: that acted last.
        robot: as randomised.
        command: [3], forward and sideward velocity, m/s, and yaw rate, rad/s, that were asked for.
        heading: rad, where the command points. heading_error: how far the robot is off it.
        velocity: [3], of the trunk in its frame, m/s.
        gravity: [3], unit vector down, in the trunk's frame.
        height: of the trunk above the ground, m.
        feet_height: [4], of the soles above the ground, m.
        feet_speed: [4], along the ground, m/s.
        touches, touched: bool [4], feet on the ground now and before.
        air_time: [4], s that each foot was off the ground when this step ended. swing_peak: [4],
            m, how high its sole was above the ground in that time at most.
        on_edge: bool [4], whether a foot stands where the ground falls away.
        action, last_action: [4, 3].
        last_torques: [4, 3], N m.
        fell: bool.
        directed: bool, whether the ground is a course. level: int, of the terrain.
        dt: control step, s.
    """

    before: Body
    body: Body
    forces: Forces
    robot: Robot
    command: jax.Array
    heading: jax.Array
    heading_error: jax.Array
    velocity: jax.Array
    gravity: jax.Array
    height: jax.Array
    feet_height: jax.Array
    feet_speed: jax.Array
    touches: jax.Array
    touched: jax.Array
    air_time: jax.Array
    swing_peak: jax.Array
    on_edge: jax.Array
    action: jax.Array
    last_action: jax.Array
    last_torques: jax.Array
    fell: jax.Array
    directed: jax.Array
    level: jax.Array
    dt: Any


def reward_terms(step: Step, params: RewardParams) -> dict[str, jax.Array]:
    """Every term before its weight, float32 scalars.

    With v, w the trunk's velocity and spin in its frame, c the command, q joint angles:

    * ``track_velocity``: ``exp(-|v_xy - c_xy|^2 / width)``, ``track_yaw``: likewise of the yaw rate
    * ``goal_velocity``: ``min(v . d, c) / c`` along the way d of a course (of the velocity in the
      world's horizontal plane), elsewhere that of the command, and ``goal_heading``:
      ``exp(-|heading error|)``
    * ``vertical_velocity``: ``v_z^2`` (halved on courses), ``tilt_rate``: ``|w_xy|^2``,
      ``orientation``: ``|gravity_xy|^2`` (not on courses), ``height``: squared difference from
      the robot's standing height
    * ``torque``, ``torque_rate`` (of the change), ``acceleration`` (of the joints): sums of
      squares; ``effort``: root of the torques' sum of squares and sum of their sizes; ``energy``:
      sum of ``|torque * speed|``; ``action_rate``: ``|change|^2``, and ``action_change``:
      ``|change|``
    * ``joint_limit``: rad beyond the soft limits; ``joint_error``, ``hip_error``: squared distance
      from the home pose, of all joints and of the abduction joints; ``pose``:
      ``exp(-|q - home|^2)``, where knees count a tenth; ``stand_still``: ``|q - home|_1`` while
      the whole command is 0
    * ``collision``: number of knees and trunk corners that push with more than 1 N;
      ``stumble``: whether a foot meets a wall (its force four times as much across as up);
      ``edge``: number of feet at an edge (courses only, from level 4 on)
    * ``air_time``: at each foot's landing, its time in the air less the target, while a velocity is
      asked for; ``step_height``: then, ``(swing_peak / target - 1)^2``; ``clearance``: ``|height -
      target| * sqrt(speed)`` and ``slip``: squared speed while it touches, of the feet; slip and
      step height while the command is not 0
    * ``termination``: whether the robot fell
    """
    body, forces, robot, command = step.body, step.forces, step.robot, step.command
    moves = (jnp.linalg.norm(command[:2]) > 0.1).astype(jnp.float32)  # legged_gym's
    acts = (jnp.linalg.norm(command) > 0.01).astype(jnp.float32)  # Playground's
    error = jnp.sum((step.velocity[:2] - command[:2]) ** 2)
    yaw_error = (body.spin[2] - command[2]) ** 2
    asked = jnp.linalg.norm(command[:2])
    ahead = jnp.stack([jnp.cos(step.heading), jnp.sin(step.heading)])
    along = jnp.where(
        step.directed,
        jnp.dot(body.velocity[:2], ahead),
        jnp.dot(step.velocity[:2], command[:2]) / jnp.maximum(asked, 1e-6),
    )
    off_home = body.angles - robot.home
    middle, half = (robot.lower + robot.upper) / 2, (robot.upper - robot.lower) / 2
    beyond = jnp.abs(body.angles - middle) - params.soft_limit * half
    faster = (body.speeds - step.before.speeds) / step.dt
    across = jnp.linalg.norm(forces.feet[:, :2], axis=-1)
    pushes = jnp.concatenate([forces.knees, forces.corners])
    change = jnp.linalg.norm(step.action - step.last_action)
    lands = step.touches & ~step.touched
    course = step.directed.astype(jnp.float32)
    return {
        "track_velocity": jnp.exp(-error / params.tracking_width),
        "track_yaw": jnp.exp(-yaw_error / params.tracking_width),
        "goal_velocity": jnp.minimum(along, asked) / (asked + 1e-5),
        "goal_heading": jnp.exp(-jnp.abs(step.heading_error)),
        "vertical_velocity": step.velocity[2] ** 2 * (1 - 0.5 * course),
        "tilt_rate": jnp.sum(body.spin[:2] ** 2),
        "orientation": jnp.sum(step.gravity[:2] ** 2) * (1 - course),
        "height": (step.height - robot.height) ** 2,
        "torque": jnp.sum(forces.torques**2),
        "torque_rate": jnp.sum((forces.torques - step.last_torques) ** 2),
        "effort": jnp.linalg.norm(forces.torques) + jnp.sum(jnp.abs(forces.torques)),
        "energy": jnp.sum(jnp.abs(forces.torques * body.speeds)),
        "acceleration": jnp.sum(faster**2),
        "action_rate": change**2,
        "action_change": change,
        "joint_limit": jnp.sum(jnp.maximum(beyond, 0.0)),
        "joint_error": jnp.sum(off_home**2),
        "hip_error": jnp.sum(off_home[:, 0] ** 2),
        "pose": jnp.exp(-jnp.sum(off_home**2 * jnp.array([1.0, 1.0, 0.1]))),
        "stand_still": jnp.sum(jnp.abs(off_home)) * (1 - acts),
        "collision": jnp.sum(pushes > 1.0).astype(jnp.float32),
        "stumble": jnp.any(across > 4 * jnp.abs(forces.feet[:, 2])).astype(jnp.float32),
        "edge": jnp.sum(step.on_edge & step.touches) * course * (step.level > _EDGES_COUNT_ABOVE),
        "air_time": jnp.sum(lands * (step.air_time - params.air_time_target)) * moves,
        "clearance": jnp.sum(
            jnp.abs(step.feet_height - params.clearance_target) * jnp.sqrt(step.feet_speed)
        ),
        "step_height": jnp.sum(lands * (step.swing_peak / params.clearance_target - 1) ** 2) * acts,
        "slip": jnp.sum(step.touches * step.feet_speed**2) * acts,
        "termination": step.fell.astype(jnp.float32),
    }


def total_reward(
    terms: dict[str, jax.Array], params: RewardParams, dt: Any
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The reward and what each term gave to it, float32 scalars."""
    given = {name: term * getattr(params, f"weight_{name}") * dt for name, term in terms.items()}
    total = jnp.sum(jnp.stack(list(given.values())))
    return jnp.where(params.only_positive, jnp.maximum(total, 0.0), total), given
