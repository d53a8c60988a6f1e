"""The map: where tiles and starts are, what a seed fixes, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.heights import surface_at
from envs_jax.quadruped.kinds import KINDS
from envs_jax.quadruped.terrain import COLUMNS, make_terrain

surface = jax.jit(surface_at)
NAMES = [name for name, count in COLUMNS.items() for _ in range(count)]
ONE_OF_EACH = dict.fromkeys(KINDS, 1)


@pytest.fixture(scope="module")
def terrain():
    return make_terrain()


def tile(terrain, level, column, size=160, edge=40):
    """Heights of one tile of a map with the default border."""
    i, j = edge + level * size, edge + column * size
    return terrain.ground.heights[i : i + size, j : j + size]


def test_the_default_map(terrain):
    heights = terrain.ground.heights
    assert heights.shape == (10 * 160 + 80, 20 * 160 + 80) and heights.dtype == np.float32
    assert heights.nbytes == 22_041_600  # fits the cache of a large GPU
    assert np.isfinite(heights).all()
    assert heights.min() > -2.0 and heights.max() < 2.0
    assert terrain.starts.shape == (10, 20, 3) and terrain.starts.dtype == np.float32
    assert [list(KINDS)[kind] for kind in terrain.kinds] == NAMES


def test_starts_are_on_the_ground_and_level_ground_is_around_them(terrain):
    x, y, z = np.moveaxis(terrain.starts, -1, 0)
    np.testing.assert_allclose(surface(terrain.ground, x, y)[0], z, atol=1e-6)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)[:, None, None]
    for reach in (0.3, 0.6, 0.9):
        around = surface(terrain.ground, x + reach * np.cos(angle), y + reach * np.sin(angle))[0]
        np.testing.assert_allclose(around, np.broadcast_to(z, around.shape), atol=1e-6)


def test_starts_are_in_the_middle_or_at_the_lower_end(terrain):
    level, column = np.indices((10, 20))
    is_course = np.isin(NAMES, ["gaps", "hurdles", "steps", "parkour"])
    np.testing.assert_array_equal(terrain.directed, is_course)
    along = 8.0 * level + np.where(is_course, 1.0, 4.0)
    np.testing.assert_allclose(terrain.starts[..., 0], along)
    np.testing.assert_allclose(terrain.starts[..., 1], 8.0 * column + 4.0)


def test_a_start_is_where_its_tile_is_symmetric(terrain):
    x, y, _ = np.moveaxis(terrain.starts[:, NAMES.index("stairs_up")], -1, 0)
    # Half way up a riser, which is one cell wide.
    for reach in np.array([1.9, 2.8, 3.7], np.float32):
        ways = [(reach, 0), (-reach, 0), (0, reach), (0, -reach)]
        found = [surface(terrain.ground, x + along, y + across)[0] for along, across in ways]
        np.testing.assert_allclose(found, np.broadcast_to(found[0], (4, 10)), atol=1e-3)


def test_levels_rise_evenly_from_first_to_last(terrain):
    rise = 0.05 + 0.18 * np.arange(10) / 9
    for name, sign in (("stairs_up", -8), ("stairs_down", 8)):
        column = NAMES.index(name)
        np.testing.assert_allclose(terrain.starts[:, column, 2], sign * rise, rtol=1e-6)
    narrow = make_terrain({"stairs_down": 1}, levels=3, difficulty=(0.5, 1.0)).starts[:, 0, 2]
    np.testing.assert_allclose(narrow, 8 * (0.05 + 0.18 * np.array([0.5, 0.75, 1.0])), rtol=1e-6)


def test_at_the_finish_a_course_is_over(terrain):
    np.testing.assert_array_equal(terrain.finish, np.where(terrain.directed, 6.5, 4.0))
    smooth = make_terrain(roughness=0.0)
    for column in np.flatnonzero(terrain.directed):
        x, y = smooth.starts[:, column, 0], smooth.starts[:, column, 1]
        beyond = x + smooth.finish[column] + np.linspace(0.03, 0.5, 20)[:, None]
        height, _ = surface(smooth.ground, beyond, np.broadcast_to(y, beyond.shape))
        np.testing.assert_allclose(height, 0.0, atol=1e-6)


def test_tiles_meet_at_height_zero_where_nothing_is_random(terrain):
    flat_edged = [NAMES.index(name) for name in ("flat", "stairs_up", "stairs_down")]
    for column in flat_edged:
        for level in range(10):
            heights = tile(terrain, level, column)
            for edge in (heights[0], heights[-1], heights[:, 0], heights[:, -1]):
                assert not edge.any()


def test_the_map_is_level_around_the_tiles_and_for_ever(terrain):
    heights = terrain.ground.heights
    for edge in (heights[:40], heights[-40:], heights[:, :40], heights[:, -40:]):
        assert not edge.any()
    far = jnp.array([-1e3, 1e3])
    height, (x, y, up) = surface(terrain.ground, far[:, None], far)
    assert not height.any() and not x.any() and not y.any() and (up == 1).all()


def test_a_seed_fixes_the_map():
    small = {"columns": ONE_OF_EACH, "levels": 2, "cell": 0.1}
    first, again, other = (make_terrain(**small, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.ground.heights, again.ground.heights)
    for column, name in enumerate(KINDS):
        same = tile(first, 1, column, 80, 20) == tile(other, 1, column, 80, 20)
        if name in ("flat", "stairs_up", "stairs_down"):
            assert same.all()
        elif name != "smooth_slope":  # which may be the same way up
            assert not same.all()


def test_tiles_of_one_kind_and_level_differ():
    twice = make_terrain({"blocks": 2, "gaps": 2}, levels=2, difficulty=(1.0, 1.0), cell=0.1)
    for first, second in (((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 2), (0, 3)), ((0, 2), (1, 2))):
        assert (tile(twice, *first, 80, 20) != tile(twice, *second, 80, 20)).any()


def test_more_levels_and_columns_leave_a_tile_as_it_is():
    few = make_terrain({"blocks": 1, "gaps": 1}, levels=2, cell=0.1, border=4.0)
    more = make_terrain({"blocks": 1, "gaps": 2}, levels=3, difficulty=(0.0, 1.0), cell=0.1)
    for column in (0, 1):
        first, second = (tile(few, 0, column, 80, 40), tile(more, 0, column, 80, 20))
        np.testing.assert_array_equal(first, second)


def test_coarser_cells_and_other_tiles_keep_what_is_in_metres():
    fine, coarse = (make_terrain({"stairs_up": 1, "gaps": 1}, cell=cell) for cell in (0.05, 0.1))
    np.testing.assert_allclose(fine.starts, coarse.starts, rtol=1e-6)
    wide = make_terrain({"stairs_up": 1, "gaps": 1}, tile=12.0, levels=1, cell=0.1)
    np.testing.assert_array_equal(wide.finish, [6.0, 10.5])
    np.testing.assert_allclose(wide.starts[0, :, :2], [[6.0, 6.0], [1.0, 18.0]])
    # 15 treads of 0.3 m instead of 8.
    assert wide.starts[0, 0, 2] == pytest.approx(-15 * 0.05)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"columns": {"stair_up": 1}}, "kind 'stair_up': .*; nearest is 'stairs_up'"),
        ({"columns": {}}, "no kind given, expected one or more of flat, "),
        ({"columns": {"gaps": 0}}, "columns of 'gaps' 0: expected a whole number of at least 1"),
        ({"columns": {"gaps": 0.5}}, "columns of 'gaps' 0.5: expected a whole number"),
        ({"levels": 0}, "levels 0: expected a whole number of at least 1"),
        ({"levels": True}, "levels True: expected a whole number"),
        ({"seed": -1}, "seed -1: expected a whole number of at least 0"),
        ({"columns": {"gaps": 1}, "tile": 4.0}, "tile 4 m: 'gaps' needs at least 5 m"),
        ({"cell": 0.07}, "cell 0.07 m does not divide the tile of 8 m: nearest is 0.0701754 m"),
        ({"cell": 0.0}, "cell 0 m: expected more than 0, at most 0.2 m"),
        ({"cell": 0.4}, "cell 0.4 m: expected more than 0, at most 0.2 m"),
        ({"cell": float("nan")}, "cell nan m: expected more than 0"),
        ({"difficulty": (0.0, 1.5)}, "difficulty (0.0, 1.5): expected two numbers from 0 to 1"),
        ({"difficulty": (0.5,)}, "difficulty (0.5,): expected two numbers"),
        ({"border": -1.0}, "border -1: expected 0 or more"),
        ({"roughness": -1.0}, "roughness -1: expected 0 or more"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(given, said):
    with pytest.raises(ValueError) as caught:
        make_terrain(**given)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in said.split(".*"))


def test_the_nearest_cell_that_is_named_is_taken():
    assert float(make_terrain({"flat": 1}, cell=0.0701754).ground.cell) == np.float32(8 / 114)
