"""Every kind of tile against the formulas of its heights, lengths and numbers."""

import itertools

import numpy as np
import pytest

from envs_jax.quadruped.courses import RUN_OUT, RUN_UP, pit_depth
from envs_jax.quadruped.kinds import KINDS, tile_heights
from envs_jax.quadruped.tiles import PLATFORM, Grid

GRID = Grid(160, 0.05)
MIDDLE = GRID.size // 2
DIFFICULTIES = (0.0, 0.5, 1.0)
COURSES = [name for name, kind in KINDS.items() if kind.directed]
SEEDS = range(5)

ends = pytest.mark.parametrize("difficulty", [0.0, 1.0])
seeds = pytest.mark.parametrize("seed", SEEDS)


def build(name, seed, difficulty, grid=GRID):
    """Heights without roughness."""
    return KINDS[name].build(np.random.default_rng(seed), difficulty, grid)


def runs(profile):
    """Heights of level stretches and how many nodes each has."""
    found = [(height, len(list(nodes))) for height, nodes in itertools.groupby(profile)]
    return np.array([height for height, _ in found]), np.array([count for _, count in found])


def platform(name, grid=GRID):
    """Which nodes are within the platform around the start."""
    at = (np.arange(grid.size) + 0.5) * grid.cell
    if KINDS[name].directed:
        return np.broadcast_to((at < RUN_UP)[:, None], (grid.size, grid.size))
    within = np.abs(at - grid.size * grid.cell / 2) < PLATFORM / 2
    return within[:, None] & within


@seeds
@ends
def test_slopes_are_pyramids(seed, difficulty):
    heights = build("smooth_slope", seed, difficulty)
    for same in (heights[::-1], heights[:, ::-1], heights.T):
        np.testing.assert_allclose(heights, same, atol=1e-12)
    side = np.diff(heights[:50, MIDDLE]) / GRID.cell  # 2.5 m up to the platform
    np.testing.assert_allclose(np.abs(side), 0.4 * difficulty, atol=1e-9)
    assert np.ptp(np.sign(side)) == 0
    assert abs(heights[MIDDLE, MIDDLE]) == pytest.approx(0.4 * difficulty * 2.525)
    assert abs(heights[0]).max() <= 0.4 * difficulty * GRID.cell / 2 + 1e-9


def test_slopes_go_up_as_often_as_down():
    up = sum(build("smooth_slope", seed, 1.0)[MIDDLE, MIDDLE] < 0 for seed in range(100))
    assert 30 < up < 70


@pytest.mark.parametrize(("name", "sign"), [("stairs_up", -1), ("stairs_down", 1)])
@ends
def test_stairs_have_eight_even_steps(name, sign, difficulty):
    heights = build(name, 0, difficulty)
    for same in (heights[::-1], heights[:, ::-1], heights.T):
        np.testing.assert_array_equal(heights, same)
    levels, treads = runs(heights[:MIDDLE, MIDDLE])
    np.testing.assert_allclose(levels, sign * (0.05 + 0.18 * difficulty) * np.arange(9))
    np.testing.assert_array_equal(treads[:-1], 6)  # of 5 cm: what is nearest to 0.31 m
    assert treads[-1] * GRID.cell >= PLATFORM / 2
    assert not heights[[0, -1]].any() and not heights[:, [0, -1]].any()


@seeds
@ends
def test_blocks_are_as_high_or_half_as_high_as_they_may(seed, difficulty):
    heights, most = build("blocks", seed, difficulty), 0.05 + 0.2 * difficulty
    found = np.unique(heights)
    expected = np.array([-most, -most / 2, 0.0, most / 2, most])
    np.testing.assert_allclose(found, expected)


def test_twenty_blocks_of_one_to_two_metres_cover_two_fifths_of_a_tile():
    # 45 m^2 on 64 m^2, less where they overlap or are on the platform's 9 m^2.
    shares = [(build("blocks", seed, 1.0) != 0).mean() for seed in range(40)]
    assert 0.36 < np.mean(shares) < 0.41


