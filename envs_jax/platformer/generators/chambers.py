"""Families of rooms: one chamber, and several in a row that are linked by doorways."""

import dataclasses

import numpy as np

from envs_jax.platformer.generators.draft import Draft, Range, choose
from envs_jax.platformer.generators.furnish import furnish
from envs_jax.platformer.maps import Map

__all__ = ["MultiChamber", "SingleChamber"]


@dataclasses.dataclass(frozen=True)
class SingleChamber:
    """One room; the switch lies at its far end or in between, the exit beyond it or back.

    Attributes:
        width, height: of the room.
        blocks: standing on the floor.
        block_height: of each.
        pits: in the floor.
        pit_depth: of each.
        hanging: blocks that hang from the ceiling.
        mines: on the floor.
        toggle_share: of the mines, those that start harmless.
        lift: of the switch above the ground.
        locked: probability that the exit is in a closet behind a locked door.
        back: probability that the exit is not beyond the switch.
    """

    width: Range
    height: Range
    blocks: Range = (0, 0)
    block_height: Range = (1, 2)
    pits: Range = (0, 0)
    pit_depth: Range = (1, 3)
    hanging: Range = (0, 0)
    mines: Range = (0, 0)
    toggle_share: float = 0.0
    lift: Range = (0, 0)
    locked: float = 0.0
    back: float = 0.0

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        width, height = choose(rng, self.width), choose(rng, self.height)
        is_locked = rng.random() < self.locked
        depth = self.pit_depth[1] if self.pits[1] else 0
        closet = 3 if is_locked else 0  # a wall and two tiles
        draft = Draft(width + closet, height + depth)
        draft.carve(0, 0, width, height)
        floor = height - 1
        furnish(
            draft,
            rng,
            range(2, width - 2),
            floor,
            blocks=choose(rng, self.blocks),
            pits=choose(rng, self.pits),
            mines=choose(rng, self.mines),
            block_height=self.block_height,
            pit_depth=self.pit_depth,
            toggle_share=self.toggle_share,
        )
        for _ in range(choose(rng, self.hanging)):
            if height >= 4 and width >= 6:
                column, length = choose(rng, (2, width - 3)), choose(rng, (1, height - 3))
                draft.fill(column, 0, 1, length)
        self._place(draft, rng, width, floor, is_locked)
        return draft.finish(rng)

    def _place(
        self, draft: Draft, rng: np.random.Generator, width: int, floor: int, is_locked: bool
    ) -> None:
        far = width - 1
        between = choose(rng, (1, max(far - 1, 1)))
        draft.ninja(0, floor)
        lift = choose(rng, self.lift)

        def above_ground(column: int) -> tuple[int, int]:
            ground = draft.floor_below(column, 0)
            return column, max(ground - lift, 0)

        if is_locked:
            draft.carve(width, floor, 3, 1)
            draft.exit(width + 2, floor)
            draft.switch(*above_ground(far))
            draft.locked_door(width, floor, above_ground(between))
        elif rng.random() < self.back:
            draft.switch(*above_ground(far))
            draft.exit(*above_ground(between)[:1], draft.floor_below(between, 0))
        else:
            draft.switch(*above_ground(between))
            draft.exit(far, floor)


@dataclasses.dataclass(frozen=True)
class MultiChamber:
    """Rooms side by side, with floors of different heights and a doorway from each to the next.

    Attributes:
        rooms: how many.
        room_width, room_height: of each.
        height: of the whole; floors lie anywhere within it.
        doorway: height of a doorway.
        blocks, pits, mines: in each room.
        toggle_share: of the mines, those that start harmless.
        locked: doorways that are closed by a locked door, whose switch is in a room before it.
    """

    rooms: Range
    room_width: Range
    room_height: Range
    height: Range
    doorway: Range = (1, 3)
    blocks: Range = (0, 0)
    pits: Range = (0, 0)
    mines: Range = (0, 0)
    toggle_share: float = 0.0
    locked: Range = (0, 0)

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        count = choose(rng, self.rooms)
        height = choose(rng, self.height)
        widths = [choose(rng, self.room_width) for _ in range(count)]
        draft = Draft(sum(widths) + count - 1, height + 3)
        lefts = [sum(widths[:room]) + room for room in range(count)]
        floors, tops = self._rooms(rng, count, height)
        for left, width, floor, top in zip(lefts, widths, floors, tops, strict=True):
            draft.carve(left, top, width, floor - top + 1)
            furnish(
                draft,
                rng,
                range(left + 2, left + width - 2),
                floor,
                blocks=choose(rng, self.blocks),
                pits=choose(rng, self.pits),
                mines=choose(rng, self.mines),
                toggle_share=self.toggle_share,
            )

        def somewhere(room: int) -> tuple[int, int]:
            column = lefts[room] + choose(rng, (0, widths[room] - 1))
            return column, draft.floor_below(column, tops[room])

        locked = rng.permutation(count - 1)[: choose(rng, self.locked)]
        for room in range(1, count):
            is_locked = room - 1 in locked
            tall = 1 if is_locked else choose(rng, self.doorway)
            sill = min(floors[room - 1], floors[room])
            lintel = max(sill - tall + 1, tops[room - 1], tops[room])
            draft.carve(lefts[room] - 1, lintel, 1, sill - lintel + 1)
            if is_locked:
                draft.locked_door(lefts[room], sill, somewhere(choose(rng, (0, room - 1))))
        draft.ninja(0, draft.floor_below(0, tops[0]))
        draft.switch(*somewhere(choose(rng, (1, count - 1))))
        draft.exit(*somewhere(choose(rng, (0, count - 1))))
        return draft.finish(rng)

    def _rooms(
        self, rng: np.random.Generator, count: int, height: int
    ) -> tuple[list[int], list[int]]:
        """Floors and tops of the rooms; neighbours overlap enough for a doorway."""
        floors, tops = list[int](), list[int]()
        for room in range(count):
            tall = min(choose(rng, self.room_height), height)
            floor = choose(rng, (tall - 1, height - 1))
            if room:  # no higher a step than a jump, no deeper a fall than one survives
                floor = min(max(floor, floors[-1] - 3, tops[-1] + 2), floors[-1] + 5, height - 1)
            floors.append(floor)
            top = max(floor - tall + 1, 0)
            tops.append(min(top, floors[-2] - 1) if room else top)
        return floors, tops
