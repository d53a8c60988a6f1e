"""What is seen: order and scales, noise, what is for the critic, and the parts of the ground."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.depth import normalised, render
from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.measures import rotation_of
from envs_jax.quadruped.observation import privileged, proprioception
from envs_jax.quadruped.scan import scan, scan_grid
from quadruped_worlds import BATCH, CALM, SMALL, keys, strong, world

PARTS = {
    "spin": slice(0, 3),
    "gravity": slice(3, 6),
    "command": slice(6, 9),
    "angles": slice(9, 21),
    "speeds": slice(21, 33),
    "action": slice(33, 45),
    "velocity": slice(45, 48),
}


@pytest.fixture(scope="module")
def one():
    """A robot in a hurry, unbatched; every number is its own."""
    state = jax.tree.map(lambda x: x[0], world().start("stairs_up", seed=1))
    rng = np.random.default_rng(0)
    body = state.body.replace(
        spin=rng.normal(size=3).astype(np.float32),
        speeds=rng.normal(size=(4, 3)).astype(np.float32),
    )
    return state.replace(
        body=body,
        action=rng.normal(size=(4, 3)).astype(np.float32),
        command=np.array([0.7, -0.2, 0.9], np.float32),
        touched=np.array([True, False, False, True]),
        time=np.int32(250),
    )


VELOCITY = np.array([0.5, -0.4, 0.3], np.float32)
GRAVITY = np.array([0.1, 0.2, -0.97], np.float32)


@functools.cache
def feel(with_velocity=True):
    run = lambda key, state, params: proprioception(
        state, VELOCITY, GRAVITY, params, key, with_velocity
    )
    return jax.jit(jax.vmap(run, (0, None, None)))


def test_order_and_scales(one):
    felt = np.asarray(feel()(keys(), one, world().changed(noise=0.0)))
    assert felt.shape == (BATCH, 48) and felt.dtype == np.float32
    expected = {
        "spin": 0.25 * one.body.spin,
        "gravity": GRAVITY,
        "command": [1.4, -0.4, 0.225],
        "angles": np.ravel(one.body.angles - world().params.robot.home),
        "speeds": 0.05 * np.ravel(one.body.speeds),
        "action": np.ravel(one.action),
        "velocity": 2.0 * VELOCITY,
    }
    for name, where in PARTS.items():
        np.testing.assert_allclose(felt[0, where], expected[name], rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(felt, felt[:1].repeat(BATCH, 0))


def test_without_velocity_it_is_the_rest(one):
    params = world().changed(noise=0.0)
    short, long = feel(False)(keys(), one, params), feel()(keys(), one, params)
    np.testing.assert_array_equal(short, long[:, :45])


def test_noise_is_legged_gyms(one):
    """Uniform; sizes of what is measured, which then are scaled as it is."""
    many = keys(3, 4096)
    clean = feel()(many, one, world().changed(noise=0.0))
    for factor in (1.0, 0.5):
        off = np.asarray(feel()(many, one, world().changed(noise=factor)) - clean) / factor
        sizes = {
            "spin": 0.25 * 0.2,
            "gravity": 0.05,
            "command": 0.0,
            "angles": 0.01,
            "speeds": 0.05 * 1.5,
            "action": 0.0,
            "velocity": 2.0 * 0.1,
        }
        for name, where in PARTS.items():
            part, size = off[:, where], sizes[name]
            np.testing.assert_allclose(np.abs(part).max(0), size, rtol=0.01, atol=1e-6)
            np.testing.assert_allclose(part.std(0), size / 3**0.5, rtol=0.04, atol=1e-6)
            np.testing.assert_allclose(part.mean(0), 0.0, atol=0.05 * size + 1e-6)
    noisy = off[:, off.any(0)]
    assert np.abs(np.corrcoef(noisy.T) - np.eye(noisy.shape[1])).max() < 0.08


def test_what_the_critic_alone_knows(one):
    known = privileged(one, jnp.asarray(VELOCITY), world().params)
    expected = [
        *(2 * VELOCITY),
        *(1, 0, 0, 1),
        one.drawn.friction,
        one.drawn.added_mass / 3,
        *(10 * one.drawn.shift),
        10 * (one.drawn.strength - 1),
        one.drawn.delay / 5,
        0.75,
    ]
    np.testing.assert_allclose(known, np.array(expected, np.float32), rtol=1e-5)


def clean_scan(state, grid):
    ground = world().params.terrain.ground
    one = lambda body: scan(ground, body.position, rotation_of(body), scan_grid(grid))
    return np.asarray(jax.vmap(one)(state.body))


def test_a_world_sees_what_its_parts_are():
    state = world().start("stairs_up", **CALM)
    seen, after, *_ = world().play(state, 1.0, **CALM)
    assert set(seen) == {"proprioception", "scan", "depth", "privileged"}
    np.testing.assert_allclose(seen["scan"], clean_scan(after, "parkour"), atol=1e-5)
    params = world().changed(**CALM)

    def feels(state):
        rotation = rotation_of(state.body)
        velocity = rotation.T @ state.body.velocity
        felt = proprioception(state, velocity, -rotation[2], params, jax.random.key(0), True)
        return felt, privileged(state, velocity, params)

    felt, known = jax.vmap(feels)(after)
    np.testing.assert_allclose(seen["proprioception"], felt, atol=1e-5)
    np.testing.assert_allclose(seen["privileged"], known, atol=1e-5)
    # Gravity of a robot that stands is down; it has just done what it was told to.
    np.testing.assert_allclose(seen["proprioception"][:, 5], -1.0, atol=0.05)
    np.testing.assert_array_equal(seen["proprioception"][:, PARTS["action"]], 1.0)


def test_scans_are_off_by_up_to_ten_centimetres():
    state = world().start("stairs_up", seed=4)
    for factor in (1.0, 0.3):
        changes = {**CALM, "noise": factor}
        off = []
        for seed in range(4):
            seen, after, *_ = world().play(state, seed=seed, **changes)
            off.append((np.asarray(seen["scan"]) - clean_scan(after, "parkour")) / factor)
        off = np.concatenate(off).ravel()
        assert abs(np.abs(off).max() - 0.1) < 0.001
        assert abs(off.std() - 0.1 / 3**0.5) < 0.003 and abs(off.mean()) < 0.005


def test_where_nobody_else_scans_the_critic_does():
    env = Quadruped(**SMALL, privileged=True)
    params = strong(env.default_params)
    state = world().start("stairs_down", **CALM)
    look = jax.jit(jax.vmap(env.get_obs, (0, None, 0)))
    seen = look(state, params, keys())
    assert set(seen) == {"proprioception", "privileged"}
    assert seen["privileged"].shape == (BATCH, 15 + scan_grid("rough").size)
    # Without noise, though the policy's own part has some.
    np.testing.assert_allclose(seen["privileged"][:, 15:], clean_scan(state, "rough"), atol=1e-6)
    again = look(state, params, keys(1))
    np.testing.assert_array_equal(seen["privileged"], again["privileged"])
    assert (seen["proprioception"] != again["proprioception"]).any()


def test_images_come_ten_times_a_second_and_one_late():
    ground, camera = world().params.terrain.ground, world().params.camera

    @jax.jit
    @jax.vmap
    def photograph(body):
        depth = render(ground, body.position, rotation_of(body), camera, 6, 9)
        return normalised(depth, camera)[..., None]

    changes = {**CALM, "spawn_speed": 0.5}
    state = world().start("stairs_up", seed=2, **changes)
    images, taken = [], []
    for number in range(13):
        seen, state, *_ = world().play(state, seed=number, **changes)
        assert seen["depth"].shape == (BATCH, 6, 9, 1) and seen["depth"].dtype == np.float32
        images.append(np.asarray(seen["depth"]))
        taken.append(np.asarray(photograph(state.body)))
    changed = [i for i in range(1, 13) if (images[i] != images[i - 1]).any()]
    # Frames are of steps 0, 5 and 10; each is seen from five steps later on, the first at once.
    assert changed == [10]
    for number in range(13):
        frame = taken[5 if number >= 10 else 0]
        np.testing.assert_allclose(images[number], frame, atol=1e-5, err_msg=str(number))
    assert np.ptp(images) > 0.3 and np.abs(images).max() <= 0.5


def test_before_the_first_step_all_seems_far():
    seen, _ = world().reset(keys(), world().params)
    np.testing.assert_array_equal(seen["depth"], np.full((BATCH, 6, 9, 1), 0.5, np.float32))
