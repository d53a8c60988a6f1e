"""Numbers that a quadruped's world cannot have, refused in one line before anything is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs_jax.quadruped.kinds import KINDS

if TYPE_CHECKING:
    from envs_jax.quadruped.world import QuadrupedParams

__all__ = ["check_params"]

_ABOVE_0 = (
    "max_steps_in_episode",
    "dt",
    "action_limit",
    "command_steps",
    "push_steps",
    "tracking_width",
    "clearance_target",
)
_AT_LEAST_0 = (
    "action_scale",
    "command_scale",
    "stand_below",
    "push_speed",
    "noise",
    "noise_spin",
    "noise_gravity",
    "noise_angles",
    "noise_speeds",
    "noise_velocity",
    "noise_scan",
    "spawn_joints",
    "spawn_speed",
    "spawn_radius",
    "fall_push",
)
# Ranges, and what their lower ends must be at least; factors of what must not be 0 stay off it.
_RANGES = {
    "command_x": None,
    "command_y": None,
    "command_yaw": None,
    "course_speed": 0.0,
    "friction": 0.0,
    "joint_friction": 0.0,
    "shift": None,
    "joint_offset": None,
    "strength": 1e-3,
    "link_mass": 1e-3,
    "armature": 1e-3,
}


def check_params(params: QuadrupedParams, has_terrain: bool, substeps: int) -> None:
    """Refuse parameters that no world can have.

    Args:
        params: concrete.
        has_terrain: whether the world is on one, which it makes itself.
        substeps: steps of the physics in a control step.

    Raises:
        ValueError: with the parameter, its value and what is expected.
    """
    if (params.terrain is not None) is not has_terrain:
        raise ValueError("Quadruped-v1 makes its terrain itself: expected a ground instead")
    for name in _ABOVE_0:
        _expect(name, params, getattr(params, name) > 0, "more than 0")
    for name in _AT_LEAST_0:
        _expect(name, params, getattr(params, name) >= 0, "0 or more")
    for name, least in _RANGES.items():
        low, high = getattr(params, name)
        _expect(name, params, low <= high, "the lower end first")
        if least is not None:
            _expect(name, params, low >= least, f"{least:g} or more")
    low, high = params.added_mass
    mass = float(params.robot.trunk_mass)
    _expect("added_mass", params, -mass < low <= high, f"the lower end first, above {-mass:g}")
    low, high = params.delay
    what = f"a range from 0 or more to at most {substeps + 1}, which is not reached"
    _expect("delay", params, 0 <= low < high <= substeps + 1, what)
    _expect("fall_tilt", params, -1 <= params.fall_tilt <= 1, "a cosine")
    rows = 1 if params.terrain is None else np.shape(params.terrain.starts)[0]
    what = f"a row of the terrain, 0 to {rows - 1}, or -1 for any"
    _expect("level", params, -1 <= params.level < rows, what)
    kinds = np.zeros(1, int) if params.terrain is None else np.asarray(params.terrain.kinds)
    shares = np.asarray(params.group_probabilities)
    names = ", ".join(list(KINDS)[kind] for kind in sorted(set(kinds.tolist())))
    valid = bool((shares >= 0).all()) and shares[kinds].sum() > 0
    _expect("group_probabilities", params, valid, f"0 or more, and more for one of {names}")


def _expect(name: str, params: QuadrupedParams, holds: bool, expected: str) -> None:
    if not holds:
        value = np.asarray(getattr(params, name)).tolist()
        raise ValueError(f"Quadruped-v1 parameter {name!r} is {value}: expected {expected}")
