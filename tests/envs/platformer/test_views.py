"""What is seen of a level: path guidance, sight, windows, graphs, pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from envs_jax.platformer.distance import DIRECTIONS, PITCH
from envs_jax.platformer.env import Platformer
from envs_jax.platformer.graph import NODES, graph, neighbours
from envs_jax.platformer.paths import SIGHT, clearances, guidance
from envs_jax.platformer.pixels import level_view, player_view
from envs_jax.platformer.raster import solid_raster
from envs_jax.platformer.window import CHANNELS, WINDOW, window
from platformer_rooms import rooms


@pytest.fixture(scope="module")
def world():
    return rooms()


@pytest.fixture(scope="module")
def scene(world):
    """A level with a deadly mine, at its start: bank, paths, number, world."""
    _, params, _, start = world
    level = jnp.int32(3)
    return params.bank, params.paths, level, start(level, jnp.int32(2), params)[1].world


def moved(world, x, y, **changes):
    ninja = world.ninja.replace(x=jnp.float32(x), y=jnp.float32(y))
    return world.replace(ninja=ninja, **changes)


def test_guidance_goes_to_the_switch_and_then_to_the_exit(scene):
    bank, paths, level, world = scene
    x, y = 4 * PITCH * 2 + PITCH, float(bank.spawn[level, 1])
    guide = guidance(moved(world, x, y), paths, level)
    assert guide.goal == -1
    np.testing.assert_allclose(guide.to_goal, bank.switch[level] - jnp.array([x, y]), atol=1e-4)
    after = guidance(moved(world, x, y, exit_active=jnp.array(True)), paths, level)
    assert after.goal == -2
    np.testing.assert_allclose(after.to_goal, bank.exit[level] - jnp.array([x, y]), atol=1e-4)
    assert after.remaining == pytest.approx(float(after.distance), abs=1e-4)
    assert guide.remaining > guide.distance


def test_way_points_are_nearer_to_the_goal(scene):
    bank, paths, level, world = scene
    y = float(bank.spawn[level, 1])
    for x in np.arange(90, 110, 7.0):
        here = guidance(moved(world, x, y), paths, level)
        for way in (here.near, here.far):
            there = guidance(moved(world, x + way[0], y + way[1]), paths, level)
            assert there.distance < here.distance - 5.0


def test_distance_is_smooth_between_lattice_points(scene):
    bank, paths, level, world = scene
    y = float(bank.spawn[level, 1])
    at = [float(guidance(moved(world, x, y), paths, level).distance) for x in range(86, 108)]
    assert np.abs(np.diff(at)).max() < 3.0


def test_sight_is_how_far_the_solid_is(scene):
    bank, paths, level, world = scene
    solid = solid_raster(np.asarray(bank.tiles[level]), 24)
    rng = np.random.default_rng(1)
    rows, columns = np.nonzero(ndimage.distance_transform_edt(~solid) > 9)  # where a ninja fits
    for pick in rng.integers(0, len(rows), 40):
        x, y = float(columns[pick]), float(rows[pick])
        seen = np.asarray(clearances(jnp.float32(x), jnp.float32(y), paths, level))
        for (dy, dx), sight in zip(DIRECTIONS[:-1], seen, strict=True):
            if dx and dy:
                continue  # from the nearest lattice point, so not exact near corners
            far = next(d for d in range(700) if solid[round(y + d * dy), round(x + d * dx)])
            assert abs(min(far, SIGHT) - sight) <= 8.0, (x, y, dx, dy)


def test_the_window_shows_what_is_there(scene):
    bank, _, level, world = scene
    world = moved(world, world.ninja.x + 72, world.ninja.y)
    seen = np.asarray(window(world, bank, level))
    assert seen.shape == (WINDOW, WINDOW, len(CHANNELS))
    tiles = np.asarray(bank.tiles[level])
    row, column = (int(v // 24) for v in (world.ninja.y, world.ninja.x))
    for dy in range(-5, 6):
        for dx in range(-5, 6):
            inside = 0 <= row + dy < 25 and 0 <= column + dx < 44
            tile = tiles[row + dy, column + dx] if inside else 1
            np.testing.assert_array_equal(seen[5 + dy, 5 + dx, :4], 255 * (tile == 1))
    mine = np.floor(np.asarray(bank.mine_position[level, 0]) / 24).astype(int)
    place = (5 + mine[1] - row, 5 + mine[0] - column)
    assert seen[..., CHANNELS.index("deadly_mine")].sum() == 255
    assert seen[(*place, CHANNELS.index("deadly_mine"))] == 255
    closed = seen[..., CHANNELS.index("exit")].max()
    active = np.asarray(window(world.replace(exit_active=jnp.array(True)), bank, level))
    assert active[..., CHANNELS.index("exit")].max() == 255 != closed
    assert active[..., CHANNELS.index("exit_switch")].max() == 0


def test_things_outside_the_window_are_not_shown(scene):
    bank, _, level, world = scene
    far = np.asarray(window(moved(world, 1000.0, 580.0), bank, level))
    assert far[..., 4:].max() == 0
    assert (far[..., :4] == 255).all()


def test_along_the_edges_one_comes_to_the_goal(scene):
    bank, paths, level, world = scene
    guide = guidance(world, paths, level)
    nodes, edges = (np.asarray(part) for part in graph(world, guide, bank, paths, level))
    assert nodes.shape == (NODES, 14)
    assert edges.shape == (NODES, 9, 2)
    here = int(np.argmax(nodes[:, CHANNELS.index("closed_door") + 1]))
    assert nodes[:, 10].sum() == 1
    there = neighbours()
    goal = np.floor(np.asarray(bank.switch[level]) / 24).astype(int) - 1
    for _ in range(20):
        best = int(np.argmax(edges[here, :, 1]))
        if edges[here, best, 1] <= 0:
            break
        assert edges[here, best, 0] == 1
        here = int(there[here, best])
    assert abs(here % 42 - goal[0]) <= 1
    assert abs(here // 42 - goal[1]) <= 1


def test_neighbours_are_next_to_each_other():
    there = neighbours()
    row, column = np.divmod(np.arange(NODES), 42)
    for slot, (dy, dx) in enumerate(DIRECTIONS):
        y, x = np.divmod(there[:, slot], 42)
        inside = (row + dy >= 0) & (row + dy < 23) & (column + dx >= 0) & (column + dx < 42)
        np.testing.assert_array_equal(y[inside], (row + dy)[inside])
        np.testing.assert_array_equal(x[inside], (column + dx)[inside])
        np.testing.assert_array_equal(there[~inside, slot], np.arange(NODES)[~inside])


def test_pictures_show_rock_and_ninja(scene):
    bank, _, level, world = scene
    near = np.asarray(player_view(world, bank, level))[..., 0]
    assert near.shape == (84, 84)
    assert (near[38:46, 38:46] == 255).all()
    whole = np.asarray(level_view(world, bank, level))[..., 0]
    rock = solid_raster(np.asarray(bank.tiles[level]), 4)
    np.testing.assert_array_equal(whole[rock & (whole < 100)], 70)
    assert (whole[~rock] != 70).all()
    assert (whole == 170).any()  # the mine, small as it is


def test_every_observation_is_in_its_space(world):
    course = world[0].course
    for name in ("minimal", "tiles", "graph", "pixels"):
        env = Platformer(course, observation=name)
        params = env.default_params
        seen, _ = jax.jit(env.reset_env)(jax.random.key(0), params)
        space = env.observation_space(params)
        assert set(seen) == set(space.spaces)
        for part, value in seen.items():
            assert value.shape == space.spaces[part].shape, part
            assert value.dtype == space.spaces[part].dtype, part
    assert Platformer(course, masked=False).observation_space(params).shape == (42,)
