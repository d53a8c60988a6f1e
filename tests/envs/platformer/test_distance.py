"""Path distances on levels whose ways can be told by hand."""

import numpy as np
import pytest

from envs_jax.platformer.distance import DIRECTIONS, PITCH, SHAPE, make_plan
from envs_jax.platformer.raster import solid_raster, tile_masks

NONE = np.zeros((0, 2))
NO_DOORS = np.zeros((0, 2, 2))


def rooms(*spans):
    """Solid tiles ``[25, 44]`` with empty rectangles (top, bottom, left, right), exclusive."""
    tiles = np.ones((25, 44), np.uint8)
    for top, bottom, left, right in spans:
        tiles[top:bottom, left:right] = 0
    return tiles


def middle(row, column):
    return np.array([column * 24 + 12.0, row * 24 + 12.0])


def at(field, place):
    return field[round(place[1] / PITCH), round(place[0] / PITCH)]


def test_a_straight_corridor_is_as_long_as_it_is():
    tiles = rooms((5, 6, 3, 30))
    start, switch, door = middle(5, 3), middle(5, 20), middle(5, 9)
    plan = make_plan(tiles, start, switch, door, NONE, NONE, NO_DOORS)
    np.testing.assert_array_equal(plan.goal, [-1, -2])
    assert plan.is_connected
    assert at(plan.distance[0], start) == pytest.approx(17 * 24)
    assert plan.total == pytest.approx((17 + 11) * 24)
    np.testing.assert_allclose(plan.leg, [11 * 24, 0])
    # The first step from the start is to the right; from beyond the switch to the left.
    assert DIRECTIONS[at(plan.direction[0], start)] == (0, 1)
    assert DIRECTIONS[at(plan.direction[0], middle(5, 25))] == (0, -1)
    assert DIRECTIONS[at(plan.direction[0], switch)] == (0, 0)


def test_the_way_leads_round_a_wall_and_never_through_it():
    tiles = rooms((3, 12, 3, 20))
    tiles[3:11, 10] = 1  # open at the bottom row only
    start, switch = middle(3, 5), middle(3, 15)
    plan = make_plan(tiles, start, switch, middle(3, 16), NONE, NONE, NO_DOORS)
    down = 8 * 24
    assert at(plan.distance[0], start) > 2 * down
    place, steps = np.array([5 * 2 + 1, 3 * 2 + 1])[::-1], 0
    while (DIRECTIONS[plan.direction[0][tuple(place)]]) != (0, 0):
        place = place + DIRECTIONS[plan.direction[0][tuple(place)]]
        steps += 1
        row, column = place * PITCH // 24
        assert tiles[row, column] == 0
    np.testing.assert_array_equal(place, [7, 31])
    assert steps >= 20


def test_diagonal_steps_do_not_cut_corners():
    tiles = rooms((5, 6, 3, 10), (5, 12, 9, 10))
    plan = make_plan(tiles, middle(5, 3), middle(11, 9), middle(5, 5), NONE, NONE, NO_DOORS)
    assert at(plan.distance[0], middle(5, 3)) == pytest.approx((6 + 6) * 24)


def test_a_locked_door_is_opened_before_what_is_behind_it():
    tiles = rooms((5, 6, 3, 30))
    start, switch, door = middle(5, 10), middle(5, 25), middle(5, 12)
    lock = np.array([middle(5, 4)])
    barrier = np.array([[[18 * 24, 5 * 24], [18 * 24, 6 * 24]]], float)
    plan = make_plan(tiles, start, switch, door, NONE, lock, barrier)
    np.testing.assert_array_equal(plan.goal, [0, -1, -2])
    assert plan.total == pytest.approx((6 + 21 + 13) * 24)
    # A door that is in nobody's way is left alone.
    plan = make_plan(tiles, start, middle(5, 15), door, NONE, lock, barrier)
    np.testing.assert_array_equal(plan.goal, [-1, -2])


