"""Energy, traction and overlap in crowds of scenes; and turning a world changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import make
from envs_jax.pushing.geometry import Vector, heading
from envs_jax.pushing.observation import observe, physical_state
from envs_jax.pushing.reward import reward_terms

# How much robots walk towards the object, and how much they wander.
REST, LEAVE, PRESS = (0.0, 0.0), (-1.0, 0.0), (1.0, 2.0)


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
        ("cylinder", 0.5, 0.02, 10.0, 0.01),
    ],
)
def test_nobody_gets_into_the_object(
    crowd, start, outlines, capsule_gap, name, speed, dt, mass, most
):
    _, params = make("Pushing-v1", object_name=name, dt=dt)
    inertia = params.object_inertia * mass / params.object_mass
    params = params.replace(
        speed_limit=params.speed_limit * speed / 0.5, object_mass=mass, object_inertia=inertia
    )
    path = crowd(PRESS, start(params), params)
    place = np.stack([path.agents.position.x, path.agents.position.y, path.agents.yaw], -1)
    thing = np.stack([path.object.position.x, path.object.position.y, path.object.yaw], -1)
    # Some start within each other, and are pushed apart and into the object meanwhile.
    place, thing = place[20::4], np.broadcast_to(thing[20::4, :, None], place[20::4].shape)
    gap = capsule_gap(outlines[name], place.reshape(-1, 3), thing.reshape(-1, 3), 0.145, 0.13)
    assert gap.min() > -most
    assert (gap < 1e-3).mean() > 0.25  # much of the time they are in touch


def test_turning_the_whole_world_changes_nothing(crowd, start):
    _, params = make("Pushing-v1", spawn_radius=(0.9, 1.2))
    states, angle, shift = start(params), 2.1, Vector(jnp.float32(1.5), jnp.float32(-0.7))
    frame = heading(jnp.float32(angle))

    def turned(bodies, velocity):
        place = bodies.position.out_of(frame) + shift
        return bodies.replace(position=place, yaw=bodies.yaw + angle, velocity=velocity)

    other = states.replace(
        object=turned(states.object, states.object.velocity.out_of(frame)),
        agents=turned(states.agents, states.agents.velocity),
        target=states.target.out_of(frame) + shift,
    )

    @jax.jit
    def seen(path):
        last = jax.tree.map(lambda leaf: leaf[:40], path)
        this = jax.tree.map(lambda leaf: leaf[1:41], path)
        judge = jax.vmap(jax.vmap(reward_terms, (0, 0, None)), (0, 0, None))
        look = jax.vmap(jax.vmap(lambda state: (observe(state, True), physical_state(state))))
        return look(this), judge(last, this, params)

    plain, moved = seen(crowd(PRESS, states, params)), seen(crowd(PRESS, other, params))
    for one, two in zip(jax.tree.leaves(plain), jax.tree.leaves(moved), strict=True):
        apart = np.abs(one - two).reshape(*one.shape[:2], -1).max(-1)
        assert (apart[:10] < 2e-3).mean() > 0.999
        # A contact that is made or missed by rounding may send a scene or two another way.
        assert (apart.max(0) < 2e-3).mean() > 0.96
    assert np.abs(np.diff(plain[0][0][..., 2], axis=0)).max() > 1e-3  # the object did move
