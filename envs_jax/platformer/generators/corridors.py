"""Families of corridors: one that lies, one that stands, and several that zig-zag."""

import dataclasses

import numpy as np

from envs_jax.platformer.generators.draft import ROWS, Draft, Range, choose
from envs_jax.platformer.generators.furnish import furnish
from envs_jax.platformer.maps import Map

__all__ = ["Corridors", "HorizontalCorridor", "VerticalCorridor"]


@dataclasses.dataclass(frozen=True)
class HorizontalCorridor:
    """From one end to the other over the switch, or to the switch at the end and half back.

    Attributes:
        length, height: of the corridor.
        blocks: on the floor.
        mines: on the floor, or (as many again, in corridors of height 4 and more) under the
            ceiling.
        toggle_share: of the mines, those that start harmless.
        back: probability that the switch is at the end and the exit before it.
    """

    length: Range
    height: Range
    blocks: Range = (0, 0)
    mines: Range = (0, 0)
    toggle_share: float = 0.0
    back: float = 0.0

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        length, height = choose(rng, self.length), choose(rng, self.height)
        draft = Draft(length, height)
        draft.carve(0, 0, length, height)
        mines = choose(rng, self.mines)
        furnish(
            draft,
            rng,
            range(2, length - 2),
            height - 1,
            blocks=choose(rng, self.blocks) if height >= 3 else 0,
            mines=mines if height >= 3 else 0,
            block_height=(1, 1) if height < 4 else (1, 2),
            toggle_share=self.toggle_share,
        )
        if height >= 4:
            for column in rng.permutation(length)[:mines]:
                draft.mine(int(column), -0.25, toggles=bool(rng.random() < self.toggle_share))
        between = choose(rng, (1, max(length - 2, 1)))
        draft.ninja(0, height - 1)
        middle, end = (between, draft.floor_below(between, 0)), (length - 1, height - 1)
        is_back = rng.random() < self.back
        draft.switch(*(end if is_back else middle))
        draft.exit(*(middle if is_back else end))
        return draft.finish(rng)


@dataclasses.dataclass(frozen=True)
class VerticalCorridor:
    """A shaft between its bottom and its top, up or down, over ledges or along the bare walls.

    Attributes:
        width, height: of the shaft.
        ledge_gap: rows from one ledge to the next, which is on the other side; none if 0.
        ledge_width: of a ledge, at most the shaft's width less 2.
        wall_mines: on the walls.
        floating_mines: in the middle, apart from each other.
        toggle_share: of the mines, those that start harmless.
        down: probability that the way is down; else it is up.
    """

    width: Range
    height: Range
    ledge_gap: Range = (0, 0)
    ledge_width: Range = (1, 2)
    wall_mines: Range = (0, 0)
    floating_mines: Range = (0, 0)
    toggle_share: float = 0.0
    down: float = 0.3

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        width, height = choose(rng, self.width), choose(rng, self.height)
        draft = Draft(width, height)
        draft.carve(0, 0, width, height)
        top_ledge = min(2, height - 1)
        draft.fill(width - 1, top_ledge, 1, 1)  # what one stands on at the top
        ledges = self._ledges(draft, rng)
        self._mines(draft, rng)
        top, bottom = (width - 1, top_ledge - 1), (0, height - 1)
        start, end = (top, bottom) if rng.random() < self.down else (bottom, top)
        draft.ninja(*start)
        draft.exit(*end)
        others = [(column, row - 1) for column, row in ledges] + [end, (width // 2, height - 1)]
        draft.switch(*others[choose(rng, (0, len(others) - 1))])
        return draft.finish(rng)

    def _ledges(self, draft: Draft, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Build ledges from the bottom up, left and right in turn; a tile of each."""
        ledges = list[tuple[int, int]]()
        widest = draft.width - 2
        if self.ledge_gap[0] < 1 or widest < 1:
            return ledges
        is_left = bool(rng.random() < 0.5)
        row = draft.height - 1 - choose(rng, self.ledge_gap)
        while row >= 4:
            wide = min(choose(rng, self.ledge_width), widest)
            column = 0 if is_left else draft.width - wide
            draft.fill(column, row, wide, 1)
            ledges.append((column if is_left else draft.width - 1, row))
            is_left = not is_left
            row -= choose(rng, self.ledge_gap)
        return ledges

    def _mines(self, draft: Draft, rng: np.random.Generator) -> None:
        """Mines between the lowest and the highest rows, none in a ledge."""
        rows = range(4, draft.height - 3)
        if len(rows) == 0:
            return
        sides = [(side, row) for row in rows[::2] for side in (0, draft.width - 1)]
        inner = [(column, row) for row in rows[::3] for column in range(2, draft.width - 2, 3)]
        for places, bounds in ((sides, self.wall_mines), (inner, self.floating_mines)):
            count = choose(rng, bounds)
            for index in rng.permutation(len(places))[:count]:
                column, row = places[index]
                if draft.is_free(column, row) and draft.is_free(column, row + 1):
                    draft.mine(column, row, toggles=bool(rng.random() < self.toggle_share))


@dataclasses.dataclass(frozen=True)
class Corridors:
    """Corridors above each other, each linked with the next by a shaft at alternate ends.

    Attributes:
        count: of corridors; fewer if they do not fit.
        length, height: of a corridor.
        rock: between two corridors.
        shaft: width of a link.
        blocks, mines: in each corridor.
        toggle_share: of the mines, those that start harmless.
        up: probability that the way leads up.
    """

    count: Range
    length: Range
    height: Range
    rock: Range = (1, 2)
    shaft: Range = (2, 3)
    blocks: Range = (0, 0)
    mines: Range = (0, 0)
    toggle_share: float = 0.0
    up: float = 0.3

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        count, length = choose(rng, self.count), choose(rng, self.length)
        heights = [choose(rng, self.height) for _ in range(count)]
        rocks = [choose(rng, self.rock) for _ in range(count)]
        while sum(heights) + sum(rocks[:-1]) > ROWS:
            del heights[-1], rocks[-1]
        count, rocks[-1] = len(heights), 0
        draft = Draft(length, sum(heights) + sum(rocks))
        ends, row = list[tuple[int, int]](), 0
        for level, (height, rock) in enumerate(zip(heights, rocks, strict=True)):
            wide = choose(rng, self.shaft)
            draft.carve(0, row, length, height)
            at_right = level % 2 == 0
            furnish(
                draft,
                rng,
                range(wide + 2, length - wide - 2),
                row + height - 1,
                blocks=choose(rng, self.blocks) if height >= 3 else 0,
                mines=choose(rng, self.mines) if height >= 3 else 0,
                block_height=(1, 1),
                toggle_share=self.toggle_share,
            )
            if rock:
                draft.carve(length - wide if at_right else 0, row + height, wide, rock)
            ends.append((0 if at_right else length - 1, row + height - 1))
            row += height + rock
        last = (length - 1 - ends[-1][0], ends[-1][1])
        start, end = (last, ends[0]) if rng.random() < self.up else (ends[0], last)
        draft.ninja(*start)
        draft.exit(*end)
        draft.switch(choose(rng, (0, length - 1)), ends[choose(rng, (0, count - 1))][1])
        return draft.finish(rng)
