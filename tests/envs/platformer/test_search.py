"""Proofs: found where there is a way, refused where there is none, and true in the physics."""

import numpy as np
import pytest

from envs_jax.platformer.estimate import lift_of, make_estimate
from envs_jax.platformer.generators import generate
from envs_jax.platformer.maps import Entity, Map
from envs_jax.platformer.search import Effort, Proof, check, prove, prove_each

FAST = Effort(states=2000, polish=100, slots=4, batch=32, mines=64, doors=3)


def _corridor(*, wall: bool = False, mines: tuple[int, ...] = (), door: bool = False) -> Map:
    """A corridor of 12 x 3 tiles: ninja left, switch in the middle, exit right."""
    tiles = np.ones((23, 42), np.uint8)
    tiles[8:11, 5:17] = 0
    if wall:
        tiles[8:11, 14] = 1
    row = 46  # of the lowest free tiles, units of 6 px
    entities = [Entity(3, 66, row, switch=(42, row))]
    entities += [Entity(1, x, row) for x in mines]
    if door:
        tiles[8:10, 15] = 1
        entities.append(Entity(6, 64, row, switch=(50, row)))
    return Map(tiles, (26, row), entities=tuple(entities))


def test_proofs_win_in_their_last_frame():
    chosen = [("single_chamber", "simple"), ("hills", "gentle"), ("jump_required", "few_mines")]
    levels = [generate(*pair, seed) for pair in chosen for seed in (0, 1)]
    proofs = dict(prove_each(levels, FAST))
    assert None not in proofs.values()
    rows = [(number, levels[number], proof) for number, proof in proofs.items()]
    checked = dict(check(rows, FAST))
    assert {n: proof.frames for n, proof in checked.items()} == {
        n: proof.frames for n, proof in proofs.items()
    }
    short = [(n, level, Proof(p.horizontal[:-1], p.jump[:-1])) for n, level, p in rows]
    assert set(dict(check(short, FAST)).values()) == {None}


def test_a_straight_corridor_takes_no_longer_than_running():
    proof = prove(_corridor(), FAST)
    # 240 px less the touching distance of 22, from a standing start with 1/15 px a frame squared
    assert proof is not None and 80 < proof.frames < 105


def test_a_mine_is_jumped_over():
    proof = prove(_corridor(mines=(34,)), FAST)
    assert proof is not None and proof.jump.any()


def test_a_locked_door_is_opened_first():
    open_way, locked = prove(_corridor(), FAST), prove(_corridor(door=True), FAST)
    assert open_way is not None and locked is not None
    assert locked.frames >= open_way.frames - 4


@pytest.mark.parametrize("level", [_corridor(wall=True), _corridor(mines=(58, 59, 60, 61, 62))])
def test_what_has_no_way_is_refused(level):
    if len(level.entities) > 1:  # mines up to the ceiling
        wall = tuple(Entity(1, 60, y) for y in range(34, 48, 2))
        level = Map(level.tiles, level.ninja, entities=(level.entities[0], *wall))
    assert prove(level, FAST) is None


def test_more_effort_finds_no_slower_way():
    level = generate("jump_required", "simple", 1)
    quick = prove(level, Effort(states=2000, polish=0, slots=4, batch=32, mines=64, doors=3))
    slow = prove(level, Effort(states=2000, polish=2000, slots=4, batch=32, mines=64, doors=3))
    assert quick is not None and slow is not None and slow.frames <= quick.frames


def test_the_estimate_knows_gravity_and_the_order_of_things():
    level = _corridor()
    frames = make_estimate(level)
    here, switch, far = (23, 13), (23, 21), (23, 33)  # lattice points of 12 px: row, column
    floor = 7
    assert frames[0, floor][here] > frames[0, floor][switch] > frames[1, floor][switch] > 0
    assert frames[1, floor][far] < 1.0
    high = (18, 13)
    assert frames[0, 1][high] > frames[0, floor][here] - 60


def test_lifts_follow_speed_and_contacts():
    vy = np.array([0.0, 3.0, 0.0, -2.0, 3.0])
    airborne = np.array([False, True, True, True, True])
    walled = np.array([False, False, False, False, True])
    held = np.array([False, False, False, True, False])
    assert lift_of(vy, airborne, walled, held).tolist() == [7, 0, 1, 7, 4]