def test_two_locks_one_behind_the_other():
    tiles = rooms((5, 6, 3, 40))
    barriers = np.array([[[x * 24, 120], [x * 24, 144]] for x in (30, 15)], float)
    locks = np.array([middle(5, 20), middle(5, 5)])
    plan = make_plan(tiles, middle(5, 10), middle(5, 35), middle(5, 36), NONE, locks, barriers)
    np.testing.assert_array_equal(plan.goal, [1, 0, -1, -2])


def test_what_cannot_be_reached_is_told():
    tiles = rooms((5, 6, 3, 10), (8, 9, 3, 10))
    plan = make_plan(tiles, middle(5, 3), middle(8, 5), middle(5, 9), NONE, NONE, NO_DOORS)
    assert not plan.is_connected
    lock = np.array([middle(8, 5)])  # its switch is out of reach as well
    barrier = np.array([[[7 * 24, 120], [7 * 24, 144]]], float)
    plan = make_plan(tiles, middle(5, 3), middle(5, 9), middle(5, 4), NONE, lock, barrier)
    assert not plan.is_connected


def test_paths_keep_away_from_deadly_mines_where_they_can():
    tiles = rooms((3, 10, 3, 30))
    start, switch, mine = middle(6, 4), middle(6, 28), np.array([middle(6, 16)])
    free = make_plan(tiles, start, switch, middle(6, 5), NONE, NONE, NO_DOORS)
    mined = make_plan(tiles, start, switch, middle(6, 5), mine, NONE, NO_DOORS)
    assert 0 < mined.leg[0] - free.leg[0] < 3 * 24
    assert mined.distance[0].max() < 2000  # and through it where they cannot
    narrow = rooms((5, 6, 3, 30))
    plan = make_plan(
        narrow, middle(5, 3), middle(5, 20), middle(5, 9), np.array([middle(5, 15)]), NONE, NO_DOORS
    )
    assert plan.is_connected


def test_every_point_has_a_value():
    tiles = rooms((3, 10, 3, 30))
    plan = make_plan(tiles, middle(6, 4), middle(6, 28), middle(6, 5), NONE, NONE, NO_DOORS)
    assert plan.distance.shape == (2, *SHAPE)
    assert np.isfinite(plan.distance).all()


# Solid area of a tile in px^2: triangles, quarter discs and what they leave of a square.
AREAS = {
    0: 0, 1: 576, 2: 288, 3: 288, 4: 288, 5: 288, 6: 288, 8: 288,
    10: np.pi * 144, 13: np.pi * 144, 14: 576 - np.pi * 144, 17: 576 - np.pi * 144,
    18: 144, 20: 144, 22: 432, 24: 432, 26: 144, 28: 144, 30: 432, 33: 432,
}  # fmt: skip


@pytest.mark.parametrize("tile", AREAS)
def test_tiles_have_their_area(tile):
    assert tile_masks(240)[tile].mean() * 576 == pytest.approx(AREAS[tile], abs=3.0)


@pytest.mark.parametrize(
    ("tile", "solid", "free"),
    [
        (2, (12, 2), (12, 22)), (3, (22, 12), (2, 12)), (4, (12, 22), (12, 2)),
        (5, (2, 12), (22, 12)), (6, (2, 2), (22, 22)), (7, (22, 2), (2, 22)),
        (8, (22, 22), (2, 2)), (9, (2, 22), (22, 2)), (12, (20, 20), (2, 2)),
        (16, (23, 23), (12, 12)), (20, (22, 22), (2, 22)), (21, (2, 22), (22, 22)),
        (24, (22, 4), (2, 4)), (28, (22, 22), (22, 0.5)), (32, (22, 2), (2, 18)),
    ],
)  # fmt: skip
def test_tiles_are_solid_on_their_side(tile, solid, free):
    masks = tile_masks(48)
    for (x, y), expected in ((solid, True), (free, False)):
        assert masks[tile, int(2 * y), int(2 * x)] == expected


def test_a_raster_is_made_of_its_tiles():
    tiles = np.array([[0, 1], [8, 6]])
    raster = solid_raster(tiles, 12)
    assert raster.shape == (24, 24)
    np.testing.assert_array_equal(raster[12:, :12], tile_masks(12)[8])
    assert raster[:12, 12:].all() and not raster[:12, :12].any()
