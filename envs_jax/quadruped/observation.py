"""What a policy sees of the robot, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from envs_jax.quadruped.world import QuadrupedParams, QuadrupedState

__all__ = ["PRIVILEGED_SIZE", "PROPRIOCEPTION_SIZE", "privileged", "proprioception"]

PROPRIOCEPTION_SIZE = 45
"""Numbers without the velocity, which has 3."""
PRIVILEGED_SIZE = 15

_VELOCITY, _SPIN, _SPEED = 2.0, 0.25, 0.05  # legged_gym's scales


def proprioception(
    state: QuadrupedState,
    velocity: jax.Array,
    gravity: jax.Array,
    params: QuadrupedParams,
    key: jax.Array,
    with_velocity: bool,
) -> jax.Array:
    """What the robot feels, float32 [45], with velocity [48].

    In this order: spin / 4 (3), direction of gravity in the trunk's frame (3), command: velocities
    times 2, yaw rate / 4 (3), joint angles off home (12), joint speeds / 20 (12), last action (12),
    and, if wanted, the trunk's velocity in its frame times 2 (3). There is noise on what is
    measured, before its scale. Home is where the robot takes it to be.

    Args:
        state: after the step.
        velocity: [3], of the trunk in its frame, m/s.
        gravity: [3], unit vector down in the trunk's frame.
        params: of the world.
        key: of the noise.
        with_velocity: whether the trunk's velocity is felt.
    """
    body = state.body
    off_home = (body.angles - params.robot.home - state.drawn.joint_offset).reshape(-1)
    command = state.command * jnp.array([_VELOCITY, _VELOCITY, _SPIN])
    parts = {
        "spin": body.spin * _SPIN,
        "gravity": gravity,
        "command": command,
        "angles": off_home,
        "speeds": body.speeds.reshape(-1) * _SPEED,
        "action": state.action.reshape(-1),
    }
    scales = {"spin": _SPIN, "speeds": _SPEED, "velocity": _VELOCITY}
    if with_velocity:
        parts["velocity"] = velocity * _VELOCITY
    size = [
        jnp.full(part.shape, getattr(params, f"noise_{name}", 0.0) * scales.get(name, 1.0))
        for name, part in parts.items()
    ]
    clean = jnp.concatenate(list(parts.values()))
    shares = 2 * jax.random.uniform(key, clean.shape) - 1
    return clean + params.noise * jnp.concatenate(size) * shares


def privileged(state: QuadrupedState, velocity: jax.Array, params: QuadrupedParams) -> jax.Array:
    """What a simulator knows and a robot does not, float32 [15].

    The trunk's velocity in its frame times 2 (3), which feet are on the ground (4), friction,
    added mass / 3, shift of the centre of mass times 10 (3), strength less 1 times 10, delay / 5,
    and the share of the episode that is left; not what is random about links and joints.
    """
    left = 1 - state.time / params.max_steps_in_episode
    drawn = state.drawn
    rest = [
        drawn.friction,
        drawn.added_mass / 3,
        *(10 * drawn.shift),
        10 * (drawn.strength - 1),
        drawn.delay / 5,
        left,
    ]
    return jnp.concatenate(
        [velocity * _VELOCITY, state.touched.astype(jnp.float32), jnp.stack(rest)]
    )
