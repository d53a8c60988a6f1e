"""Pictures of a level for people, in NumPy on the host."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from envs_jax.canvas import BLACK, BLUE, BROWN, GREEN, GREY, RED, Canvas, Colour
from envs_jax.platformer.maps import CELL
from envs_jax.platformer.raster import solid_raster
from envs_jax.platformer.state import DEAD, DYING, WON, World

__all__ = ["draw_level"]

_AIR, _STONE, _TRAIL, _PALE = (226, 232, 238), (92, 98, 110), (60, 140, 220), (222, 190, 120)
_NINJA_COLOURS: dict[int, Colour] = {DEAD: RED, DYING: RED, WON: GREEN}


def draw_level(
    levels: Any, level: int, world: World, trail: np.ndarray | None = None
) -> np.ndarray:
    """A level with one ninja in it, uint8 ``[600, 1056, 3]``: a pixel for each px.

    Deadly mines are red, others brown; the exit's switch is blue until it is touched, the exit
    then green. A closed locked door is a thick line, its switch a small disc of the same colour.

    Args:
        levels: the bank, NumPy or JAX arrays.
        level: index into it.
        world: ninja and entities.
        trail: where the ninja has been, ``[t, 2]``, px.
    """
    tiles = np.asarray(levels.tiles[level])
    height, width = tiles.shape[0] * CELL, tiles.shape[1] * CELL
    # The canvas counts upwards, levels downwards.
    canvas = Canvas((0.0, width), (-height, 0.0), width, _AIR)
    canvas.pixels[solid_raster(tiles, CELL)] = _STONE

    def disc(place: Any, radius: float, colour: Colour) -> None:
        canvas.disc((float(place[0]), -float(place[1])), radius, colour)

    for number, state in enumerate(np.asarray(world.mine_state)):
        if state >= 0:
            colour = RED if state == 0 else BROWN
            disc(levels.mine_position[level][number], 4.0 if state == 0 else 3.5, colour)
    active = bool(world.exit_active)
    disc(levels.exit[level], 12.0, GREEN if active else GREY)
    disc(levels.switch[level], 6.0, GREY if active else BLUE)
    for number, closed in enumerate(np.asarray(world.door_closed)):
        if closed:
            left, top, right, bottom = (float(end) for end in levels.lock_door[level][number])
            canvas.line((left, -top), (right, -bottom), 4.0, _PALE)
            disc(levels.lock_switch[level][number], 5.0, _PALE)
    if trail is not None:
        points = np.asarray(trail, float) * (1.0, -1.0)
        for start, end in itertools.pairwise(points):
            canvas.line(start, end, 2.0, _TRAIL)
    ninja = world.ninja
    disc((ninja.x, ninja.y), 10.0, _NINJA_COLOURS.get(int(ninja.state), BLACK))
    return canvas.pixels
