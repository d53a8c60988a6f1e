"""Published numbers of four-legged robots: of each the trunk and the front left leg.

The meaning of the fields is that of :class:`envs_jax.quadruped.robot.Robot`; the other legs are
mirror images. `limits` of joints are (lower, upper), for the rear legs apart where these differ;
`knees_inward` says that the rear legs mirror the front ones, so that all knees point to the middle.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["ROBOTS"]

_GROUND = {"stiffness": 8000.0, "damping": 60.0, "friction": 0.6, "slip": 0.001, "depth": 0.03}

# Bodies: MuJoCo Menagerie unitree_go1. Motors and home: MuJoCo Playground's go1 (joystick).
_GO1: dict[str, Any] = {
    "trunk_mass": 5.204,
    "trunk_com": (0.0223, 0.002, -0.0005),
    "trunk_inertia": (0.0168, 0.063, 0.0717, 0.0, 0.0, 0.0),
    "trunk_size": (0.188, 0.0935, 0.057),
    "hip": (0.1881, 0.04675, 0.0),
    "thigh": (0.0, 0.08, 0.0),
    "knee": (0.0, 0.0, -0.213),
    "foot": (0.0, 0.0, -0.213),
    "link_mass": (0.68, 1.009, 0.1959),
    "link_com": (
        (-0.0049, -0.0076, 0.0),
        (-0.003, -0.0193, -0.0305),
        (0.0043, 0.0, -0.1462),
    ),
    "link_inertia": (
        (0.00040, 0.00073, 0.00047, 0.0, 0.0, 0.0),
        (0.0046, 0.0048, 0.0007, 0.0, 0.0, 0.0),
        (0.0015, 0.0015, 0.00004, 0.0, 0.0, 0.0),
    ),
    "armature": (0.005, 0.005, 0.005),
    "joint_damping": (0.0, 0.0, 0.0),
    "joint_friction": (0.3, 0.3, 1.0),
    "limits": ((-0.863, 0.863), (-0.686, 4.501), (-2.818, -0.888)),
    "limit_stiffness": 300.0,
    "stiffness": (35.0, 35.0, 35.0),
    "damping": (0.5, 0.5, 0.5),
    "torque_limit": (23.7, 23.7, 35.55),
    "foot_radius": 0.023,
    "knee_radius": 0.03,
    "ground": _GROUND,
    "home": (-0.1, 0.9, -1.8),
    "knees_inward": False,
}

# Bodies, limits, rotors, joint friction and home: MuJoCo Menagerie unitree_a1; gains:
# extreme-parkour's a1_parkour_config.
_A1: dict[str, Any] = {
    **_GO1,
    "trunk_mass": 4.713,
    "trunk_com": (0.0, 0.0041, -0.0005),
    "trunk_inertia": (0.0158533, 0.0377999, 0.0456542, -3.66e-5, -6.11e-5, -2.75e-5),
    "trunk_size": (0.183, 0.098, 0.057),
    "hip": (0.183, 0.047, 0.0),
    "thigh": (0.0, 0.08505, 0.0),
    "knee": (0.0, 0.0, -0.2),
    "foot": (0.0, 0.0, -0.2),
    "link_mass": (0.696, 1.013, 0.226),
    "link_com": (
        (-0.003311, 0.000635, 0.000031),
        (-0.003237, -0.022327, -0.027326),
        (0.004727, 0.0, -0.131975),
    ),
    "link_inertia": (
        (0.000469, 0.000807, 0.000553, -9.41e-6, 0.0, 0.0),
        (0.00553, 0.00514, 0.00137, 4.82e-6, 0.000344, 2.24e-5),
        (0.00339, 0.0034, 4.39e-5, 0.0, -0.000167, 0.0),
    ),
    "armature": (0.01, 0.01, 0.01),
    "joint_friction": (0.2, 0.2, 0.2),
    "limits": ((-0.802851, 0.802851), (-1.0472, 4.18879), (-2.69653, -0.916298)),
    "stiffness": (40.0, 40.0, 40.0),
    "damping": (1.0, 1.0, 1.0),
    "torque_limit": (33.5, 33.5, 33.5),
    "foot_radius": 0.02,
    "home": (0.0, 0.9, -1.8),
}

# Bodies, limits, rotors, joint friction and home: MuJoCo Menagerie unitree_go2; gains:
# ZiwenZhuang/parkour's go2_config.
_GO2: dict[str, Any] = {
    **_GO1,
    "trunk_mass": 6.921,
    "trunk_com": (0.021112, 0.0, -0.005366),
    "trunk_inertia": (0.0245, 0.0981, 0.107, 0.000122, 0.00148, -3.12e-5),
    "trunk_size": (0.1881, 0.0935, 0.057),
    "hip": (0.1934, 0.0465, 0.0),
    "thigh": (0.0, 0.0955, 0.0),
    "foot": (-0.002, 0.0, -0.213),
    "link_mass": (0.678, 1.152, 0.241352),
    "link_com": (
        (-0.0054, 0.00194, -0.000105),
        (-0.00374, -0.0223, -0.0327),
        (0.006296, -0.000622, -0.141417),
    ),
    "link_inertia": (
        (0.00048, 0.000884, 0.000596, -3.01e-6, 1.11e-6, -1.42e-6),
        (0.00584, 0.0058, 0.00103, 8.72e-5, -0.000289, 0.000808),
        (0.00146, 0.00149, 5.33e-5, 0.0, 5.97e-6, 1.22e-5),
    ),
    "armature": (0.01, 0.01, 0.01),
    "joint_friction": (0.2, 0.2, 0.2),
    "limits": (  # the hips swing further forward in front, further backward in the rear
        ((-1.0472, 1.0472), (-1.5708, 3.4907), (-2.7227, -0.83776)),
        ((-1.0472, 1.0472), (-0.5236, 4.5379), (-2.7227, -0.83776)),
    ),
    "stiffness": (40.0, 40.0, 40.0),
    "damping": (1.0, 1.0, 1.0),
    "torque_limit": (23.7, 23.7, 45.43),
    "foot_radius": 0.022,
    "home": (0.0, 0.9, -1.8),
}

# Bodies, limits, joint friction and torques: MuJoCo Menagerie anybotics_anymal_c; gains and home:
# legged_gym's anymal_c_rough_config; rotors: Newton's example_robot_anymal_c_walk. On ground as
# much stiffer as it is heavier than a Go1.
_ANYMAL_C: dict[str, Any] = {
    "trunk_mass": 19.2035,
    "trunk_com": (0.0025, 0.0, 0.0502071),
    "trunk_inertia": (0.217374, 0.639559, 0.624031, 0.0, 0.0, 0.0),
    "trunk_size": (0.52, 0.14, 0.09),
    "hip": (0.2999, 0.104, 0.0),
    "thigh": (0.0599, 0.08381, 0.0),
    "knee": (0.0, 0.1003, -0.285),
    "foot": (0.08795, 0.01305, -0.31547),
    "link_mass": (2.781, 3.071, 0.58842),
    "link_com": (
        (0.056661, 0.017394, -0.000461),
        (-0.000046, 0.030815, -0.245696),
        (0.061253, 0.005462, -0.08066),
    ),
    "link_inertia": (
        (0.0033, 0.00494, 0.00583, -4.45e-5, -9.79e-5, 0.000136),
        (0.0299, 0.0296, 0.00486, -4.43e-5, -9.44e-5, 0.00414),
        (0.00881, 0.0102, 0.00155, 5.36e-5, 0.00182, -2.27e-5),
    ),
    "armature": (0.06, 0.06, 0.06),
    "joint_damping": (0.0, 0.0, 0.0),
    "joint_friction": (0.1, 0.1, 0.1),
    "limits": ((-0.72, 0.49), (-9.42478, 9.42478), (-9.42478, 9.42478)),
    "limit_stiffness": 1000.0,
    "stiffness": (80.0, 80.0, 80.0),
    "damping": (2.0, 2.0, 2.0),
    "torque_limit": (80.0, 80.0, 80.0),
    "foot_radius": 0.03,
    "knee_radius": 0.05,
    "ground": {**_GROUND, "stiffness": 28000.0, "damping": 210.0},
    "home": (0.0, 0.4, -0.8),
    "knees_inward": True,
}

ROBOTS: dict[str, Mapping[str, Any]] = {
    "go1": _GO1,
    "a1": _A1,
    "go2": _GO2,
    "anymal_c": _ANYMAL_C,
}
