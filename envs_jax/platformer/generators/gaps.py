"""Families of gaps: what can only be crossed by jumping."""

import dataclasses

import numpy as np

from envs_jax.platformer.generators.draft import Draft, Range, choose
from envs_jax.platformer.maps import Map

__all__ = ["Islands", "JumpPlatforms", "JumpRequired"]


@dataclasses.dataclass(frozen=True)
class JumpRequired:
    """A chamber with a pit in its middle; the switch hangs in the air above the pit.

    Attributes:
        width, height: of the chamber, without the pit.
        pit_width, pit_depth: of the pit.
        lift: rows by which the switch is above the ledges' ground.
        is_mined: whether the pit's floor is mined.
        ledge_mines: on each ledge.
        toggle_share: of the mines on ledges, those that start harmless.
    """

    width: Range
    height: Range
    pit_width: Range
    pit_depth: Range
    lift: Range = (0, 2)
    is_mined: bool = False
    ledge_mines: Range = (0, 0)
    toggle_share: float = 0.0

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        width, height = choose(rng, self.width), choose(rng, self.height)
        pit, depth = choose(rng, self.pit_width), choose(rng, self.pit_depth)
        draft = Draft(width, height + depth)
        draft.carve(0, 0, width, height)
        left = choose(rng, (min(4, width - pit - 2), max(width - pit - 4, 2)))
        left = min(max(left, 2), width - pit - 2)
        draft.carve(left, height, pit, depth)
        if self.is_mined:
            for column in range(left, left + pit):
                draft.floor_mine(column, height + depth - 1)
        ground = height - 1
        for ledge in (range(2, left - 1), range(left + pit + 1, width - 2)):
            for index in rng.permutation(len(ledge))[: choose(rng, self.ledge_mines)]:
                toggles = bool(rng.random() < self.toggle_share)
                draft.floor_mine(ledge[index], ground, toggles=toggles)
        draft.ninja(0, ground)
        draft.switch(left + (pit - 1) / 2, max(ground - choose(rng, self.lift), 0))
        draft.exit(width - 1, ground)
        return draft.finish(rng)


def _mine_floor(draft: Draft, floor: int, spacing: int) -> None:
    """Mines on the free floor, every `spacing` tiles, but none where something else would be."""
    for column in range(0, draft.width, spacing):
        if draft.is_free(column, floor):
            draft.floor_mine(column, floor)


@dataclasses.dataclass(frozen=True)
class Islands:
    """Blocks in a wide space, each within a jump of one before it; ninja, switch and exit on them.

    Attributes:
        width, height: of the space.
        islands: how many that can be reached, the first included.
        block: width of each.
        gap: from one to the next, in tiles.
        climb: rows by which the next is at most higher.
        sink: rows by which the next is at most lower.
        more: blocks put anywhere.
        mine_spacing: tiles between mines on the floor of the space; no mines if 0.
    """

    width: Range
    height: Range
    islands: Range
    block: Range = (1, 4)
    gap: Range = (1, 4)
    climb: int = 2
    sink: int = 3
    more: Range = (0, 4)
    mine_spacing: int = 0

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        draft = Draft(choose(rng, self.width), choose(rng, self.height))
        draft.carve(0, 0, draft.width, draft.height)
        islands = self._chain(draft, rng)
        for left, row, wide in islands:
            draft.fill(left, row, wide, 1)
        for _ in range(choose(rng, self.more)):
            column = choose(rng, (1, draft.width - 2))
            row = choose(rng, (3, draft.height - 3))
            if draft.tiles[row - 3 : row + 1, column - 1 : column + 2].sum() == 0:
                draft.fill(column, row, 1, 1)
        if self.mine_spacing:
            _mine_floor(draft, draft.height - 1, self.mine_spacing)
        tops = [(left + choose(rng, (0, wide - 1)), row - 1) for left, row, wide in islands]
        draft.ninja(*tops[0])
        draft.exit(*tops[-1])
        draft.switch(*tops[choose(rng, (1, max(len(tops) - 2, 1)))])
        return draft.finish(rng)

    def _chain(self, draft: Draft, rng: np.random.Generator) -> list[tuple[int, int, int]]:
        """Left end, row and width of islands from left to right."""
        wide = choose(rng, (max(self.block[0], 2), max(self.block[1], 2)))
        chain = [(choose(rng, (0, 2)), choose(rng, (4, draft.height - 3)), wide)]
        for _ in range(choose(rng, self.islands) - 1):
            left, row, wide = chain[-1]
            left += wide + choose(rng, self.gap)
            wide = choose(rng, self.block)
            if left + wide > draft.width:
                break
            row += choose(rng, (-self.climb, self.sink))
            chain.append((left, min(max(row, 3), draft.height - 3), wide))
        return chain


@dataclasses.dataclass(frozen=True)
class JumpPlatforms:
    """Pillars with wide gaps over a mined floor: each gap needs a run-up.

    Attributes:
        width, height: of the space.
        gap: between pillars.
        platform: width of a pillar.
        climb: rows by which a pillar differs at most from the one before it.
        mine_spacing: tiles between mines on the floor; no mines if 0.
        back: probability that the exit is before the switch.
    """

    width: Range
    height: Range
    gap: Range
    platform: Range = (2, 5)
    climb: int = 1
    mine_spacing: int = 1
    back: float = 0.2

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        draft = Draft(choose(rng, self.width), choose(rng, self.height))
        draft.carve(0, 0, draft.width, draft.height)
        left, row = 0, choose(rng, (draft.height // 2, draft.height - 3))
        pillars = list[tuple[int, int, int]]()
        while left < draft.width:
            wide = min(choose(rng, self.platform), draft.width - left)
            draft.fill(left, row, wide, draft.height - row)
            pillars.append((left, row, wide))
            left += wide + choose(rng, self.gap)
            row += choose(rng, (-self.climb, self.climb))
            row = min(max(row, 5), draft.height - 3)
        if self.mine_spacing:
            _mine_floor(draft, draft.height - 1, self.mine_spacing)
        draft.ninja(0, pillars[0][1] - 1)
        tops = [(left + choose(rng, (0, wide - 1)), row - 1) for left, row, wide in pillars[1:]]
        if not tops:
            tops = [(pillars[0][2] - 1, pillars[0][1] - 1)]
        between, end = tops[choose(rng, (0, len(tops) - 1))], tops[-1]
        is_back = rng.random() < self.back
        draft.switch(*(end if is_back else between))
        draft.exit(*(between if is_back else end))
        return draft.finish(rng)
