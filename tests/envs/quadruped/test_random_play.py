"""Random actions on every kind of terrain: all stays finite, nobody is shot up, nobody sinks in.

``RLJAX_RANDOM_STEPS=1e7 pytest -s -k record tests/envs/quadruped/test_random_play.py`` plays that
many steps on each kind, on the map that robots are trained on, and prints what it has met;
``RLJAX_RANDOM_SEED`` (0) draws other ones.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped import dynamics
from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.heights import height_at, surface_at
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.measures import places_of_feet, rotation_of
from envs_jax.quadruped.robot import corners
from helpers import optimised
from quadruped_worlds import CONTROL, keys, strong

CHUNK = 200  # steps
EPISODE = 250  # steps: five seconds, of which a robot lies on the ground for most
DEEP = 0.04  # m
ASIDE = np.concatenate(  # m: ways out of a wall
    [
        distance * np.stack([np.cos(turn), np.sin(turn)], -1)
        for distance in (0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
        for turn in [np.arange(8) * np.pi / 4]
    ]
)
RENEWED = 0.2  # share of the robots that get another action in a step

COMMON: dict[str, Any] = {"max_steps_in_episode": EPISODE, "push_steps": 50}
ENDLESS = {**COMMON, "fall_tilt": -2.0, "fall_height": -np.inf, "fall_depth": np.inf}
"""Nobody has fallen, however he lies."""


class Extremes(NamedTuple):
    """The most that was met, float32 [B] while playing, by kind [10] then.

    Attributes:
        up: m/s, speed of the trunk upwards.
        above: m, of the trunk above the highest ground within half a metre.
        foot, knee, corner: m, how deep these are in the ground: the shortest way out.
        spin: rad/s, of the trunk. joint: rad/s.
        sunk: s, how long one of these was deeper than `DEEP`, at a stretch.
        broken: 1 where something was not finite.
    """

    up: Any
    above: Any
    foot: Any
    knee: Any
    corner: Any
    spin: Any
    joint: Any
    sunk: Any
    broken: Any


def extremes_of(body, robot, ground) -> Extremes:
    """Of one robot at one time."""
    pose = dynamics.pose_of(tuple(body.quaternion), tuple(body.angles.T), robot)
    knee = dynamics.to_world(pose, dynamics.to_trunk(pose, (pose.knee, pose.knee))[0])
    knees = body.position + jnp.stack([jnp.asarray(x) for x in knee], -1)
    middles, ball = corners(robot)
    trunk = body.position + jnp.stack(middles, -1) @ rotation_of(body).T

    def depth(places, radius):
        """How far balls [n] would have to go to be free: along the normal, or aside and up."""
        beside = places[:, None, :2] + np.concatenate([np.zeros((1, 2)), ASIDE])  # [n, 1 + ways, 2]
        height, normal = surface_at(ground, beside[..., 0], beside[..., 1])
        along = radius - (places[:, 2:] - height) * normal[2]
        rise = jnp.maximum(along / normal[2], 0.0)[:, 1:]
        aside = jnp.hypot(np.linalg.norm(ASIDE, axis=-1), rise).min(-1)
        return jnp.minimum(along[:, 0], aside)

    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 6), np.linspace(-0.5, 0.5, 6))
    around = height_at(ground, body.position[0] + x, body.position[1] + y)
    whole = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(body)])
    return Extremes(
        up=body.velocity[2],
        above=body.position[2] - around.max(),
        foot=depth(places_of_feet(body, robot), robot.foot_radius).max(),
        knee=depth(knees, robot.knee_radius).max(),
        corner=depth(trunk, ball).max(),
        spin=jnp.linalg.norm(body.spin),
        joint=jnp.abs(body.speeds).max(),
        sunk=0.0,
        broken=1.0 - jnp.isfinite(whole).all(),
    )


@functools.cache
def player(each: int, **options: Any) -> Callable[..., Extremes]:
    """What plays chunks with changed parameters, with `each` robots on each kind; compiled once."""
    env = Quadruped(ground="all", **options)
    kinds = np.asarray(env.default_params.terrain.kinds)
    columns = [np.resize(np.flatnonzero(kinds == kind), each) for kind in range(len(KINDS))]
    column, batch = jnp.asarray(np.concatenate(columns)), each * len(KINDS)

    def step(params, loop, key):
        state, action, sunk, most = loop
        own = jax.random.split(key, 4)
        drawn = jax.random.uniform(own[0], (batch, 12), minval=-1, maxval=1) * params.action_limit
        is_new = jax.random.bernoulli(own[1], RENEWED, (batch, 1))
        action = jnp.where(is_new, drawn, action)
        _, after, reward, fell, _ = jax.vmap(env.step_env, (0, 0, 0, None))(
            jax.random.split(own[2], batch), state, action, params
        )
        met = jax.vmap(extremes_of, (0, None, None))(
            after.body, params.robot, params.terrain.ground
        )
        is_deep = jnp.stack([met.foot, met.knee, met.corner]).max(0) > DEEP
        sunk = jnp.where(is_deep, sunk + CONTROL, 0.0)
        met = met._replace(sunk=sunk, broken=jnp.maximum(met.broken, ~jnp.isfinite(reward)))
        # What is not a number is found by `broken`, and would hide the rest.
        most = jax.tree.map(lambda a, b: jnp.fmax(a, b), most, met)
        over = jax.vmap(env.is_truncated, (0, None))(after, params) | fell
        _, fresh = jax.vmap(env.restart_env, (0, 0, None))(
            jax.random.split(own[3], batch), after, params
        )
        choose = lambda new, old: jnp.where(over.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
        state = jax.tree.map(choose, fresh, after)
        return (state, action, jnp.where(over, 0.0, sunk), most), None

    @jax.jit
    def begin(params, seed):
        _, state = jax.vmap(env.reset_env, (0, None))(keys(seed, batch), params)
        _, state = jax.vmap(env.restart_env, (0, 0, None))(
            keys(seed, batch), state.replace(column=column), params
        )
        nothing = Extremes(*[jnp.full(batch, -jnp.inf)] * len(Extremes._fields))
        return strong((state, jnp.zeros((batch, 12)), jnp.zeros(batch), nothing))

    @optimised
    def chunk(params, loop, seed):
        keys = jax.random.split(jax.random.key(seed), CHUNK)
        return jax.lax.scan(functools.partial(step, params), loop, keys)[0]

    def play(changes: dict[str, Any], chunks: int, seed: int) -> Extremes:
        params = strong(env.default_params.replace(**changes))
        loop = begin(params, seed)
        for number in range(chunks):
            loop = chunk(params, loop, 1000 * (seed + 1) + number)
        by_kind = lambda most: np.asarray(most).reshape(len(KINDS), each).max(1)
        return jax.tree.map(by_kind, loop[-1])

    return play


def show(met: Extremes) -> None:
    print("\n" + " ".join(["kind".ljust(14), *(name.rjust(8) for name in Extremes._fields)]))
    for kind, *row in zip(KINDS, *met, strict=True):
        print(" ".join([kind.ljust(14), *(f"{value:8.3f}" for value in row)]))


def check(met: Extremes) -> None:
    assert not met.broken.any()
    assert (met.up < 5.0).all(), met.up  # m/s
    assert (met.above < 1.5).all(), met.above  # m
    # Thrown about by its motors a robot strikes the ground, feet at up to 30 m/s, which is 12 cm
    # in a step of the physics, and comes out again.
    for part, most in ((met.foot, 0.25), (met.knee, 0.25), (met.corner, 0.1)):
        assert (part < most).all(), part
    assert (met.sunk < 0.3).all(), met.sunk
    # It was played: everybody was thrown about, and lay on the ground.
    assert (met.up > 0.5).all() and (met.corner > 0).all() and (met.joint > 5).all()


@pytest.mark.slow
def test_many_steps():
    """Of those who lie on when they have fallen, and of those who start again."""
    each = 100
    play = player(each, cell=0.1, levels=3)
    for changes, steps in ((ENDLESS, 2e5), (COMMON, 4e5)):
        met = play(changes, round(steps / (each * len(KINDS) * CHUNK)), seed=0)
        show(met)
        check(met)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.skipif("RLJAX_RANDOM_STEPS" not in os.environ, reason="RLJAX_RANDOM_STEPS is not set")
@pytest.mark.parametrize("changes", [COMMON, ENDLESS], ids=["reset", "lying"])
def test_for_the_record(changes):
    each = 200
    steps = float(os.environ["RLJAX_RANDOM_STEPS"])
    seed = int(os.environ.get("RLJAX_RANDOM_SEED", "0"))
    met = player(each)(changes, round(steps / (each * CHUNK)), seed)
    show(met)
    check(met)
