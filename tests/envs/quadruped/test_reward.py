"""Each term of the reward against its formula, and the weights of the public tasks."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import pytest

from envs_jax.quadruped.engine import Body, Forces
from envs_jax.quadruped.reward import WEIGHTS, RewardParams, Step, reward_terms, total_reward
from envs_jax.quadruped.robot import make_robot
from envs_jax.quadruped.world import default_params

ROBOT = make_robot()
DT = 0.02
TERMS = [
    field.name.removeprefix("weight_")
    for field in dataclasses.fields(RewardParams)
    if field.name.startswith("weight_")
]


def body_of(rng):
    return Body(
        position=rng.normal(size=3),
        quaternion=np.array([1.0, 0.0, 0.0, 0.0]),
        velocity=rng.normal(size=3),
        spin=rng.normal(size=3),
        angles=np.asarray(ROBOT.home) + rng.uniform(-0.9, 0.9, (4, 3)),
        speeds=rng.normal(size=(4, 3)),
    )


def a_step(seed: int, **changes) -> Step:
    """A step in which everything is random."""
    rng = np.random.default_rng(seed)
    gravity = rng.normal(size=3)
    feet = rng.normal(size=(4, 3)) * [20.0, 20.0, 10.0]
    feet[rng.integers(4)] = 0.0
    step = Step(
        before=body_of(rng),
        body=body_of(rng),
        forces=Forces(
            feet=feet,
            knees=rng.choice([0.0, 0.9, 1.1, 30.0], 4),
            corners=rng.choice([0.0, 0.9, 1.1, 30.0], 4),
            torques=rng.normal(size=(4, 3)),
        ),
        robot=ROBOT,
        command=np.array([0.6, -0.2, 0.3]),
        heading=rng.uniform(-3, 3),
        heading_error=rng.uniform(-3, 3),
        velocity=rng.normal(size=3),
        gravity=gravity / np.linalg.norm(gravity),
        height=rng.uniform(0.1, 0.4),
        feet_height=rng.uniform(0.0, 0.2, 4),
        feet_speed=rng.uniform(0.0, 2.0, 4),
        touches=np.array([True, True, False, True]),
        touched=np.array([False, True, False, False]),
        air_time=rng.uniform(0.0, 1.0, 4),
        swing_peak=rng.uniform(0.0, 0.2, 4),
        on_edge=np.array([True, True, True, False]),
        action=rng.normal(size=(4, 3)),
        last_action=rng.normal(size=(4, 3)),
        last_torques=rng.normal(size=(4, 3)),
        fell=np.bool_(False),
        directed=np.bool_(False),
        level=np.int32(4),
        dt=DT,
    )
    return step._replace(**changes)


STEPS = [
    a_step(0),
    a_step(1, directed=np.bool_(True)),
    a_step(2, command=np.array([0.0, 0.0, 0.8])),
    a_step(3, fell=np.bool_(True), on_edge=np.zeros(4, bool)),
    a_step(4, directed=np.bool_(True), forces=a_step(4).forces.replace(feet=np.eye(4, 3) * 0)),
    a_step(6, directed=np.bool_(True), level=np.int32(3)),
    a_step(5, command=np.array([-0.3, 0.1, 0.0]), velocity=np.array([-0.9, 0.3, 0.0])),
    a_step(7, command=np.zeros(3)),
]
"""On open ground, on a course, turning, falling, on a course in the air, on one that is easy,
faster than told to, standing."""


class Numbers(NamedTuple):
    """What the formulas below are of."""

    step: Step

    @property
    def moves(self):
        return np.hypot(*self.step.command[:2]) > 0.1

    @property
    def off_home(self):
        return self.step.body.angles - np.asarray(ROBOT.home)


def goal_velocity(n):
    asked = np.hypot(*n.step.command[:2])
    if asked == 0:
        return 0.0
    along = n.step.velocity[:2] @ n.step.command[:2] / asked
    if n.step.directed:  # to where the course goes, wherever the robot points and however it tilts
        way = np.array([np.cos(n.step.heading), np.sin(n.step.heading)])
        along = n.step.body.velocity[:2] @ way
    return min(along, asked) / (asked + 1e-5)  # as extreme-parkour has it


def joint_limit(n):
    """Beyond 90 % of the range of a joint, whose middle is the range's."""
    total = 0.0
    for angle, low, high in zip(
        n.step.body.angles.ravel(), ROBOT.lower.ravel(), ROBOT.upper.ravel(), strict=True
    ):
        spare = 0.05 * (high - low)
        total += max(low + spare - angle, 0.0) + max(angle - high + spare, 0.0)
    return total


