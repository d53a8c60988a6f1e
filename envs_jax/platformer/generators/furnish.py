"""What stands on the floor of a room: blocks, pits and mines."""

import numpy as np

from envs_jax.platformer.generators.draft import Draft, Range, choose

__all__ = ["furnish"]


def furnish(
    draft: Draft,
    rng: np.random.Generator,
    columns: range,
    floor: int,
    *,
    blocks: int = 0,
    pits: int = 0,
    mines: int = 0,
    block_height: Range = (1, 2),
    pit_depth: Range = (1, 3),
    toggle_share: float = 0.0,
) -> None:
    """Put blocks on, pits in and mines on the floor of a room, in columns apart from each other.

    Args:
        draft: where the room has been carved; must reach below the floor as deep as pits are.
        rng: draws everything.
        columns: where something may be put.
        floor: the room's lowest free row.
        blocks: how many blocks (1-2 wide) at most: what finds no room is left out.
        pits: how many pits (2-3 wide) at most.
        mines: how many mines at most.
        block_height: of a block.
        pit_depth: of a pit.
        toggle_share: of the mines, those that start harmless.
    """
    taken = set[int]()

    def place(width: int, margin: int) -> int | None:
        free = [
            column
            for column in columns[: len(columns) - width + 1]
            if taken.isdisjoint(range(column - margin, column + width + margin))
        ]
        if not free:
            return None
        column = int(rng.choice(free))
        taken.update(range(column, column + width))
        return column

    for _ in range(pits):
        width, depth = choose(rng, (2, 3)), choose(rng, pit_depth)
        depth = min(depth, draft.height - 1 - floor)
        if depth > 0 and (column := place(width, 2)) is not None:
            draft.carve(column, floor + 1, width, depth)
    for _ in range(blocks):
        width, height = choose(rng, (1, 2)), choose(rng, block_height)
        if (column := place(width, 2)) is not None:
            draft.fill(column, floor - height + 1, width, height)
    for _ in range(mines):
        if (column := place(1, 1)) is not None:
            draft.floor_mine(column, floor, toggles=bool(rng.random() < toggle_share))
