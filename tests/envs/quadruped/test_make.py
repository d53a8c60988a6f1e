"""A world from what a file says of it, and what no world can have."""

import numpy as np
import pytest

import envs_jax


def test_a_robot_and_images_can_be_asked_for_by_name():
    env, params = envs_jax.make(
        "Quadruped-v1", robot="anymal_c", ground="gaps", levels=2, cell=0.2, depth=(6, 9)
    )
    assert params.robot.trunk_mass > 15
    heavy = {"name": "a1", "trunk_mass": 9.0, "stiffness": (50.0, 50.0, 60.0)}
    robot = envs_jax.make("Quadruped-v1", robot=heavy)[1].robot
    assert (robot.trunk_mass, *robot.stiffness) == (9.0, 50.0, 50.0, 60.0)
    assert robot.foot_radius == np.float32(0.02)
    assert env.observation_space(params).spaces["depth"].shape == (6, 9, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"robot": "go3"}, "robot 'go3': expected one of go1, .* nearest is 'go2'"),
        ({"ground": "stairs"}, "ground 'stairs': expected .* nearest is 'stairs_"),
        ({"ground": "flat", "scan": "rough"}, "ground 'flat' with scan 'rough'.*nothing to see"),
        ({"ground": "flat", "depth": (6, 9)}, "ground 'flat' .*nothing to see"),
        ({"ground": "gaps", "scan": "ruff"}, "scan grid 'ruff'.* nearest is 'rough'"),
        (
            {"ground": "gaps", "scan": {"x": [0.0, 1.9], "y": [0.7], "offset": 0.3}},
            "scan grid reaches 2.02 m from the trunk, outside the map: expected at most 2 m",
        ),
        ({"ground": "gaps", "depth": (6,)}, r"depth \(6,\): expected height and width in pixels"),
        ({"ground": "gaps", "depth": (0, 9)}, r"depth \(0, 9\): expected height and width"),
        ({"ground": "gaps", "depth": 58}, "depth 58: expected height and width"),
        ({"ground": "gaps", "levels": 0}, "levels 0: expected a whole number of at least 1"),
        ({"ground": "gaps", "cell": 0.3}, "cell 0.3 m: expected more than 0, at most 0.2 m"),
        ({"rewards": "leggedgym"}, "rewards 'leggedgym': .* nearest is 'legged_gym'"),
        ({"randomisation": "off"}, "randomisation 'off': expected one of own, none, legged_gym"),
        (
            {"promotion": "always"},
            "promotion 'always': expected one of legged_gym, extreme_parkour",
        ),
        (
            {"randomisation": "none", "friction": (-0.5, 1.0)},
            r"'friction' is \[-0.5, 1.0\]: .* 0 or",
        ),
        ({"friction": (1.0, 0.5)}, "'friction' is .*: expected the lower end first"),
        ({"added_mass": (-9.0, 1.0)}, "'added_mass' is .*: expected .* above -5.2"),
        ({"delay": (0, 7)}, "'delay' is .* at most 6, which is not reached"),
        ({"dt": 0.0}, "'dt' is 0.0: expected more than 0"),
        ({"noise_scan": -0.1}, "'noise_scan' is -0.1: expected 0 or more"),
        ({"push_steps": 0}, "'push_steps' is 0: expected more than 0"),
        ({"fall_tilt": 2.0}, "'fall_tilt' is 2.0: expected a cosine"),
        ({"level": 1}, "'level' is 1: expected a row of the terrain, 0 to 0, or -1"),
        ({"ground": "gaps", "cell": 0.2, "level": 10}, "'level' is 10: .* 0 to 9"),
        (
            {"ground": "gaps", "cell": 0.2, "group_probabilities": [0, 1] + 8 * [0]},
            "'group_probabilities' .* more for one of gaps",
        ),
        ({"terrain": "rough"}, "makes its terrain itself: expected a ground"),
        ({"robot": {"name": "a1", "trunk_mass": -1.0}}, "trunk_mass -1: expected numbers above 0"),
        ({"robot": {"trunk_mas": 1.0}}, "robot field 'trunk_mas': .*nearest is 'trunk_mass'"),
        ({"ground": "gaps", "scan": 5}, "scan grid 5: expected one of"),
        ({"ground": "gaps", "depth": (6, 9), "camera": 5}, "camera 5: expected its numbers"),
        ({"ground": "gaps", "depth": (6, 9), "camera": {"delay": 2.5}}, "delay 2.5: .* whole"),
        (
            {"ground": "gaps", "depth": (6, 9), "camera": {"pitch": "low"}},
            "pitch 'low': ",
        ),
        ({"ground": "gaps", "depth": (6, 9), "camera": {"dropped": 5}}, "dropped 5: .* 0 to 1"),
        ({"ground": "gaps", "depth": ("a", "b")}, "depth .*: expected height and width"),
        ({"ground": "gaps", "depth": (6.5, 9)}, "depth .*: expected height and width"),
        ({"friction": (0.5,)}, "parameter 'friction' is .*expected shape"),
        ({"frictoin": (0.5, 1.0)}, "no parameter 'frictoin': nearest is friction"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        env, _ = envs_jax.make("Quadruped-v1", **arguments)
        env.default_params  # noqa: B018  (the terrain is made when it is asked for)
    assert "\n" not in str(error.value)
