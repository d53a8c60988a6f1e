"""Energy, traction and overlap in crowds of scenes; and turning a world changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import make
from envs_jax.pushing import dynamics
from envs_jax.pushing.geometry import Vector, heading

BATCH, STEPS = 256, 100


# How much a robot walks towards the object (else away from it), and how much it wanders.
REST, LEAVE, PRESS = (0.0, 0.0), (-1.0, 0.0), (1.0, 1.0)


@pytest.fixture(scope="module")
def crowd():
    """Runs a batch of scenes: every state, leaves ``[STEPS + 1, BATCH, ...]``."""

    @jax.jit
    def run(states, policy, params):
        def move(state, noise):
            way = (state.object.position - state.agents.position).into(heading(state.agents.yaw))
            way = way * (3.0 / way.length())
            towards = jnp.stack([way.x, way.y, jnp.zeros_like(way.x)], -1)
            return dynamics.step(state, policy[0] * towards + policy[1] * noise, params)

        def advance(states, key):
            noise = 2 * jax.random.normal(key, (*states.lag.shape, 3))
            states = jax.vmap(move)(states, noise)
            return states, states

        path = jax.lax.scan(advance, states, jax.random.split(jax.random.key(7), STEPS))[1]
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), states, path)

    def go(policy, states, params):
        numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (policy, params))
        return jax.device_get(run(states, *numbers))

    return go


@pytest.fixture(scope="module")
def start():
    """Resets of a batch: with ``speed``, the object is thrown at robots that stand near it."""

    def go(params, name="cuboid", speed=0.0):
        env, _ = make("Pushing-v1", object_name=name)
        keys = jax.random.split(jax.random.key(3), BATCH)
        states = jax.jit(jax.vmap(env.reset_env, (0, None)))(keys, params)[1]
        if not speed:
            return states
        vx, vy, spin = speed * jax.random.normal(jax.random.key(4), (3, BATCH))
        thing = states.object.replace(velocity=Vector(vx, vy), spin=4 * spin)
        rest = jax.tree.map(jnp.zeros_like, (states.agents.velocity, states.agents.spin))
        agents = states.agents.replace(velocity=rest[0], spin=rest[1])
        return states.replace(object=thing, agents=agents)

    return go


def energy(path, params):
    thing = path.object
    moving = thing.velocity.x**2 + thing.velocity.y**2
    return 0.5 * (params.object_mass * moving + params.object_inertia * thing.spin**2)


@pytest.mark.parametrize("policy", [REST, LEAVE])
def test_robots_that_do_not_push_give_no_energy(crowd, start, policy):
    _, params = make("Pushing-v1", spawn_radius=(0.9, 1.2), object_friction=(0.0, 0.1))
    path = crowd(policy, start(params, speed=0.5), params)
    stored = energy(path, params)
    assert (np.diff(stored, axis=0) <= 2e-4).all()  # of 1 J: a robot that was hit moves a little
    hit = (path.impulse[..., 0].max((0, 2, 3)) > 0).mean()
    assert hit > (0.3 if policy == REST else 0.02)  # many do meet


def test_robots_that_push_give_no_more_than_their_traction_can(crowd, start):
    _, params = make("Pushing-v1")
    path = crowd(PRESS, start(params), params)
    traction = float(params.agent_friction[0] * params.agent_mass[0] * params.gravity * params.dt)
    each = np.linalg.norm(path.impulse, axis=-1).sum(-1)
    assert each.max() <= traction * (1 + 1e-5) and each.max() > 0.5 * traction
    # What an impulse gives is at most itself times the speed of the point that it acts on.
    thing = path.object
    rim = np.hypot(thing.velocity.x, thing.velocity.y) + 0.85 * np.abs(thing.spin)
    gained = np.diff(energy(path, params), axis=0)
    assert (gained <= each[1:].sum(-1) * np.maximum(rim[1:], rim[:-1]) + 1e-5).all()
    assert np.hypot(thing.velocity.x, thing.velocity.y).max() < 1.0  # 0.71 m/s and some turning
    assert gained.max() > 0.02


@pytest.mark.parametrize(
    ("name", "speed", "dt", "mass", "most"),
    [
        ("cuboid", 0.5, 0.02, 4.0, 0.01),
        ("cuboid", 2.0, 0.02, 4.0, 0.02),
        ("cuboid", 1.0, 0.05, 1e4, 0.03),  # a wall
        ("t_block", 0.5, 0.02, 3.0, 0.01),
    ],
)
def test_nobody_gets_into_the_object(
    crowd, start, outlines, capsule_gap, name, speed, dt, mass, most
):
    env, params = make("Pushing-v1", object_name=name, dt=dt, object_mass=mass)
    params = params.replace(speed_limit=params.speed_limit * speed / 0.5)
    params = params.replace(object_inertia=params.object_inertia * mass / 4.0)
    path = crowd(PRESS, start(params, name), params)
    place = np.stack([path.agents.position.x, path.agents.position.y, path.agents.yaw], -1)
    thing = np.stack([path.object.position.x, path.object.position.y, path.object.yaw], -1)
    # Some start within each other, and are pushed apart and into the object meanwhile.
    place, thing = place[20::4], np.broadcast_to(thing[20::4, :, None], place[20::4].shape)
    gap = capsule_gap(outlines[name], place.reshape(-1, 3), thing.reshape(-1, 3), 0.145, 0.13)
    assert gap.min() > -most
    assert (gap < 1e-3).mean() > 0.3  # most of the time they are in touch


def test_turning_the_whole_world_changes_nothing(start):
    env, params = make("Pushing-v1", spawn_radius=(0.9, 1.2))
    states = start(params)

    def turned(states, angle, shift):
        frame = heading(jnp.float32(angle))

        def body(bodies, world_velocity):
            return bodies.replace(
                position=bodies.position.out_of(frame) + shift,
                yaw=bodies.yaw + angle,
                velocity=bodies.velocity.out_of(frame) if world_velocity else bodies.velocity,
            )

        return states.replace(
            object=body(states.object, True),
            agents=body(states.agents, False),
            target=states.target.out_of(frame) + shift,
        )

    @jax.jit
    def run(states):
        def advance(states, key):
            act = 3 * jax.random.normal(key, (BATCH, 2, 3)) + jnp.array([1.0, 0, 0])
            step = jax.vmap(env.step_env, (None, 0, 0, None))
            seen, states, reward, ended, _ = step(key, states, act, params)
            return states, (
                seen,
                reward,
                ended,
                jax.vmap(env.global_state, (0, None))(states, params),
            )

        return jax.lax.scan(advance, states, jax.random.split(jax.random.key(5), 40))[1]

    plain = run(states)
    other = run(turned(states, 2.1, Vector(jnp.float32(1.5), jnp.float32(-0.7))))
    angles = np.array([4, 7])
    difference = np.array(plain[0] - other[0])
    difference[..., angles] = np.sin(difference[..., angles] / 2)
    # A contact that is made or missed by rounding may send a scene or two another way.
    assert (np.abs(difference).max((0, 2, 3)) < 2e-3).mean() > 0.98
    assert (np.abs(plain[1] - other[1]).max((0, 2)) < 2e-3).mean() > 0.95
    assert np.abs(np.diff(plain[0][..., 2], axis=0)).max() > 1e-3  # the object did move
