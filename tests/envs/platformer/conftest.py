"""One compiled program for all scenes: a bank, one ninja in each level, recorded inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "data"
BATCH, FRAMES, MINES, DOORS = 24, 480, 16, 2


@pytest.fixture(scope="session")
def recorded() -> dict[str, np.ndarray]:
    """Twelve trajectories of the reference physics in float64, four of each tier."""
    return dict(np.load(DATA / "platformer_trajectories.npz"))


@pytest.fixture(scope="session")
def play() -> Callable[..., Any]:
    """Worlds after each frame, leaves ``[480, n, ...]``, of n up to 24 maps with their inputs."""
    import jax
    import jax.numpy as jnp

    from envs_jax.platformer.levels import compile_levels
    from envs_jax.platformer.physics import start, tick

    @functools.partial(jax.jit, static_argnums=3)
    def run(levels: Any, horizontal: Any, jump: Any, precision: Any) -> Any:
        level = jnp.arange(BATCH)
        move = jax.vmap(tick, (0, 0, 0, None, 0, None))

        def advance(worlds: Any, given: Any) -> Any:
            worlds = move(worlds, *given, levels, level, precision)
            return worlds, worlds

        worlds = jax.vmap(start, (None, 0))(levels, level)
        return jax.lax.scan(advance, worlds, (horizontal, jump))[1]

    def go(maps: Any, horizontal: Any, jump: Any, precision: str = "safe") -> Any:
        count = len(maps)
        maps = [*maps, *[maps[0]] * (BATCH - count)]
        levels = compile_levels(maps, mines=MINES, doors=DOORS)
        inputs = np.zeros((2, FRAMES, BATCH), np.int32)
        inputs[0, : len(horizontal), :count] = horizontal
        inputs[1, : len(jump), :count] = jump
        worlds = run(levels, inputs[0], inputs[1].astype(bool), precision)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:, :count], worlds)

    return go


@pytest.fixture(scope="session")
def room() -> Callable[..., Any]:
    """A map with a floor of full tiles from row 20 on, and whatever else is said."""
    from envs_jax.platformer.maps import COLUMNS, ROWS, Entity, Map

    def make(
        tiles: tuple[tuple[Any, Any, int], ...] = (),
        ninja: tuple[int, int] = (40, 82),
        entities: tuple[Any, ...] = (),
        exit_door: tuple[int, int] = (8, 8),
        switch: tuple[int, int] = (12, 8),
    ) -> Any:
        grid = np.zeros((ROWS, COLUMNS), np.uint8)
        grid[20:] = 1
        for rows, columns, tile in tiles:
            grid[rows, columns] = tile
        return Map(grid, ninja, 1, (Entity(3, *exit_door, switch=switch), *entities))

    return make
