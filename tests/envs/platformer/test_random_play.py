"""Random inputs over all generators of the starter bank, for frames by the million.

``RLJAX_RANDOM_STEPS=1e7 pytest tests/envs/platformer/test_random_play.py`` plays that many.
"""

import functools
import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.platformer.levels import compile_levels
from envs_jax.platformer.physics import start, tick
from envs_jax.platformer.state import DEAD
from envs_jax.platformer.suites import load
from helpers import optimised

COPIES, HOLD = 3, 6  # of 360 levels
TOTAL = float(os.environ.get("RLJAX_RANDOM_STEPS", "2e6"))


@pytest.mark.slow
def test_nobody_leaves_the_level_and_all_stays_finite():
    bank = load("starter")
    length = HOLD * math.ceil(TOTAL / (len(bank) * COPIES * HOLD))
    levels = jax.tree.map(jnp.asarray, compile_levels(bank.maps))
    number = jnp.tile(jnp.arange(len(bank)), COPIES)
    fresh = jax.vmap(start, (None, 0))(levels, number)
    move = jax.vmap(functools.partial(tick, precision="fast"), (0, 0, 0, None, 0))

    @optimised
    def run(world, key):
        def frame(carry, inputs):
            world, bounds, is_finite = carry
            world = move(world, inputs[0], inputs[1], levels, number)
            ninja = world.ninja
            place = jnp.stack([ninja.x, ninja.y])
            bounds = jnp.stack([jnp.minimum(bounds[0], place), jnp.maximum(bounds[1], place)])
            is_finite &= jnp.isfinite(place).all() & jnp.isfinite(ninja.vx + ninja.vy).all()
            over = ninja.state >= DEAD
            ended = over.sum()
            world = jax.tree.map(
                lambda new, old: jnp.where(over.reshape(-1, *(1,) * (new.ndim - 1)), new, old),
                fresh,
                world,
            )
            return (world, bounds, is_finite), ended

        keys = jax.random.split(key)
        shape = (length // HOLD, len(number))
        horizontal = jax.random.randint(keys[0], shape, -1, 2).repeat(HOLD, 0)
        jump = jax.random.bernoulli(keys[1], 0.5, shape).repeat(HOLD, 0)
        first = jnp.stack([world.ninja.x, world.ninja.y])
        carry = (world, jnp.stack([first, first]), jnp.array(True))
        return jax.lax.scan(frame, carry, (horizontal, jump))

    (_, bounds, is_finite), ended = run(fresh, jax.random.key(0))
    assert is_finite
    # The ninja's middle stays its radius off the solid frame; a jump adds 2 px at once.
    low, high = np.asarray(bounds)
    assert low.min() > 24 + 8
    assert high[0].max() < 44 * 24 - 24 - 8
    assert high[1].max() < 25 * 24 - 24 - 8
    assert int(ended.sum()) > 1000  # deaths and wins: there was something to survive
