"""Running quadrupeds in tests: one batch size, one map size, hence few programs to compile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.quadruped import dynamics
from envs_jax.quadruped.engine import Body, Forces, simulate
from envs_jax.quadruped.heights import HeightMap
from envs_jax.quadruped.robot import Robot

BATCH = 8
NODES, CELL = 41, 0.1  # of maps, whose middle is at x = y = 0
STEPS = 10  # of a run between what it records


class Run(NamedTuple):
    """What happened: numpy arrays [n, BATCH, ...], every `STEPS` time steps; bodies with the start.

    Attributes:
        bodies: [n + 1, BATCH, ...].
        forces: [n, BATCH, ...].
    """

    bodies: Body
    forces: Forces

    def at(self, time: int, which: int) -> Body:
        """One robot at one of the records."""
        return jax.tree.map(lambda x: x[time, which], self.bodies)

    @property
    def end(self) -> Body:
        """The last record [BATCH, ...]."""
        return jax.tree.map(lambda x: x[-1], self.bodies)


def surface(height: Callable[[np.ndarray, np.ndarray], Any]) -> HeightMap:
    """A map from a function of x and y in metres."""
    nodes = CELL * (np.arange(NODES) - NODES // 2)
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    heights = np.broadcast_to(np.asarray(height(x, y), np.float32), x.shape)
    return HeightMap(
        jnp.asarray(heights), jnp.float32(CELL), jnp.full(2, nodes[0], dtype=jnp.float32)
    )


def flat() -> HeightMap:
    """Ground at height 0."""
    return surface(lambda x, y: 0.0 * x)


def slope(angle: float) -> HeightMap:
    """Ground that falls along x."""
    return surface(lambda x, y: -np.tan(angle) * x)


def batched(tree: Any) -> Any:
    """The same for each of a batch."""
    return jax.tree.map(lambda x: np.broadcast_to(x, (BATCH, *np.shape(x))).copy(), tree)


def stack(trees: list[Any]) -> Any:
    """Several as a batch."""
    return jax.tree.map(lambda *x: np.stack([np.asarray(y) for y in x]), *trees)


def run(
    body: Body,
    robot: Robot,
    seconds: float,
    *,
    dt: float = 0.004,
    target: np.ndarray | None = None,
    ground: HeightMap | None = None,
) -> Run:
    """Step a batch [BATCH, ...] of robots, each with numbers of its own [BATCH, ...].

    Args:
        body, robot: a batch of them; or a single one of either, for all.
        seconds: how long.
        dt: time step, s.
        target: [4, 3], [BATCH, 4, 3] or [n, BATCH, 4, 3], one for each record; None is home.
        ground: below; None is flat.
    """
    if np.ndim(body.position) == 1:
        body = batched(body)
    if np.ndim(robot.height) == 0:
        robot = batched(robot)
    ground = flat() if ground is None else ground
    count = round(seconds / (dt * STEPS))
    wanted = np.asarray(robot.home if target is None else target, np.float32)
    wanted = np.broadcast_to(wanted, (count, BATCH, 4, 3))
    step = program(STEPS)
    body, robot = jax.tree.map(jnp.asarray, (body, robot))
    bodies, forces = [body], []
    for i in range(count):
        body, force = step(body, wanted[i], wanted[i], 0, robot, ground, dt)
        bodies.append(body)
        forces.append(force)
    stacked: Any = jax.tree.map(lambda *x: np.stack(x), *bodies)
    return Run(stacked, jax.tree.map(lambda *x: np.stack(x), *forces))


@functools.cache
def program(steps: int, **options: Any) -> Callable[..., tuple[Body, Forces]]:
    """Compiled ``step(body, target, previous, delay, robot, ground, dt)`` for a batch."""

    @jax.jit
    def step(
        body: Body, target: Any, previous: Any, delay: Any, robot: Robot, ground: Any, dt: Any
    ) -> tuple[Body, Forces]:
        def one(body: Body, target: Any, previous: Any, robot: Robot) -> tuple[Body, Forces]:
            given: dict[str, Any] = {"previous": previous, "delay": delay, **options}
            return simulate(body, target, robot, ground, dt, steps, **given)

        return jax.vmap(one)(body, target, previous, robot)

    return step


@functools.cache
def inverse_dynamics() -> Callable[..., jax.Array]:
    """``(bodies, accelerations [n, 18], robot) -> forces``, in the order of the mass matrix."""

    def inverse(body: Body, accelerations: jax.Array, robot: Robot) -> jax.Array:
        wide = jax.tree.map(lambda x: x[..., None], robot)
        rotation = dynamics.rotation_of(tuple(body.quaternion))
        moving = dynamics.rotate(tuple(zip(*rotation, strict=True)), tuple(body.velocity))
        legs = lambda x: tuple(x[:, i, None] for i in range(3))
        force, torques = dynamics.inverse_dynamics(
            tuple(x[None] for x in body.quaternion),
            legs(body.angles),
            (tuple(x[None] for x in body.spin), tuple(x[None] for x in moving)),
            legs(body.speeds),
            (
                (tuple(accelerations[:3, None]), tuple(accelerations[3:6, None])),
                legs(accelerations[6:].reshape(4, 3)),
            ),
            wide,
        )
        trunk = jnp.stack([*force[0], *force[1]])[:, 0]
        return jnp.concatenate([trunk, jnp.stack(torques, 1).reshape(12)])

    return jax.jit(jax.vmap(inverse, (0, 0, None)))


def mass_matrix(body: Body, robot: Robot) -> np.ndarray:
    """[18, 18]: spin and velocity of the trunk in its frame, joints."""
    rows = np.concatenate([np.zeros((1, 18)), np.eye(18)]).astype(np.float32)
    bodies = jax.tree.map(lambda x: np.broadcast_to(x, (19, *x.shape)), body)
    forces = np.asarray(inverse_dynamics()(bodies, rows, robot), np.float64)
    return forces[1:] - forces[0]


def accelerations(bodies: Body, robot: Robot, dt: float = 1e-3) -> np.ndarray:
    """Of one engine step in free space [n, 18], in the order of MuJoCo's."""
    count, found = len(bodies.position), []
    for start in range(0, count, BATCH):
        rows = np.arange(start, start + BATCH) % count
        body = Body(**{field: value[rows] for field, value in vars(bodies).items()})
        after, _ = program(1)(body, body.angles, body.angles, 0, batched(robot), flat(), dt)
        gained = [
            (np.asarray(getattr(after, field), np.float64) - getattr(body, field)) / dt
            for field in ("velocity", "spin", "speeds")
        ]
        found.append(np.concatenate([x.reshape(BATCH, -1) for x in gained], 1))
    return np.concatenate(found)[:count]
