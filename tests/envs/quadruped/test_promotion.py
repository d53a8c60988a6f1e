"""Both rules by which a robot goes on to the next level of a terrain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.promotion import stage_move

# Distance, finish, commanded distance (all m), and the move.
LEGGED_GYM = [
    (4.1, 4.0, 20.0, 1),  # beyond half the tile, though less than half of what was commanded
    (4.0, 4.0, 6.0, 0),
    (3.1, 4.0, 6.0, 0),
    (2.9, 4.0, 6.0, -1),
    (3.9, 4.0, 20.0, -1),
    (0.0, 4.0, 0.0, 0),  # told to stand
]
EXTREME_PARKOUR = [
    (8.1, 16.5, 10.0, 1),
    (7.9, 16.5, 10.0, 0),
    (4.1, 16.5, 10.0, 0),
    (3.9, 16.5, 10.0, -1),
    (6.6, 6.5, 10.0, 1),  # through a course shorter than the command
    (6.4, 6.5, 10.0, 0),
    (6.6, 6.5, 20.0, 1),  # and never both up and down
    (6.4, 6.5, 20.0, 0),
    (3.2, 6.5, 20.0, -1),
]


@pytest.mark.parametrize(
    ("rule", "cases"), [("legged_gym", LEGGED_GYM), ("extreme_parkour", EXTREME_PARKOUR)]
)
def test_moves(rule, cases):
    distance, finish, command, expected = (jnp.array(column) for column in zip(*cases, strict=True))
    moves = jax.jit(stage_move, static_argnums=0)(rule, distance, finish, command)
    assert moves.dtype == jnp.int32
    np.testing.assert_array_equal(moves, expected)


def test_an_unknown_rule_is_refused_by_name():
    with pytest.raises(ValueError, match="rule 'legged-gym': .*nearest is 'legged_gym'"):
        stage_move("legged-gym", *jnp.zeros(3))
