"""Families of levels: drawn from a seed, sound, and refused by name when unknown."""

import dataclasses

import numpy as np
import pytest

from envs_jax.platformer.generators import CATEGORIES, FAMILIES, category, generate
from envs_jax.platformer.generators.draft import Draft, is_sound, mirrored
from envs_jax.platformer.maps import Entity, Map, read_map, write_map

PRESETS = [(family, preset) for family, presets in FAMILIES.items() for preset in presets]


def test_the_eleven_families_are_there():
    assert set(FAMILIES) == {
        "maze",
        "jump_required",
        "mine_maze",
        "hills",
        "vertical_corridor",
        "horizontal_corridor",
        "corridors",
        "single_chamber",
        "multi_chamber",
        "islands",
        "jump_platforms",
    }


@pytest.mark.parametrize(("family", "preset"), PRESETS)
def test_levels_are_sound_and_can_be_written(family, preset):
    for seed in range(20):
        level = generate(family, preset, seed)
        assert is_sound(level)
        written = write_map(level)
        assert write_map(read_map(written)) == written


@pytest.mark.parametrize(("family", "preset"), PRESETS)
def test_a_seed_fixes_its_level(family, preset):
    levels = [write_map(generate(family, preset, seed)) for seed in (3, 3, 4, 5, 6)]
    assert levels[0] == levels[1]
    assert len(set(levels)) > 2


def test_categories_name_presets_that_exist():
    for name, (tier, test_seed, train_seed, presets) in CATEGORIES.items():
        assert 1 <= tier <= 4 and test_seed != train_seed, name
        assert len(set(presets)) == len(presets) > 0
        for family, preset in presets:
            assert preset in FAMILIES[family], (name, family, preset)


def test_every_preset_is_in_a_category():
    used = {pair for chosen in CATEGORIES.values() for pair in chosen.presets}
    assert used == set(PRESETS)


def test_some_levels_have_locked_doors_and_mines():
    kinds = [
        entity.type
        for seed in range(5)
        for family, preset in PRESETS
        for entity in generate(family, preset, seed).entities
    ]
    assert {1, 3, 6, 21} == set(kinds)


def test_the_mirror_of_the_mirror_is_the_level():
    level = generate("hills", "medium", 1)
    back = mirrored(mirrored(level))
    np.testing.assert_array_equal(back.tiles, level.tiles)
    assert dataclasses.replace(back, tiles=level.tiles) == level
    assert not np.array_equal(mirrored(level).tiles, level.tiles)


def _chamber(*entities: Entity) -> Map:
    tiles = np.ones((23, 42), np.uint8)
    tiles[5, 5:15] = 0
    door = Entity(3, 62, 26, switch=(46, 26))
    return Map(tiles, (26, 26), entities=(door, *entities))


def test_unsound_levels_are_noticed():
    assert is_sound(_chamber())
    assert is_sound(_chamber(Entity(1, 36, 26)))
    assert not is_sound(_chamber(Entity(1, 29, 26)))  # too close to the ninja
    walled = _chamber()
    walled.tiles[5, 12] = 1
    assert not is_sound(walled)
    buried = dataclasses.replace(_chamber(), ninja=(26, 30))
    assert not is_sound(buried)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: generate("mazes", "tiny", 0), "nearest is 'maze'"),
        (lambda: generate("maze", "tinny", 0), "nearest is 'tiny'"),
        (lambda: generate("maze", "tiny", -1), "seed -1"),
        (lambda: generate("maze", "tiny", 1.5), "seed 1.5"),
        (lambda: category("simpel"), "nearest is 'simple'"),
        (lambda: Draft(43, 5), "at most 42 x 23"),
    ],
)
def test_errors_are_one_line_that_names_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
