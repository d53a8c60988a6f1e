"""Robots as numbers: mirror images, standing heights, and what is refused in one line."""

import numpy as np
import pytest

import quadruped_oracle as oracle
from envs_jax.quadruped.robot import ROBOTS, make_robot
from mujoco_robot import standing

RIGHT, LEFT, FRONT, REAR = [0, 2], [1, 3], [0, 1], [2, 3]
# Of xx yy zz xy xz yz, those that change sign in a mirror across y and across x.
ACROSS_Y, ACROSS_X = np.array([1, 1, 1, -1, 1, -1]), np.array([1, 1, 1, -1, -1, 1])


@pytest.mark.parametrize("name", ROBOTS)
def test_left_legs_mirror_right_ones(name):
    robot, mirror = make_robot(name), np.array([1, -1, 1])
    for field in ("hip", "thigh", "knee", "foot", "link_com"):
        value = getattr(robot, field)
        np.testing.assert_array_equal(value[LEFT], value[RIGHT] * mirror)
    np.testing.assert_array_equal(robot.link_inertia[LEFT], robot.link_inertia[RIGHT] * ACROSS_Y)
    np.testing.assert_array_equal(robot.home[LEFT], robot.home[RIGHT] * [-1, 1, 1])
    np.testing.assert_array_equal(robot.lower[LEFT, 0], -robot.upper[RIGHT, 0])
    np.testing.assert_array_equal(robot.lower[LEFT, 1:], robot.lower[RIGHT, 1:])


def test_rear_legs_of_an_anymal_mirror_its_front_ones():
    robot, mirror = make_robot("anymal_c"), np.array([-1, 1, 1])
    for field in ("hip", "thigh", "knee", "foot", "link_com"):
        value = getattr(robot, field)
        np.testing.assert_array_equal(value[REAR], value[FRONT] * mirror)
    np.testing.assert_array_equal(robot.link_inertia[REAR], robot.link_inertia[FRONT] * ACROSS_X)
    np.testing.assert_array_equal(robot.home[REAR], robot.home[FRONT] * [1, -1, -1])
    np.testing.assert_array_equal(robot.lower[REAR, 1:], -robot.upper[FRONT, 1:])
    knees = np.stack([link.end for link in oracle.links(standing(robot), robot)[2::3]])
    feet = oracle.feet(standing(robot), robot)
    outward = (feet - knees)[:, 0] * [1, 1, -1, -1]
    assert (outward > 0).all()  # knees point to the middle


@pytest.mark.parametrize("name", ["go1", "a1", "go2"])
def test_legs_of_a_unitree_bend_the_same_way_in_front_and_rear(name):
    robot = make_robot(name)
    for field in ("knee", "foot"):
        np.testing.assert_array_equal(getattr(robot, field)[REAR], getattr(robot, field)[FRONT])
    np.testing.assert_array_equal(robot.link_com[REAR, 1:], robot.link_com[FRONT, 1:])
    np.testing.assert_array_equal(robot.home[REAR], robot.home[FRONT])


def test_hips_of_a_go2_have_other_limits_in_the_rear():
    robot = make_robot("go2")
    np.testing.assert_allclose(robot.lower[FRONT, 1], -1.5708, rtol=1e-6)
    np.testing.assert_allclose(robot.upper[REAR, 1], 4.5379, rtol=1e-6)


# Sums of the published bodies, kg.
MASSES = {"go1": 12.744, "a1": 12.453, "go2": 15.206, "anymal_c": 44.965}


@pytest.mark.parametrize("name", ROBOTS)
def test_a_robot_weighs_what_was_published_and_stands_on_its_feet(name):
    robot = make_robot(name)
    assert oracle.mass(robot) == pytest.approx(MASSES[name], abs=1e-3)
    soles = oracle.feet(standing(robot), robot)[:, 2] - robot.foot_radius
    np.testing.assert_allclose(soles, 0.0, atol=1e-6)
    reach = np.linalg.norm(robot.knee[0]) + np.linalg.norm(robot.foot[0])
    assert 0.5 * reach < robot.height < reach
    assert all(leaf.dtype == np.float32 for leaf in _leaves(robot))


def _leaves(robot):
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(robot)]


def test_the_standing_height_follows_the_legs_unless_it_is_given():
    robot = make_robot()
    longer = make_robot(foot=robot.foot * np.float32(1.5))
    drop = 0.5 * 0.213 * np.cos(0.9) * np.cos(0.1)
    assert longer.height - robot.height == pytest.approx(drop, abs=1e-6)
    assert make_robot(height=0.3).height == np.float32(0.3)


def test_fields_of_the_ground_can_be_changed():
    changed = make_robot(ground={"friction": 0.9}).ground
    assert changed.friction == np.float32(0.9)
    assert changed.stiffness == make_robot().ground.stiffness
    assert make_robot(ground=changed).ground.friction == changed.friction


HOME = make_robot().home
WRONG = {
    "unknown robot": ({"name": "go3"}, "robot 'go3': expected one of go1, .* nearest is 'go"),
    "unknown field": ({"trunk_mas": 5.0}, "robot field 'trunk_mas': .* nearest is 'trunk_mass'"),
    "shape": ({"hip": np.zeros((4, 2))}, r"robot hip: shape \(4, 2\), expected \(4, 3\)"),
    "text": ({"trunk_mass": "heavy"}, "robot trunk_mass 'heavy': expected numbers"),
    "no mass": ({"trunk_mass": 0.0}, "robot trunk_mass 0: expected numbers above 0"),
    "link mass": ({"link_mass": -np.ones((4, 3))}, "robot link_mass -1: expected numbers above 0"),
    "not finite": ({"foot_radius": np.nan}, "robot foot_radius nan: expected finite"),
    "gain": ({"stiffness": [1.0, -2.0, 1.0]}, "robot stiffness -2: expected .* at least 0"),
    "inertia": (
        {"trunk_inertia": [1.0, 1.0, 3.0, 0.0, 0.0, 0.0]},
        "robot trunk_inertia: moments 1, 1, 3; expected above 0 and none greater than the sum",
    ),
    "limits": (
        {"lower": np.full((4, 3), 9.0)},
        "robot limits of leg 0, joint 0: 9 to 0.863; expected the lower one first",
    ),
    "home": (
        {"home": HOME + 1.0},
        "robot home of leg 0, joint 0: 1.1; expected within -0.863 to 0.863",
    ),
    "ground field": ({"ground": {"frictoin": 1.0}}, "robot ground field 'frictoin': .* 'friction'"),
    "ground": ({"ground": 0.5}, "robot ground 0.5: expected a mapping of its fields"),
    "slip": ({"ground": {"slip": 0.0}}, "robot ground slip 0: expected numbers above 0"),
    "friction": ({"ground": {"friction": -1.0}}, "robot ground friction -1: expected .* least 0"),
}


@pytest.mark.parametrize("changes, message", WRONG.values(), ids=WRONG)
def test_what_no_robot_can_have_is_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_robot(**changes)
    assert "\n" not in str(caught.value)