def air_time(n):
    landed = [0] if n.step.touches[0] and not n.step.touched[0] else []
    landed += [3] if n.step.touches[3] and not n.step.touched[3] else []
    return n.moves * sum(n.step.air_time[foot] - 0.25 for foot in landed)


FORMULAS = {
    "track_velocity": lambda n: np.exp(
        -((n.step.velocity[0] - n.step.command[0]) ** 2) / 0.25
        - (n.step.velocity[1] - n.step.command[1]) ** 2 / 0.25
    ),
    "track_yaw": lambda n: np.exp(-4 * (n.step.body.spin[2] - n.step.command[2]) ** 2),
    "goal_velocity": goal_velocity,
    "goal_heading": lambda n: np.exp(-abs(n.step.heading_error)),
    "vertical_velocity": lambda n: n.step.velocity[2] ** 2 / (2 if n.step.directed else 1),
    "tilt_rate": lambda n: n.step.body.spin[0] ** 2 + n.step.body.spin[1] ** 2,
    "orientation": lambda n: 0 if n.step.directed else 1 - n.step.gravity[2] ** 2,
    "height": lambda n: (n.step.height - ROBOT.height) ** 2,
    "torque": lambda n: np.square(n.step.forces.torques).sum(),
    "effort": lambda n: (
        np.sqrt(np.square(n.step.forces.torques).sum()) + np.abs(n.step.forces.torques).sum()
    ),
    "torque_rate": lambda n: np.square(n.step.forces.torques - n.step.last_torques).sum(),
    "energy": lambda n: np.abs(n.step.forces.torques * n.step.body.speeds).sum(),
    "acceleration": lambda n: 2500 * np.square(n.step.body.speeds - n.step.before.speeds).sum(),
    "action_rate": lambda n: np.square(n.step.action - n.step.last_action).sum(),
    "action_change": lambda n: np.sqrt(np.square(n.step.action - n.step.last_action).sum()),
    "joint_limit": joint_limit,
    "joint_error": lambda n: np.square(n.off_home).sum(),
    "hip_error": lambda n: sum(n.off_home[leg][0] ** 2 for leg in range(4)),
    "pose": lambda n: np.exp(-(np.square(n.off_home) * [1, 1, 0.1]).sum()),
    "stand_still": lambda n: 0 if n.step.command.any() else np.abs(n.off_home).sum(),
    "collision": lambda n: sum([*(n.step.forces.knees > 1), *(n.step.forces.corners > 1)]),
    "stumble": lambda n: any(np.hypot(x, y) > 4 * abs(z) for x, y, z in n.step.forces.feet),
    "edge": lambda n: 2 if n.step.directed and n.step.on_edge.any() and n.step.level > 3 else 0,
    "air_time": air_time,
    "clearance": lambda n: np.abs(n.step.feet_height - 0.1) @ np.sqrt(n.step.feet_speed),
    "step_height": lambda n: (
        np.square(n.step.swing_peak / 0.1 - 1)[[0, 3]].sum() * n.step.command.any()
    ),
    "slip": lambda n: np.square(n.step.feet_speed)[[0, 1, 3]].sum() * n.step.command.any(),
    "termination": lambda n: n.step.fell,
}


@pytest.fixture(scope="module")
def found():
    """Terms of all steps: arrays [n] by name."""
    float32 = lambda x: np.asarray(x) if np.asarray(x).dtype == bool else np.float32(x)
    stacked = jax.tree.map(lambda *x: np.stack([float32(y) for y in x]), *STEPS)
    return jax.jit(jax.vmap(reward_terms, (0, None)))(stacked, RewardParams())


