"""Levels by family, preset and seed: eleven families, each with presets of rising difficulty.

The kinds of level follow npp-rl's list; drawing, geometry and sizes are our own. Levels are sound
(everything is linked) but not yet known to be solvable: see :mod:`envs_jax.platformer.search`.
"""

import zlib

import numpy as np

from envs_jax.platformer.generators.categories import CATEGORIES, Category
from envs_jax.platformer.generators.draft import is_sound
from envs_jax.platformer.generators.presets import FAMILIES
from envs_jax.platformer.maps import Map
from envs_jax.words import check_word

__all__ = ["CATEGORIES", "FAMILIES", "Category", "category", "generate"]

_ATTEMPTS = 1000  # draws of one seed, most of which need one


def generate(family: str, preset: str, seed: int) -> Map:
    """Draw a level; the same arguments give the same level.

    Args:
        family: one of `FAMILIES`.
        preset: one of the family's.
        seed: any whole number from 0.

    Returns:
        A sound level.

    Raises:
        ValueError: for an unknown family or preset, or a seed that is no whole number from 0.
    """
    check_word("family", family, FAMILIES)
    presets = FAMILIES[family]
    check_word(f"family {family!r}, preset", preset, presets)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed {seed!r}: expected a whole number from 0")
    rng = np.random.default_rng([zlib.crc32(f"{family}:{preset}".encode()), int(seed)])
    for _ in range(_ATTEMPTS):
        level: Map = presets[preset].build(rng)
        if is_sound(level):
            return level
    raise ValueError(f"{family}:{preset} gave no sound level of seed {seed}: expected one")


def category(name: str) -> Category:
    """Look a category up.

    Raises:
        ValueError: for an unknown name.
    """
    check_word("category", name, CATEGORIES)
    return CATEGORIES[name]
