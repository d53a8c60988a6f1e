"""Scenes and the one compiled simulator that the tests of pushing share.

JAX is imported where it is used: this file may be read before tests/conftest.py has set it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

STEPS = 120
BATCH, CROWD_STEPS = 256, 100


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


class Disc:
    """A disc in numpy, as far as distances go."""

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def distance(self, points: Any) -> np.ndarray:
        """Signed, negative inside, ``[p]``."""
        return np.linalg.norm(points, axis=-1) - self.radius


@pytest.fixture(scope="session")
def outlines() -> dict[str, Any]:
    """Of the objects, from their centre of mass."""
    box = [(-0.6, -0.6), (0.6, -0.6), (0.6, 0.6), (-0.6, 0.6)]
    tee = [(-0.5, -0.25), (0.5, -0.25), (0.5, 0.25), (0.25, 0.25), (0.25, 0.75), (-0.25, 0.75)]
    tee += [(-0.25, 0.25), (-0.5, 0.25)]
    shifted = Outline(np.array(tee) - (0, 1 / 6))
    return {"cuboid": Outline(box), "t_block": shifted, "cylinder": Disc(1.5)}


@pytest.fixture(scope="session")
def capsule_gap() -> Callable[..., np.ndarray]:
    """Signed distance of capsules from an object, by many points on their axes, ``[p]``."""

    def gap(outline: Any, place: Any, thing: Any, half_length: float, radius: float) -> np.ndarray:
        place, thing = np.asarray(place, float), np.asarray(thing, float)
        c, s = np.cos(thing[..., 2]), np.sin(thing[..., 2])
        dx, dy = place[..., 0] - thing[..., 0], place[..., 1] - thing[..., 1]
        x, y, yaw = c * dx + s * dy, c * dy - s * dx, place[..., 2] - thing[..., 2]
        along = np.linspace(-half_length, half_length, 101)[:, None]
        points = np.stack([x + along * np.cos(yaw), y + along * np.sin(yaw)], -1)
        return outline.distance(points.reshape(-1, 2)).reshape(101, -1).min(0) - radius

    return gap


@pytest.fixture(scope="session")
def crowd() -> Callable[..., Any]:
    """Runs a batch of scenes: every state, leaves ``[CROWD_STEPS + 1, BATCH, ...]``.

    The policy is how much a robot walks towards the object (else away from it), and how much it
    wanders: the standard deviation of its actions.
    """
    import jax
    import jax.numpy as jnp

    from envs_jax.pushing import dynamics
    from envs_jax.pushing.geometry import heading
    from helpers import optimised

    @optimised
    def run(states: Any, policy: Any, params: Any) -> Any:
        def move(state: Any, noise: Any) -> Any:
            way = (state.object.position - state.agents.position).into(heading(state.agents.yaw))
            way = way * (3.0 / way.length())
            towards = jnp.stack([way.x, way.y, jnp.zeros_like(way.x)], -1)
            return dynamics.step(state, policy[0] * towards + policy[1] * noise, params)

        def advance(states: Any, key: Any) -> Any:
            noise = jax.random.normal(key, (*states.lag.shape, 3))
            states = jax.vmap(move)(states, noise)
            return states, states

        path = jax.lax.scan(advance, states, jax.random.split(jax.random.key(7), CROWD_STEPS))[1]
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), states, path)

    def go(policy: tuple[float, float], states: Any, params: Any) -> Any:
        numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (policy, params))
        return jax.device_get(run(states, *numbers))

    return go


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """Resets of a batch; with `speed`, the object is thrown at robots that stand near it."""
    import jax
    import jax.numpy as jnp

    from envs_jax.pushing import world
    from envs_jax.pushing.geometry import Vector

    reset = jax.jit(jax.vmap(world.start, (0, None)))

    def go(params: Any, speed: float = 0.0) -> Any:
        states = reset(jax.random.split(jax.random.key(3), BATCH), params)
        if not speed:
            return states
        vx, vy, spin = speed * jax.random.normal(jax.random.key(4), (3, BATCH))
        thing = states.object.replace(velocity=Vector(vx, vy), spin=4 * spin)
        rest = jax.tree.map(jnp.zeros_like, (states.agents.velocity, states.agents.spin))
        agents = states.agents.replace(velocity=rest[0], spin=rest[1])
        return states.replace(object=thing, agents=agents)

    return go
