"""Which presets belong to which category; one category of levels is one stage of a curriculum."""

from typing import NamedTuple

__all__ = ["CATEGORIES", "Category"]


class Category(NamedTuple):
    """One kind of levels.

    Attributes:
        tier: of difficulty, 1 to 4.
        test_seed, train_seed: where the seeds of its standard levels start.
        presets: pairs of family and preset, each contributing as many levels.
    """

    tier: int
    test_seed: int
    train_seed: int
    presets: tuple[tuple[str, str], ...]


CATEGORIES = {
    "simplest": Category(
        1,
        6_000,
        60_000,
        (
            ("horizontal_corridor", "minimal"),
            ("single_chamber", "minimal"),
            ("vertical_corridor", "minimal"),
            ("corridors", "simplest"),
        ),
    ),
    "simplest_few_mines": Category(
        1,
        7_000,
        70_000,
        (
            ("horizontal_corridor", "few_mines"),
            ("single_chamber", "few_mines"),
            ("mine_maze", "tiny"),
        ),
    ),
    "simplest_with_mines": Category(
        1,
        8_000,
        80_000,
        (
            ("horizontal_corridor", "with_mines"),
            ("single_chamber", "with_mines"),
            ("vertical_corridor", "few_mines"),
            ("jump_required", "few_mines"),
        ),
    ),
    "simpler": Category(
        1,
        9_000,
        90_000,
        (
            ("horizontal_corridor", "simple"),
            ("vertical_corridor", "platforms"),
            ("corridors", "simple"),
            ("hills", "gentle"),
            ("maze", "tiny"),
        ),
    ),
    "simple": Category(
        1,
        1_000,
        10_000,
        (
            ("single_chamber", "simple"),
            ("maze", "tiny"),
            ("hills", "simple"),
            ("vertical_corridor", "platforms"),
            ("jump_required", "simple"),
            ("jump_platforms", "simple"),
            ("islands", "simple"),
            ("multi_chamber", "simple"),
        ),
    ),
    "medium": Category(
        2,
        2_000,
        20_000,
        (
            ("maze", "small"),
            ("jump_required", "medium"),
            ("mine_maze", "small"),
            ("hills", "medium"),
            ("vertical_corridor", "bare"),
            ("horizontal_corridor", "long"),
            ("corridors", "medium"),
            ("single_chamber", "obstacle"),
            ("single_chamber", "gap"),
            ("multi_chamber", "medium"),
            ("islands", "medium"),
            ("jump_platforms", "medium"),
        ),
    ),
    "complex": Category(
        3,
        3_000,
        30_000,
        (
            ("maze", "medium"),
            ("jump_required", "hard"),
            ("mine_maze", "medium"),
            ("hills", "large"),
            ("vertical_corridor", "tall"),
            ("corridors", "complex"),
            ("multi_chamber", "complex"),
            ("islands", "mined"),
            ("jump_platforms", "hard"),
        ),
    ),
    "exploration": Category(
        4,
        5_000,
        50_000,
        (
            ("maze", "large"),
            ("multi_chamber", "locked"),
            ("islands", "large"),
            ("corridors", "complex"),
        ),
    ),
    "mine_heavy": Category(
        4,
        4_000,
        40_000,
        (
            ("mine_maze", "large"),
            ("maze", "mined"),
            ("hills", "mined"),
            ("vertical_corridor", "mined"),
            ("horizontal_corridor", "mined"),
            ("corridors", "mined"),
            ("single_chamber", "mined"),
            ("jump_platforms", "mined"),
        ),
    ),
}
