"""A few levels of the platformer made by hand, for tests of what is built on its physics."""

import functools

import jax
import numpy as np

from envs_jax.platformer.course import make_course
from envs_jax.platformer.env import Platformer
from envs_jax.platformer.maps import Entity, Map


def corridor(length=8, mine=None, height=3):
    """A room; spawn at its left end, switch in the middle, exit at the right end of the floor."""
    tiles = np.ones((23, 42), np.uint8)
    tiles[10 : 10 + height, 2 : 2 + length] = 0
    floor = (11 + height) * 4 - 2
    left, right = 3 * 4 + 2, (3 + length) * 4 - 2
    entities = [Entity(3, right, floor, switch=((left + right) // 2, floor))]
    if mine is not None:
        entities.append(Entity(mine, left + 8, floor + 1))
    return Map(tiles, (left, floor), entities=tuple(entities))


@functools.cache
def rooms():
    """Six levels in two categories: environment, parameters, jitted step and start of a level."""
    maps = [corridor(8), corridor(9), corridor(12), corridor(8, mine=1), corridor(12, mine=21)]
    course = make_course(
        [*maps, corridor(30, height=11)],
        ["plain"] * 3 + ["mined"] * 3,
        ["short", "short", "long", "deadly", "toggle", "tall"],
        [100] * 6,
    )
    env = Platformer(course)
    return env, env.default_params, jax.jit(env.step_env), jax.jit(env.start_level)
