"""Stepping a quadruped on the ground: position-controlled joints, contacts, semi-implicit Euler.

State and robot are those of one environment; under ``vmap`` the batch becomes the *last* axis of
every array, where loops over it are contiguous.
"""

from typing import Any

import jax
import jax.numpy as jnp

from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.phases import repeat
from envs_jax.quadruped.robot import Robot
from envs_jax.quadruped.timestep import Body, Forces, TimeStep

__all__ = ["Body", "Forces", "simulate"]


def simulate(
    body: Body,
    target: jax.Array,
    robot: Robot,
    ground: HeightMap | None,
    dt: Any,
    steps: int,
    *,
    previous: jax.Array | None = None,
    delay: Any = 0,
    whole_body: bool = True,
    apart: bool | None = None,
) -> tuple[Body, Forces]:
    """Step a robot.

    Args:
        body: where it is.
        target: [4, 3], joint angles that the motors steer to, rad.
        robot: what moves.
        ground: below it; None is flat ground at height 0.
        dt: time step, s.
        steps: how many of them.
        previous: [4, 3], target of the first `delay` steps; None is `target`.
        delay: int32 scalar.
        whole_body: whether knees and the trunk's corners touch the ground, or the feet alone.
        apart: see :func:`envs_jax.quadruped.phases.repeat`; None: on a CPU only.
    """
    if apart is None:
        apart = jax.default_backend() == "cpu"

    def core(numbers: Any, ground: HeightMap | None) -> tuple[Body, Forces]:
        """Step a batch, whose axis is the last of all but the ground's arrays."""
        body, target, previous, delay, robot, dt = numbers
        size = body.position.shape[-1]
        forces = Forces(
            feet=jnp.zeros((4, 3, size)),
            knees=jnp.zeros((4, size)),
            corners=jnp.zeros((4, size)),
            torques=jnp.zeros((4, 3, size)),
        )
        phases = TimeStep(target, previous, delay, robot, ground, dt, whole_body)
        result: tuple[Body, Forces] = repeat(phases.chain(), (body, forces), steps, apart)
        return result

    def one(*args: Any) -> Any:
        *numbers, ground = args
        wide = jax.tree.map(lambda x: jnp.asarray(x)[..., None], numbers)
        return jax.tree.map(lambda x: x[..., 0], core(wide, ground))

    run = jax.custom_batching.custom_vmap(one)

    @run.def_vmap
    def _batched(size: int, batched: Any, *args: Any) -> tuple[Any, Any]:
        *numbers, ground = args
        *moved, moved_ground = batched
        if any(jax.tree.leaves(moved_ground)):  # each environment on a map of its own
            axes = jax.tree.map(lambda b: 0 if b else None, list(batched))
            each = jax.vmap(one, in_axes=tuple(axes))(*args)
            return each, jax.tree.map(lambda _: True, each)

        def last(x: Any, b: bool) -> jax.Array:
            return jnp.moveaxis(x, 0, -1) if b else jnp.asarray(x)[..., None]

        wide = jax.tree.map(last, numbers, list(moved))
        wide[0] = jax.tree.map(lambda x: jnp.broadcast_to(x, (*x.shape[:-1], size)), wide[0])
        result = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), core(wide, ground))
        return result, jax.tree.map(lambda _: True, result)

    before = target if previous is None else previous
    result: tuple[Body, Forces] = run(
        body, target, before, jnp.asarray(delay, jnp.int32), robot, jnp.float32(dt), ground
    )
    return result
