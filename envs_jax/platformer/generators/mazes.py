"""Families of mazes: one of walls, one of mines."""

import dataclasses

import numpy as np

from envs_jax.platformer.generators.draft import COLUMNS, ROWS, Draft, Range, choose
from envs_jax.platformer.maps import Map

__all__ = ["Maze", "MineMaze"]

_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))


@dataclasses.dataclass(frozen=True)
class Maze:
    """Square cells, linked by a depth-first walk over all of them; walls are one tile thick.

    Attributes:
        columns, rows: of cells; fewer if cells are so large that they do not fit.
        cell: sides of a cell, in tiles.
        loops: share of the remaining walls between cells that are opened as well.
        mines: on floors of cells of at least 2 tiles.
        toggle_share: of the mines, those that start harmless.
        locked: passages that are closed by a locked door.
    """

    columns: Range
    rows: Range
    cell: Range = (1, 1)
    loops: float = 0.0
    mines: Range = (0, 0)
    toggle_share: float = 0.0
    locked: Range = (0, 0)

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        size = choose(rng, self.cell)
        pitch = size + 1
        columns = min(choose(rng, self.columns), (COLUMNS + 1) // pitch)
        rows = min(choose(rng, self.rows), (ROWS + 1) // pitch)
        links = _tree(rng, columns, rows)
        draft = Draft(columns * pitch - 1, rows * pitch - 1)
        for column in range(columns):
            for row in range(rows):
                draft.carve(column * pitch, row * pitch, size, size)
        for column in range(columns):  # walls to the right and below
            for row in range(rows):
                for dx, dy in ((1, 0), (0, 1)):
                    wall = (column, row, dx, dy)
                    within = column + dx < columns and row + dy < rows
                    if wall in links or (within and rng.random() < self.loops):
                        left, top = (column + dx) * pitch - dx, (row + dy) * pitch - dy
                        draft.carve(left, top, 1 if dx else size, 1 if dy else size)
        corner = (choose(rng, (0, 1)) * (rows - 1), 0)
        steps = _steps(links, (corner[1], corner[0]))
        self._place(draft, rng, steps, pitch)
        return draft.finish(rng)

    def _place(
        self,
        draft: Draft,
        rng: np.random.Generator,
        steps: dict[tuple[int, int], int],
        pitch: int,
    ) -> None:
        """Ninja in its corner, switch and exit far from it, and in between what hinders."""
        cells = sorted(steps, key=lambda cell: steps[cell])

        def floor(cell: tuple[int, int]) -> tuple[int, int]:
            column, row = cell[0] * pitch + choose(rng, (0, pitch - 2)), cell[1] * pitch
            return column, draft.floor_below(column, row) if pitch > 2 else row

        draft.ninja(*floor(cells[0]))
        far = cells[max(len(cells) // 3, 1) :]
        picks = rng.permutation(len(far))[:2]
        draft.switch(*floor(far[picks[0]]))
        draft.exit(*floor(far[picks[-1]]))
        for index in rng.permutation(len(cells))[: choose(rng, self.mines)]:
            column, row = floor(cells[index])
            if pitch > 2:
                draft.floor_mine(column, row, toggles=bool(rng.random() < self.toggle_share))
        if pitch == 2:  # a door is as high as one tile
            near = [cell for cell in cells[1:] if draft.is_free(cell[0] * 2 - 1, cell[1] * 2)]
            for index in rng.permutation(len(near))[: choose(rng, self.locked)]:
                column, row = near[index]
                behind = steps[near[index]]
                before = [cell for cell in cells if 0 < steps[cell] < behind]
                if before:
                    switch = before[choose(rng, (0, len(before) - 1))]
                    draft.locked_door(column * 2, row * 2, (switch[0] * 2, switch[1] * 2))


def _tree(rng: np.random.Generator, columns: int, rows: int) -> set[tuple[int, int, int, int]]:
    """Open walls of a maze that links all cells: column, row, and right (1, 0) or below (0, 1)."""
    links = set[tuple[int, int, int, int]]()
    visited, trail = {(0, 0)}, [(0, 0)]
    while trail:
        column, row = trail[-1]
        ways = [
            (dx, dy)
            for dx, dy in _SIDES
            if 0 <= column + dx < columns
            and 0 <= row + dy < rows
            and (column + dx, row + dy) not in visited
        ]
        if not ways:
            trail.pop()
            continue
        dx, dy = ways[choose(rng, (0, len(ways) - 1))]
        links.add((column + min(dx, 0), row + min(dy, 0), abs(dx), abs(dy)))
        trail.append((column + dx, row + dy))
        visited.add(trail[-1])
    return links


def _steps(
    links: set[tuple[int, int, int, int]], start: tuple[int, int]
) -> dict[tuple[int, int], int]:
    """How many cells each cell is away from `start`, in a maze without loops."""
    steps, queue = {start: 0}, [start]
    for column, row in queue:
        for dx, dy in _SIDES:
            cell = (column + dx, row + dy)
            wall = (column + min(dx, 0), row + min(dy, 0), abs(dx), abs(dy))
            if wall in links and cell not in steps:
                steps[cell] = steps[column, row] + 1
                queue.append(cell)
    return steps


@dataclasses.dataclass(frozen=True)
class MineMaze:
    """A corridor with columns of mines from floor and ceiling, each with a gap to go through.

    Attributes:
        length, height: of the corridor.
        spacing: columns from one column of mines to the next.
        gap: mines that are missing in a column (2 mines with one missing are 48 px apart).
        mines: at most in a column, in which case it does not reach the ceiling.
        toggle_share: of the mines, those that start harmless.
        back: probability that the exit is back at the start.
    """

    length: Range
    height: Range
    spacing: Range = (3, 6)
    gap: Range = (2, 3)
    mines: Range = (2, 12)
    toggle_share: float = 0.5
    back: float = 0.2

    def build(self, rng: np.random.Generator) -> Map:
        """Draw one."""
        length, height = choose(rng, self.length), choose(rng, self.height)
        draft = Draft(length, height)
        draft.carve(0, 0, length, height)
        column = choose(rng, (3, 4))
        while column < length - 3:
            self._column(draft, rng, column, height)
            column += choose(rng, self.spacing)
        far, near = (length - 1, height - 1), (1, height - 1)
        middle = (choose(rng, (length // 3, length - 2)), height - 1)
        draft.ninja(0, height - 1)
        if rng.random() < self.back:
            draft.switch(*far)
            draft.exit(*near)
        else:
            draft.switch(*middle)
            draft.exit(*far)
        return draft.finish(rng)

    def _column(self, draft: Draft, rng: np.random.Generator, column: int, height: int) -> None:
        gap = min(choose(rng, self.gap), height - 1)
        # Mines below the gap are no more than can be jumped over.
        below = choose(rng, (0, min(2, height - gap)))
        rows = [*range(below), *range(below + gap, height)][: choose(rng, self.mines)]
        for row in rows:
            draft.mine(column, height - 1 - row, toggles=bool(rng.random() < self.toggle_share))
