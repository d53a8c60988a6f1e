"""Who goes on to the next level of a terrain and who goes back, by how far they walked."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from envs_jax.words import check_word

__all__ = ["Rule", "stage_move"]

Rule = Literal["legged_gym", "extreme_parkour"]


def stage_move(
    rule: Rule, distance: jax.Array, finish: jax.Array, command_distance: jax.Array
) -> jax.Array:
    """Levels to move by at an episode's end: 1 up, -1 down, 0 neither; int32.

    ``"legged_gym"``: up beyond the finish; else down below half of what was commanded.
    ``"extreme_parkour"``: up beyond 0.8 of what was commanded, down below 0.4 of it. A course of
    theirs is longer than any command asks for; as ours need not be, the finish is far enough here,
    too, and half of it is enough to stay.

    Args:
        rule: one of the two; static.
        distance: from the start to where the robot was last, in the plane, float32, m.
        finish: where a robot is through, see :class:`~envs_jax.quadruped.terrain.Terrain`, m.
        command_distance: |commanded velocity in the plane| times the length of an unbroken
            episode, m; of the same shape, or one that broadcasts, as all three.

    Raises:
        ValueError: for an unknown rule.

    Source: leggedrobotics/legged_gym, ``legged_robot.py``, ``_update_terrain_curriculum``, and the
    function of that name in chengxuxin/extreme-parkour.
    """
    check_word("rule", rule, get_args(Rule))
    if rule == "legged_gym":
        is_up, is_down = distance > finish, distance < 0.5 * command_distance
    else:
        enough = jnp.minimum(0.8 * command_distance, finish)
        is_up, is_down = distance > enough, distance < 0.5 * enough
    return is_up.astype(jnp.int32) - (is_down & ~is_up).astype(jnp.int32)
