"""Handling numbers of the game, and whole trajectories of the reference physics."""

from __future__ import annotations

import numpy as np
import pytest

from envs_jax.platformer.maps import Entity, Map, read_map

FRAMES = 480
FLOOR = 21 * 24 - 10  # px, where the centre of a ninja on the floor of a room is


def held(*spans: tuple[int, int], value: int = 1) -> np.ndarray:
    """Pressed from one frame to before another."""
    inputs = np.zeros(FRAMES, int)
    for first, last in spans:
        inputs[first:last] = value
    return inputs


NOTHING = held()
WALL = ((slice(0, 20), 20, 1),)
TOWER = ((slice(10, 20), slice(6, 9), 1),)
HIGHER_TOWER = ((slice(9, 20), slice(6, 9), 1),)
SHELF = ((slice(17, 20), slice(0, 9), 1),)
RAMP = ((19, 12, 8), (19, slice(13, 20), 1))
MINE_AT, DOOR_AT = (60, 82), (60, 82)
START = 30  # frames, until the ninja stands


def scenes(room):
    """(map, horizontal, jump) by name."""
    right = held((0, FRAMES))
    return {
        "rest": (room(), NOTHING, NOTHING),
        "tap": (room(), NOTHING, held((START, START + 1))),
        "hold 10": (room(), NOTHING, held((START, START + 10))),
        "hold": (room(), NOTHING, held((START, 200))),
        "hold ever": (room(), NOTHING, held((START, FRAMES))),
        "run": (room(ninja=(10, 82)), held((START, FRAMES)), NOTHING),
        "stop": (room(ninja=(10, 82)), held((START, 120)), NOTHING),
        "safe drop": (room(TOWER, ninja=(34, 42)), right, NOTHING),
        "deadly drop": (room(HIGHER_TOWER, ninja=(34, 38)), right, NOTHING),
        "buffered": (room(ninja=(40, 60)), NOTHING, held((60, 61))),
        "slide": (room(WALL, ninja=(81, 10)), held((3, FRAMES)), NOTHING),
        "late jump": (room(SHELF, ninja=(30, 69)), right, NOTHING),
        "uphill": (room(RAMP, ninja=(30, 82)), right, NOTHING),
        "mine": (room(entities=(Entity(1, *MINE_AT),)), right, NOTHING),
        "toggle mine": (room(entities=(Entity(21, *MINE_AT),)), right, NOTHING),
        "toggle and back": (
            room(entities=(Entity(21, *MINE_AT),)),
            held((0, 90)) + held((90, FRAMES), value=-1),
            NOTHING,
        ),
        "win": (room(exit_door=(80, 82), switch=(50, 82)), right, NOTHING),
        "no switch": (room(exit_door=(80, 82)), right, NOTHING),
        "door": (room(entities=(Entity(6, *DOOR_AT, switch=(20, 20)),)), right, NOTHING),
        "open door": (room(entities=(Entity(6, *DOOR_AT, switch=(50, 82)),)), right, NOTHING),
    }


@pytest.fixture(scope="module")
def played(play, room):
    """Worlds of each scene by name, leaves ``[480, ...]``."""
    import jax

    made = scenes(room)
    maps, horizontal, jump = zip(*made.values(), strict=True)
    worlds = play(maps, np.stack(horizontal, 1), np.stack(jump, 1))
    return {name: jax.tree.map(lambda leaf, i=i: leaf[:, i], worlds) for i, name in enumerate(made)}


def test_at_rest_nothing_moves(played) -> None:
    ninja = played["rest"].ninja
    np.testing.assert_array_equal(ninja.x, 240)
    np.testing.assert_allclose(ninja.y[START:], FLOOR, atol=1e-4)
    assert not ninja.state[START:].any()


@pytest.mark.parametrize(
    ("name", "height", "apex"), [("tap", 28.8, 28), ("hold 10", 40.6, None), ("hold", 76.9, 61)]
)
def test_height_of_jumps(played, name, height, apex) -> None:
    y = played[name].ninja.y
    assert y[START - 1] - y.min() == pytest.approx(height, abs=0.05)
    if apex:
        assert int(y.argmin()) - START + 1 == pytest.approx(apex, abs=1)


def test_a_button_held_jumps_once(played) -> None:
    state = played["hold ever"].ninja.state
    assert np.sum((state[1:] == 3) & (state[:-1] != 3)) == 1


def test_running(played) -> None:
    vx = played["run"].ninja.vx
    assert vx[[START + 19, START + 39, START + 59]] == pytest.approx([1.31, 2.40, 3.28], abs=0.06)
    assert 3.2 < vx[START + 100] < 10 / 3
    ninja = played["stop"].ninja
    stopped = int(np.argmax(ninja.state[120:] == 0))
    assert stopped == pytest.approx(57, abs=4)
    assert ninja.x[120 + stopped] - ninja.x[119] == pytest.approx(56, abs=3)


def test_ten_tiles_are_safe_and_eleven_are_not(played) -> None:
    for name, dies in (("safe drop", False), ("deadly drop", True)):
        assert (played[name].ninja.state == 6).any() == dies, name


