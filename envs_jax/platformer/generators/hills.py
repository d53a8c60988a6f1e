"""The family of hills: ground of slopes, arcs and steps."""

import dataclasses

import numpy as np

from envs_jax.platformer.generators.draft import Draft, Range, choose
from envs_jax.platformer.maps import Map

__all__ = ["Hills"]

# What climbs towards the right, as columns of tiles from the ground up: how high the ground is
# beside the tiles is known from how many there are. Each entry: one list per column, and the rise.
_RISES: dict[str, tuple[tuple[tuple[int, ...], ...], int]] = {
    "straight": (((8,),), 1),
    "mild": (((20,), (24,)), 1),
    "steep": (((32, 28),), 2),
    "round": (((12,),), 1),
    "hollow": (((16,),), 1),
    "step": (((1,),), 1),
}
# The same tiles, falling towards the right.
_FALLING = {8: 9, 20: 21, 24: 25, 32: 33, 28: 29, 12: 13, 16: 17, 1: 1}


@dataclasses.dataclass(frozen=True)
class Hills:
    """Ground that goes up and down, from one end to the other.

    Attributes:
        hills: how many.
        rise: of a hill's side.
        flat: tiles of level ground between two sides.
        headroom: free rows above the highest hill.
        kinds: of slope that are drawn from.
        mines: on level ground.
        toggle_share: of the mines, those that start harmless.
        back: probability that the exit is on the way to the switch.
    """

    hills: Range
    rise: Range
    flat: Range = (1, 3)
    headroom: Range = (3, 5)
    kinds: tuple[str, ...] = ("straight", "mild")
    mines: Range = (0, 0)
    toggle_share: float = 0.0
    back: float = 0.3

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        columns, level_ground = self._ground(rng)
        heights = [len(column) for column in columns]
        draft = Draft(len(columns), max(heights) + choose(rng, self.headroom))
        bottom = draft.height
        draft.carve(0, 0, draft.width, draft.height)
        for column, stack in enumerate(columns):
            for row, tile in enumerate(stack):
                draft.fill(column, bottom - 1 - row, 1, 1, tile)

        def on_ground(column: int) -> tuple[int, int]:
            return column, bottom - 1 - heights[column]

        far = len(columns) - 1
        between = level_ground[choose(rng, (1, len(level_ground) - 2))]
        for index in rng.permutation(len(level_ground))[: choose(rng, self.mines)]:
            column = level_ground[index]
            if 1 < column < far - 1:
                toggles = bool(rng.random() < self.toggle_share)
                draft.floor_mine(*on_ground(column), toggles=toggles)
        is_back = rng.random() < self.back
        draft.ninja(*on_ground(0))
        draft.switch(*on_ground(far if is_back else between))
        draft.exit(*on_ground(between if is_back else far))
        return draft.finish(rng)

    def _ground(self, rng: np.random.Generator) -> tuple[list[tuple[int, ...]], list[int]]:
        """Tiles of each column from the lowest up, and the columns that are level."""
        columns, level = list[tuple[int, ...]](), list[int]()
        height = 0

        def flat() -> None:
            for _ in range(choose(rng, self.flat)):
                level.append(len(columns))
                columns.append((1,) * height)

        flat()
        for hill in range(choose(rng, self.hills)):
            for falls in (False, True) if hill % 2 == 0 or height == 0 else (True, False):
                goal = choose(rng, self.rise)
                goal = min(goal, height) if falls else min(goal, 16 - height)
                climbed = 0
                while climbed < goal:
                    kind = self.kinds[choose(rng, (0, len(self.kinds) - 1))]
                    stacks, rise = _RISES[kind]
                    if climbed + rise > goal or len(columns) > 34:
                        stacks, rise = _RISES["step"]
                    base = height - rise if falls else height
                    for stack in stacks[::-1] if falls else stacks:
                        tiles = tuple(_FALLING[tile] for tile in stack) if falls else stack
                        columns.append((1,) * base + tiles)
                    height += -rise if falls else rise
                    climbed += rise
                if len(columns) < 38:
                    flat()
        level.append(len(columns))
        columns.append((1,) * height)
        return columns[:42], [column for column in level if column < 42]