def test_there_are_no_other_terms(found):
    assert set(found) == set(FORMULAS) == set(TERMS)
    assert len(TERMS) == 28


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_its_formula(found, name):
    expected = np.array([float(FORMULAS[name](Numbers(step))) for step in STEPS])
    assert np.ptp(expected) > 0  # else it would show nothing
    np.testing.assert_allclose(found[name], expected, rtol=2e-5, atol=1e-5)


def test_what_terms_are_measured_against_is_a_parameter():
    terms = jax.jit(reward_terms)
    step = jax.tree.map(np.asarray, STEPS[0])
    told = {
        name: terms(step, RewardParams(**{name: value}))
        for name, value in {
            "tracking_width": 0.5,
            "air_time_target": 0.1,
            "clearance_target": 0.2,
            "soft_limit": 0.5,
        }.items()
    }
    usual = terms(step, RewardParams())
    changed = {
        name: {term for term in TERMS if not np.allclose(usual[term], new[term])}
        for name, new in told.items()
    }
    assert changed == {
        "tracking_width": {"track_velocity", "track_yaw"},
        "air_time_target": {"air_time"},
        "clearance_target": {"clearance", "step_height"},
        "soft_limit": {"joint_limit"},
    }
    landed = FORMULAS["air_time"](Numbers(STEPS[0]))
    np.testing.assert_allclose(told["air_time_target"]["air_time"], landed + 2 * 0.15, rtol=1e-5)


# Per second, in the order of legged_robot_config.py with a1_config.py, of extreme-parkour's
# legged_robot_config.py, and of Playground's go1/joystick.py.
PUBLIC = {
    "legged_gym": "track_velocity 1, track_yaw .5, vertical_velocity -2, tilt_rate -.05, "
    "torque -.0002, acceleration -2.5e-7, air_time 1, collision -1, action_rate -.01, "
    "joint_limit -10",
    "extreme_parkour": "goal_velocity 1.5, goal_heading .5, vertical_velocity -1, tilt_rate -.05, "
    "orientation -1, acceleration -2.5e-7, collision -10, action_change -.1, torque_rate -1e-7, "
    "torque -1e-5, hip_error -.5, joint_error -.04, stumble -1, edge -1",
    "playground": "track_velocity 1, track_yaw .5, vertical_velocity -.5, tilt_rate -.05, "
    "orientation -5, joint_limit -1, pose .5, termination -1, stand_still -1, effort -.0002, "
    "action_rate -.01, energy -.001, clearance -2, step_height -.2, slip -.1, air_time .1",
}


@pytest.mark.parametrize("task", PUBLIC)
def test_weights_are_those_of_the_public_task(task):
    expected = dict.fromkeys(TERMS, 0.0)
    for entry in PUBLIC[task].split(", "):
        name, value = entry.split()
        expected[name] = float(value)
    params = default_params(ROBOT, None, None, task, "own")
    assert {name: getattr(params, f"weight_{name}") for name in TERMS} == expected
    assert set(PUBLIC) == set(WEIGHTS)
    assert params.only_positive  # as in all three
    own = (0.1, 0.95) if task == "playground" else (0.25, 0.9)
    assert (params.air_time_target, params.soft_limit) == own


def test_weights_are_per_second():
    weights = {f"weight_{name}": 0.1 * number - 1 for number, name in enumerate(TERMS)}
    params = RewardParams(**weights, only_positive=False)
    values = {name: np.float32(1 + number % 3) for number, name in enumerate(TERMS)}
    total, given = total_reward(values, params, DT)
    for name, value in values.items():
        np.testing.assert_allclose(given[name], DT * weights[f"weight_{name}"] * value, rtol=1e-5)
    expected = DT * sum(weights[f"weight_{name}"] * values[name] for name in TERMS)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert np.isclose(total_reward(values, params, 2 * DT)[0], 2 * expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_only_a_negative_sum_is_nothing(sign):
    values = {name: np.float32(name == "torque") for name in TERMS}
    for only_positive in (True, False):
        params = RewardParams(weight_torque=2.0 * sign, only_positive=only_positive)
        total, given = total_reward(values, params, DT)
        expected = 0.0 if only_positive and sign < 0 else 2.0 * sign * DT
        np.testing.assert_allclose(total, expected, rtol=1e-6)
        np.testing.assert_allclose(given["torque"], 2.0 * sign * DT, rtol=1e-6)
