"""What is random about a robot: what comes of what was drawn, and the ranges of public tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.randomisation import RANGES, Drawn, draw_episode, randomised
from envs_jax.quadruped.robot import check_robot
from quadruped_worlds import BATCH, CALM, world

ALL = {
    "link_mass": (0.8, 1.2),
    "armature": (1.0, 1.05),
    "joint_friction": (0.9, 1.1),
    "joint_offset": (-0.05, 0.05),
    "delay": (0, 6),
}


def drawn(seed: int = 0, **changes) -> Drawn:
    return jax.device_get(draw_episode(jax.random.key(seed), world().changed(**changes)))


def test_the_robot_of_an_episode_is_what_was_drawn():
    usual, episode = world().params.robot, drawn(**ALL)
    robot = randomised(usual, episode)
    expected = {
        "trunk_mass": usual.trunk_mass + episode.added_mass,
        "trunk_com": usual.trunk_com + episode.shift,
        "torque_limit": usual.torque_limit * episode.strength,
        "stiffness": usual.stiffness * episode.strength,
        "link_mass": usual.link_mass * episode.link_mass,
        "link_inertia": usual.link_inertia * episode.link_mass[..., None],
        "armature": usual.armature * episode.armature,
        "joint_friction": usual.joint_friction * episode.joint_friction,
        "home": usual.home + episode.joint_offset,
    }
    for name, value in vars(usual).items():
        if name == "ground":
            continue
        found = np.asarray(getattr(robot, name))
        np.testing.assert_allclose(found, expected.get(name, value), rtol=1e-6, err_msg=name)
        assert np.array_equal(found, value) == (name not in expected), name
    assert robot.ground == usual.ground.replace(friction=episode.friction)
    assert robot.ground.friction != usual.ground.friction
    check_robot(robot)


def test_ranges_of_no_width_leave_the_robot_as_it_is():
    usual = world().params.robot
    wide = Quadruped(randomisation="playground").default_params.replace(**ALL)
    episode = draw_episode(jax.random.key(0), wide.replace(**RANGES["none"]))
    robot = jax.device_get(randomised(usual, episode))
    assert episode.delay == 0
    same = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-6), robot, usual)
    assert [name for name, value in vars(same).items() if value is False] == []
    assert robot.ground.friction == np.float32(0.8)


def test_heavy_legs_move_otherwise():
    state = world().start("flat", **CALM)
    heavy = state.drawn.replace(link_mass=jnp.full((BATCH, 4, 3), 1.3))
    one, other = (world().play(x, 1.0, **CALM)[1].body for x in (state, state.replace(drawn=heavy)))
    slower = np.abs(other.speeds).sum() / np.abs(one.speeds).sum()
    assert 0.5 < slower < 0.98


def test_a_joint_that_is_off_is_felt_and_steered_as_if_it_were_not():
    """Who stands at home by what it feels stands off it, and the action 0 keeps it there."""
    offset = 0.05 * np.where(np.arange(12) % 2, 1.0, -1.0).reshape(4, 3)
    state = world().start("flat", **CALM)
    shift = state.drawn.replace(joint_offset=jnp.tile(offset, (BATCH, 1, 1)))
    home = np.asarray(world().params.robot.home)
    angles = jnp.tile(home + offset, (BATCH, 1, 1)).astype(jnp.float32)
    state = state.replace(drawn=shift, body=state.body.replace(angles=angles))
    seen, after, *_ = world().play(state, **CALM)
    np.testing.assert_allclose(after.target - home, np.tile(offset, (BATCH, 1, 1)), atol=1e-6)
    felt = np.asarray(seen["proprioception"])[:, 9:21].reshape(BATCH, 4, 3)
    np.testing.assert_allclose(felt, after.body.angles - home - offset, atol=1e-6)
    assert np.abs(felt).max() < 0.04 < np.abs(np.asarray(after.body.angles) - home).max()


@pytest.mark.parametrize("task", list(RANGES))
def test_ranges_are_those_of_the_task(task):
    """As published; ours and legged_gym's friction and noise are one."""
    params = Quadruped(randomisation=task).default_params
    names = ("friction", "added_mass", "shift", "strength", "link_mass", "armature")
    names += ("joint_friction", "joint_offset", "push_speed", "push_steps", "noise", "noise_angles")
    unit, zero = (1.0, 1.0), (0.0, 0.0)
    friction, both, one = (0.5, 1.25), (0.9, 1.1), 1.0
    expected = {
        "own": (
            *(friction, (-1.0, 1.0), (-0.03, 0.03), both, unit, unit, unit, zero),
            *(0.5, 400, 1, 0.01),
        ),
        "none": ((0.8, 0.8), zero, zero, unit, unit, unit, unit, zero, 0.0, 400, 0, 0.01),
        "legged_gym": (friction, zero, zero, unit, unit, unit, unit, zero, one, 750, 1, 0.01),
        "extreme_parkour": (
            *((0.6, 2.0), (0.0, 3.0), (-0.2, 0.2), (0.8, 1.2), unit, unit, unit, zero),
            *(0.5, 400, 0, 0.01),
        ),
        "playground": (
            *((0.4, 1.0), (-1.0, 1.0), (-0.05, 0.05), unit, both, (1.0, 1.05), both),
            *((-0.05, 0.05), 0.0, 400, 1, 0.03),
        ),
    }  # fmt: skip
    assert {name: getattr(params, name) for name in names} == dict(
        zip(names, expected[task], strict=True)
    )


def test_noise_has_the_size_that_is_asked_for():
    state = world().start("flat", **CALM)
    many = [
        np.asarray(
            world().play(state, seed=seed, **CALM | {"noise": 1.0, "noise_angles": 0.5})[0][
                "proprioception"
            ]
        )
        for seed in range(8)
    ]
    off = np.stack(many) - np.asarray(world().play(state, **CALM)[0]["proprioception"])
    angles, speeds = np.abs(off[..., 9:21]).max(), np.abs(off[..., 21:33]).max()
    assert 0.45 < angles <= 0.5 and 0.065 < speeds <= 0.0751