@seeds
@ends
def test_gaps_have_their_width_and_depth(seed, difficulty):
    heights = build("gaps", seed, difficulty)
    assert (heights == heights[:, :1]).all()
    levels, lengths = runs(heights[:, 0])
    np.testing.assert_array_equal(
        levels, [0.0, *[-pit_depth(difficulty), 0.0] * (len(levels) // 2)]
    )
    gaps, ground = lengths[1::2], lengths[2:-1:2] * GRID.cell
    # From edge to edge, which are half a cell from what lies deep on either side.
    np.testing.assert_array_equal(gaps + 1, round((0.1 + 0.7 * difficulty) / GRID.cell))
    assert len(gaps) >= 2
    assert (ground > 0.8 - 0.026).all() and (ground < 1.5 + 0.026).all()


@seeds
@ends
def test_hurdles_have_their_height_and_length(seed, difficulty):
    heights = build("hurdles", seed, difficulty)
    assert (heights == heights[:, :1]).all()
    levels, lengths = runs(heights[:, 0])
    hurdles = levels[1::2]
    assert not levels[::2].any() and len(hurdles) >= 2
    assert (hurdles >= 0.1 + 0.1 * difficulty).all()
    assert (hurdles <= 0.15 + 0.25 * difficulty).all()
    np.testing.assert_array_equal(lengths[1::2], round((0.1 + 0.3 * difficulty) / GRID.cell))
    apart = (lengths[1:-2:2] + lengths[2:-1:2]) * GRID.cell
    assert (apart > 1.2 - 0.051).all() and (apart < 2.2 + 0.051).all()


@seeds
@ends
def test_steps_go_up_and_then_down(seed, difficulty):
    heights, rise = build("steps", seed, difficulty), 0.1 + 0.35 * difficulty
    assert (heights == heights[:, :1]).all()
    levels, lengths = runs(heights[:, 0])
    climbs = np.diff(levels)
    np.testing.assert_allclose(np.abs(climbs), rise)
    assert (np.diff(np.sign(climbs)) <= 0).all() and climbs[0] > 0 > climbs[-1]
    treads = lengths[1:-1] * GRID.cell
    assert (treads > 0.3 + rise - 0.026).all()
    # The upmost step may be two treads long.
    assert (np.delete(treads, len(treads) // 2) < 1.5 + rise + 0.026).all()


@seeds
@ends
def test_stones_are_tilted_by_turns(seed, difficulty):
    heights = build("parkour", seed, difficulty)
    is_pit = heights == -pit_depth(difficulty)
    start, stop = np.flatnonzero(is_pit.any(1))[[0, -1]]
    assert start == round(RUN_UP / GRID.cell)
    tilts = []
    for row in heights[start : stop + 1]:
        (stone,) = np.nonzero(row != -pit_depth(difficulty))
        if not stone.size:
            continue
        assert np.ptp(stone) + 1 == stone.size and 19 <= stone.size <= 21  # 1 m
        middle = stone.mean() - (GRID.size - 1) / 2
        assert 0.2 - 0.026 < abs(middle) * GRID.cell < 0.3 + 0.1 * difficulty + 0.026
        slopes = np.diff(row[stone]) / GRID.cell
        np.testing.assert_allclose(slopes, np.sign(middle) * 0.5 * difficulty, atol=1e-9)
        assert np.abs(row[stone]).max() <= 0.25 * difficulty + 1e-9
        tilts.append(np.sign(middle))
    _, lengths = runs(tilts)
    assert len(lengths) >= 4
    stones = lengths * GRID.cell
    assert (stones > 0.9 - 0.3 * difficulty - 0.026).all()
    assert (stones < 1.0 - 0.2 * difficulty + 0.026).all()


@seeds
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("name", COURSES)
def test_a_course_can_be_crossed_on_its_middle(name, seed, difficulty):
    profile = build(name, seed, difficulty)[:, MIDDLE]
    bottom = -pit_depth(difficulty) if name in ("gaps", "parkour") else -np.inf
    through = GRID.size - round(RUN_OUT / GRID.cell)
    assert profile[:through].any() and not profile[through:].any()
    levels, lengths = runs(profile == bottom)
    widest = {"gaps": 0.1 + 0.7 * difficulty, "parkour": 0.1 + 0.3 * difficulty}.get(name, 0.0)
    assert lengths[levels].max(initial=0) * GRID.cell <= widest + 0.026
    highest = {
        "hurdles": 0.15 + 0.25 * difficulty,
        "steps": 0.1 + 0.35 * difficulty,
        "parkour": 0.4 * difficulty,  # from one stone to the next, each up to 0.2 d at the middle
    }.get(name, 0.0)
    climbs = np.abs(np.diff(profile[profile != bottom]))
    assert climbs.max() <= highest + 1e-9


@pytest.mark.parametrize("name", KINDS)
def test_the_platform_is_level(name):
    for seed, difficulty in itertools.product(SEEDS, DIFFICULTIES):
        heights = tile_heights(KINDS[name], np.random.default_rng(seed), difficulty, GRID)
        assert heights.shape == (160, 160) and heights.dtype == np.float32
        assert np.isfinite(heights).all()
        assert np.ptp(heights[platform(name)]) == 0.0


@seeds
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.roughness])
def test_roughness_has_its_size(name, seed):
    kind = KINDS[name]
    least, most = (0.02, 0.06) if kind.directed else (0.05, 0.05)
    heights = tile_heights(kind, np.random.default_rng(seed), 0.5, GRID)
    bumps = (heights - build(name, seed, 0.5))[~platform(name)]
    assert 0.8 * least < np.abs(bumps).max() <= most + 1e-6
    assert abs(bumps.mean()) < 0.2 * most
    smooth = tile_heights(kind, np.random.default_rng(seed), 0.5, GRID, roughness=0.0)
    np.testing.assert_allclose(smooth, build(name, seed, 0.5), atol=1e-6)


def test_roughness_is_no_steeper_than_its_lattice():
    kind = KINDS["rough_slope"]
    bumps = tile_heights(kind, np.random.default_rng(0), 0.0, GRID)
    steepest = np.abs(np.diff(bumps[:45], axis=0)).max() / GRID.cell  # clear of the platform
    assert 0.3 < steepest <= 2 * 0.05 / 0.2 + 1e-5


@pytest.mark.parametrize("cell", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("name", KINDS)
def test_the_smallest_tile_holds_what_its_kind_is_about(name, cell):
    smallest = KINDS[name].smallest
    grid = Grid(round(smallest / cell), cell)
    for seed, difficulty in itertools.product(SEEDS, DIFFICULTIES):
        heights = build(name, seed, difficulty, grid)
        is_level = name == "flat" or ("slope" in name and difficulty == 0.0)
        assert bool(heights.any()) != is_level
        assert np.ptp(heights[platform(name, grid)]) == 0.0
