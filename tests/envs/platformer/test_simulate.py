from __future__ import annotations

import dataclasses
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from envs_jax.platformer import simulate
from envs_jax.platformer.levels import compile_levels
from envs_jax.platformer.maps import Entity, MapError, read_map, write_map
from envs_jax.platformer.replays import read_replay
from envs_jax.platformer.simulation import MOVING_HAZARDS

DATA = Path(__file__).parents[2] / "data"
SHARED = Path(os.environ.get("RLJAX_SHARED", Path(__file__).parents[4] / "shared")) / "data"
WALLED = ((slice(0, 5), slice(30, 42), 1),)  # full tiles, which shut off what is among them


def test_what_comes_back(room) -> None:
    entities = (Entity(1, 100, 60), Entity(21, 110, 60), Entity(6, 60, 82, switch=(20, 20)))
    frames = 70
    right = np.ones(frames, np.int8)
    outcome = simulate(write_map(room(entities=entities, switch=(46, 82))), right, right * 0)
    shapes = {name: (value.shape, value.dtype.name) for name, value in outcome.items()}
    assert shapes == {
        "position": ((frames, 2), "float32"),
        "velocity": ((frames, 2), "float32"),
        "ninja_state": ((frames,), "int32"),
        "exit_switch_active": ((frames,), "bool"),
        "mine_state": ((frames, 2), "int32"),
        "door_closed": ((frames, 1), "bool"),
    }
    assert outcome["exit_switch_active"][0]
    assert not outcome["exit_switch_active"][-1]
    assert outcome["door_closed"].all()
    np.testing.assert_array_equal(outcome["mine_state"], np.tile([0, 1], (frames, 1)))
    steps = np.diff(outcome["position"], axis=0)
    dragged = outcome["velocity"][20:50, 0] * 0.99 ** (2 / 3)
    np.testing.assert_allclose(steps[20:50, 0], dragged, atol=1e-3)


def test_recorded_replays_win_on_their_last_frame(play) -> None:
    replays = [read_replay(path.read_bytes()) for path in sorted(DATA.glob("platformer_*.replay"))]
    assert len(replays) == 3
    inputs = np.zeros((2, 480, len(replays)), int)
    for i, replay in enumerate(replays):
        inputs[0, : len(replay.jump), i] = replay.horizontal
        inputs[1, : len(replay.jump), i] = replay.jump
    worlds = play([read_map(replay.map_bytes) for replay in replays], *inputs)
    for i, replay in enumerate(replays):
        state = worlds.ninja.state[:, i]
        assert state[-1] == 8
        assert int(np.argmax(state == 8)) == len(replay.jump) - 1


@pytest.mark.parametrize(
    ("entity", "name"),
    [
        (Entity(5, 60, 82), "regular door"),
        (Entity(8, 60, 82, switch=(50, 82)), "trap door"),
        (Entity(10, 60, 82), "launch pad"),
        (Entity(11, 60, 82), "one-way platform"),
        (Entity(17, 60, 82), "bounce block"),
        (Entity(20, 60, 82), "thwump"),
        (Entity(24, 60, 82), "boost pad"),
    ],
)
def test_what_is_not_simulated_is_named(room, entity, name) -> None:
    with pytest.raises(MapError, match=f"the map has a {name} at .60, 82., which is not simulated"):
        simulate(write_map(room(entities=(entity,))), [0], [0])
    compile_levels([room(entities=(entity,))], leave_out={entity.type})


def test_what_the_ninja_cannot_get_at_does_not_matter(room) -> None:
    inside = Entity(17, 142, 10)
    compile_levels([room(WALLED, entities=(inside,))])
    with pytest.raises(MapError, match="bounce block"):
        compile_levels([room((*WALLED, (slice(0, 6), 34, 0)), entities=(inside,))])


def test_drones_are_left_out_with_a_warning(room) -> None:
    level = room(entities=(Entity(14, 60, 82), Entity(25, 70, 70), Entity(2, 50, 82)))
    with pytest.warns(UserWarning, match="left out of the simulation: zap drone, death ball"):
        simulate(write_map(level), np.zeros(70, int), np.zeros(70, bool))
    with pytest.raises(MapError, match="zap drone"):
        compile_levels([level])


@pytest.mark.parametrize(
    ("horizontal", "jump", "precision", "message"),
    [
        ([0, 1], [0], "safe", r"horizontal of shape \(2,\), jump of shape \(1,\)"),
        ([[0]], [[0]], "safe", "one number a frame"),
        ([0, 2], [0, 0], "safe", "horizontal holds 2: -1, 0 or 1"),
        ([0, 1], [0, 7], "safe", "jump holds 7: true or false"),
        ([0, 1], [0, 1], "exact", "precision 'exact': one of fast, safe, reference"),
    ],
)
def test_inputs_that_do_not_fit(room, horizontal, jump, precision, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        simulate(write_map(room()), horizontal, jump, precision)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"entities": ()}, {}, "the map has 0 exit doors: exactly one"),
        ({"tiles": np.zeros((2, 2), np.uint8)}, {}, r"shape \(2, 2\)"),
        ({"entities": (Entity(3, 1, 1),)}, {}, "exit door .1, 1. has no switch"),
        ({}, {"mines": 1}, "mines=1: a level has 2, so at least 2"),
        ({}, {"doors": 0}, "locked doors=0: a level has 1"),
    ],
)
def test_banks_that_do_not_fit(room, changes, arguments, message) -> None:
    mines = Entity(1, 9, 9), Entity(21, 9, 9), Entity(6, 9, 9, switch=(2, 2))
    with pytest.raises(MapError, match=message):
        compile_levels([dataclasses.replace(room(entities=mines), **changes)], **arguments)
    with pytest.raises(MapError, match="0 maps"):
        compile_levels([])