def test_a_jump_too_early_is_remembered_for_five_frames(played) -> None:
    ninja = played["buffered"].ninja
    landed = int(np.argmax(~ninja.airborne[1:])) + 1
    assert (ninja.state[landed:] == 3).any() == (landed - 60 <= 5)
    assert ninja.jump_buffer[60] == 0 or landed <= 60


def test_wall_slide(played) -> None:
    ninja = played["slide"].ninja
    slides = ninja.state == 5
    assert slides.sum() > 100
    assert ninja.vy[slides].max() < 1.5
    assert ninja.vy[slides][-1] == pytest.approx(0.64, abs=0.02)
    np.testing.assert_array_equal(ninja.wall_normal[slides], -1)


def test_a_step_over_an_edge_falls(played) -> None:
    ninja = played["late jump"].ninja
    over = int(np.argmax(ninja.airborne[START:])) + START
    assert ninja.state[over] == 4
    assert ninja.floor_buffer[over - 1] == 0
    np.testing.assert_array_equal(ninja.floor_buffer[over : over + 6], [1, 2, 3, 4, -1, -1])


def test_a_slope_is_climbed(played) -> None:
    ninja = played["uphill"].ninja
    on_slope = np.abs(ninja.floor_nx + np.sqrt(0.5)) < 1e-4
    assert on_slope.sum() > 3
    assert ninja.y.min() < FLOOR - 20


def test_mines(played) -> None:
    dead = played["mine"]
    assert dead.ninja.state[-1] == 6
    at = int(np.argmax(dead.ninja.state == 6))
    assert np.hypot(dead.ninja.x[at] - 360, dead.ninja.y[at] - 492) < 14
    assert (dead.mine_state[:at, 0] == 0).all()
    assert (dead.mine_state[at:, 0] == 1).all()
    for leaf in (dead.ninja.x, dead.ninja.y, dead.ninja.vx, dead.frame):
        np.testing.assert_array_equal(leaf[at:], leaf[at])

    passed = played["toggle mine"]
    assert passed.ninja.state[-1] != 6
    assert list(dict.fromkeys(passed.mine_state[:, 0].tolist())) == [1, 2, 0]
    assert played["toggle and back"].ninja.state[-1] == 6


def test_the_exit_opens_with_its_switch(played) -> None:
    won = played["win"]
    at = int(np.argmax(won.ninja.state == 8))
    assert won.ninja.state[-1] == 8
    assert 480 - won.ninja.x[at] <= 22 < 480 - won.ninja.x[at - 1]
    assert int(np.argmax(won.exit_active)) < at
    assert not won.exit_active[0]
    assert (played["no switch"].ninja.state != 8).all()


def test_locked_doors(played) -> None:
    shut, opened = played["door"], played["open door"]
    assert shut.ninja.x.max() <= 350 + 1e-3
    assert shut.door_closed[:, 0].all()
    assert opened.ninja.x.max() > 400
    assert not opened.door_closed[-1].any()


def test_trajectories_of_the_reference(play, recorded) -> None:
    """The same states at every frame, also of ninjas that are wedged in: 4 of each tier."""
    lengths = recorded["map_length"]
    maps = [read_map(d[:n]) for d, n in zip(recorded["map_bytes"], lengths, strict=True)]
    worlds = play(maps, recorded["horizontal"].T, recorded["jump"].T)
    place = np.stack([worlds.ninja.x, worlds.ninja.y], -1)
    for i, frames in enumerate(recorded["length"]):
        for name, ours in (
            ("ninja_state", worlds.ninja.state),
            ("mine_state", worlds.mine_state),
            ("door_closed", worlds.door_closed),
            ("exit_switch_active", ~worlds.exit_active),
        ):
            theirs = recorded[name][i, :frames]
            known = theirs >= 0
            np.testing.assert_array_equal(ours[:frames, i][known], theirs[known], f"{i} {name}")
        error = np.linalg.norm(place[:frames, i] - recorded["position"][i, :frames], axis=-1)
        assert np.median(error) < 0.01
        assert error.max() < 0.2


def test_nothing_leaves_the_level_or_gets_lost(play) -> None:
    """Random inputs among random tiles, where ninjas may well start inside of one."""
    rng = np.random.default_rng(5)
    maps = []
    for chance in np.linspace(0.1, 0.9, 24):
        tiles = np.where(rng.random((23, 42)) < chance, rng.integers(0, 34, (23, 42)), 0)
        maps.append(Map(tiles.astype(np.uint8), (88, 50), 1, (Entity(3, 9, 9, switch=(5, 5)),)))
    horizontal = rng.integers(-1, 2, (FRAMES // 8, 24)).repeat(8, 0)
    worlds = play(maps, horizontal, rng.random((FRAMES // 4, 24)).repeat(4, 0) < 0.4)
    ninja = worlds.ninja
    for leaf in (ninja.x, ninja.y, ninja.vx, ninja.vy):
        assert np.isfinite(leaf).all()
    assert np.abs(ninja.vx).max() < 10
    assert np.abs(ninja.vy).max() < 10
    assert ((ninja.x > 0) & (ninja.x < 1056) & (ninja.y > 0) & (ninja.y < 600)).all()
