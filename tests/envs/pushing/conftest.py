"""Scenes and the one compiled simulator that the tests of pushing share.

JAX is imported where it is used: this file may be read before tests/conftest.py has set it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

STEPS = 120


@pytest.fixture(scope="session")
def params() -> Any:
    """A box and two robots."""
    from envs_jax import make

    return make("Pushing-v1")[1]


@pytest.fixture(scope="session")
def scene() -> Callable[..., Any]:
    """Make a state of chosen bodies: rows of (x, y, yaw) and of (vx, vy, spin)."""
    import jax
    import jax.numpy as jnp

    from envs_jax.pushing.geometry import Bodies, Vector
    from envs_jax.pushing.world import PushingState

    def bodies(place: Any, motion: Any) -> Any:
        x, y, yaw = np.moveaxis(np.asarray(place, np.float32), -1, 0)
        vx, vy, spin = np.moveaxis(np.asarray(motion, np.float32), -1, 0)
        made = Bodies(Vector(x, y), yaw, Vector(vx, vy), spin)
        return jax.tree.map(jnp.asarray, made)

    def make_scene(
        agents: Any,
        agent_motion: Any = None,
        thing: Any = (0, 0, 0),
        motion: Any = (0, 0, 0),
        target: Any = (3, 0),
        friction: float = 0.325,
        radius: float = 0.6,
        lag: float = 0.2,
    ) -> Any:
        n = len(agents)
        return PushingState(
            time=jnp.int32(0),
            object=bodies(thing, motion),
            agents=bodies(agents, np.zeros((n, 3)) if agent_motion is None else agent_motion),
            target=Vector(*map(jnp.float32, target)),
            impulse=jnp.zeros((n, 2, 2)),
            friction=jnp.float32(friction),
            limit_radius=jnp.float32(radius),
            lag=jnp.full(n, lag, jnp.float32),
        )

    return make_scene


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Any]:
    """The states after each of `STEPS` steps under a constant action, leaves ``[STEPS, ...]``."""
    import jax
    import jax.numpy as jnp

    from envs_jax.pushing import dynamics

    @jax.jit
    def run(state: Any, action: Any, params: Any) -> Any:
        def advance(state: Any, _: None) -> Any:
            state = dynamics.step(state, action, params)
            return state, state

        return jax.lax.scan(advance, state, length=STEPS)[1]

    def go(state: Any, action: Any, params: Any) -> Any:
        # Numbers and arrays alike, so that one program serves all parameters.
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
        return jax.device_get(run(state, jnp.asarray(action, jnp.float32), params))

    return go


class Outline:
    """A polygon in numpy, by its edges: what the world's rectangles are checked against."""

    def __init__(self, corners: Any) -> None:
        self.corners = np.asarray(corners, float)  # counterclockwise
        self.sides = np.roll(self.corners, -1, axis=0) - self.corners
        length = np.hypot(*self.sides.T)[:, None]
        self.inward = np.stack([-self.sides[:, 1], self.sides[:, 0]], 1) / length

    def edge_distances(self, points: Any) -> np.ndarray:
        """From points ``[p, 2]`` to every edge, ``[p, edges]``."""
        offset = np.asarray(points, float)[:, None] - self.corners
        share = (offset * self.sides).sum(-1) / (self.sides**2).sum(-1)
        foot = np.clip(share, 0, 1)[..., None] * self.sides
        return np.linalg.norm(offset - foot, axis=-1)

    def contains(self, points: Any) -> np.ndarray:
        """By the number of edges that a ray crosses, bool ``[p]``."""
        x, y = np.asarray(points, float).T[:, :, None]
        (x0, y0), (x1, y1) = self.corners.T, np.roll(self.corners, -1, axis=0).T
        straddles = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        return (straddles & (x < crossing)).sum(-1) % 2 == 1

    def distance(self, points: Any) -> np.ndarray:
        """Signed, negative inside, ``[p]``."""
        return self.edge_distances(points).min(-1) * np.where(self.contains(points), -1, 1)


@pytest.fixture(scope="session")
def outlines() -> dict[str, Outline]:
    """Of the objects with edges, from their centre of mass."""
    box = [(-0.6, -0.6), (0.6, -0.6), (0.6, 0.6), (-0.6, 0.6)]
    tee = [(-0.5, -0.25), (0.5, -0.25), (0.5, 0.25), (0.25, 0.25), (0.25, 0.75), (-0.25, 0.75)]
    tee += [(-0.25, 0.25), (-0.5, 0.25)]
    return {"cuboid": Outline(box), "t_block": Outline(np.array(tee) - (0, 1 / 6))}


@pytest.fixture(scope="session")
def capsule_gap() -> Callable[..., np.ndarray]:
    """Signed distance of capsules from an object, by many points on their axes, ``[p]``."""

    def gap(
        outline: Outline, place: Any, thing: Any, half_length: float, radius: float
    ) -> np.ndarray:
        place, thing = np.asarray(place, float), np.asarray(thing, float)
        c, s = np.cos(thing[..., 2]), np.sin(thing[..., 2])
        dx, dy = place[..., 0] - thing[..., 0], place[..., 1] - thing[..., 1]
        x, y, yaw = c * dx + s * dy, c * dy - s * dx, place[..., 2] - thing[..., 2]
        along = np.linspace(-half_length, half_length, 101)[:, None]
        points = np.stack([x + along * np.cos(yaw), y + along * np.sin(yaw)], -1)
        return outline.distance(points.reshape(-1, 2)).reshape(101, -1).min(0) - radius

    return gap