def test_a_bank_has_room_for_its_largest_level(room) -> None:
    mines = (Entity(21, 30, 40), Entity(1, 10, 20), Entity(1, 50, 60))
    bank = compile_levels([room(), room(entities=mines)], doors=1)
    np.testing.assert_array_equal(bank.mine_start, [[-1, -1, -1], [0, 0, 1]])
    np.testing.assert_array_equal(bank.mine_position[1], [[60, 120], [300, 360], [180, 240]])
    assert bank.cells.shape == (2, 44 * 25)
    assert bank.tiles.shape == (2, 25, 44)
    assert bank.lock_mask.shape == (2, 1)
    assert not bank.lock_mask.any()


@pytest.fixture(scope="module")
def long_run():
    """Worlds after each frame of many maps at once: states, and positions in px."""
    import jax
    import jax.numpy as jnp

    from envs_jax.platformer.physics import start, tick

    def go(maps, horizontal, jump, precision):
        levels = compile_levels(maps, leave_out=MOVING_HAZARDS)
        level = jnp.arange(len(maps))

        @jax.jit
        def run(levels, horizontal, jump):
            move = jax.vmap(tick, (0, 0, 0, None, 0, None))

            def advance(worlds, given):
                worlds = move(worlds, *given, levels, level, precision)
                return worlds, worlds

            worlds = jax.vmap(start, (None, 0))(levels, level)
            return jax.lax.scan(advance, worlds, (horizontal, jump))[1]

        return jax.device_get(run(levels, np.int32(horizontal), np.asarray(jump, bool)))

    return go


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason=f"no reference data at {SHARED}")
@pytest.mark.parametrize(
    ("precision", "least", "furthest"),
    [("safe", (50, 49, 46), 15), ("reference", (50, 50, 48), 15), ("fast", (50, 42, 44), np.inf)],
)
def test_all_trajectories_of_the_reference(long_run, precision, least, furthest) -> None:
    data = dict(np.load(SHARED / "npp_reference_trajectories.npz"))
    pairs = zip(data["map_bytes"], data["map_length"], strict=True)
    maps = [read_map(raw[:length]) for raw, length in pairs]
    worlds = long_run(maps, data["horizontal"].T, data["jump"].T, precision)
    place = np.stack([worlds.ninja.x, worlds.ninja.y], -1)
    same, errors = np.zeros(3, int), []
    for i, frames in enumerate(data["length"]):
        known = data["mine_state"][i, :frames], data["door_closed"][i, :frames]
        pairs = [
            (worlds.ninja.state[:frames, i], data["ninja_state"][i, :frames]),
            (~worlds.exit_active[:frames, i], data["exit_switch_active"][i, :frames]),
            (worlds.mine_state[:frames, i][known[0] >= 0], known[0][known[0] >= 0]),
            (worlds.door_closed[:frames, i][known[1] >= 0], known[1][known[1] >= 0]),
        ]
        same[data["tier"][i]] += all(np.array_equal(ours, theirs) for ours, theirs in pairs)
        distance = np.linalg.norm(place[:frames, i] - data["position"][i, :frames], axis=-1)
        errors.append((np.median(distance), distance.max()))
    assert (same >= least).all(), same
    assert np.median(np.array(errors)[:, 0]) < 0.01
    assert np.max(errors) < furthest


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason=f"no reference data at {SHARED}")
def test_all_human_replays(long_run) -> None:
    lines = (SHARED / "npp_replays" / "oracle.csv").read_text().split()[1:]
    won = [line.split(",") for line in lines if line.split(",")[1] == "win"]
    replays = [read_replay((SHARED / "npp_replays" / name).read_bytes()) for name, *_ in won]
    frames = max(len(replay.jump) for replay in replays)
    inputs = np.zeros((2, frames, len(replays)), int)
    for i, replay in enumerate(replays):
        inputs[0, : len(replay.jump), i] = replay.horizontal
        inputs[1, : len(replay.jump), i] = replay.jump
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = [read_map(replay.map_bytes) for replay in replays]
        state = long_run(maps, *inputs, "safe").ninja.state
    at = np.where((state == 8).any(0), (state == 8).argmax(0) + 1, -1)
    np.testing.assert_array_equal(at, [int(frame) for _, _, frame, _ in won])
