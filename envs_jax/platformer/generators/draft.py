"""A level under construction: solid rock, out of which a family carves and into which it places.

Lengths and coordinates are in tiles of 24 px, from the top left corner of the draft; a draft is as
large as its family asks and is put somewhere in the playfield when it is finished.
"""

import numpy as np

from envs_jax.platformer.maps import COLUMNS, ROWS, Entity, Map

__all__ = ["COLUMNS", "ROWS", "Draft", "Range", "choose", "is_sound", "mirrored"]

Range = tuple[int, int]  # smallest and largest, both included

_MINE, _TOGGLE_MINE, _EXIT, _LOCKED_DOOR = 1, 21, 3, 6
_UNITS = 4  # of 6 px, in which entities are placed, per tile
_CLEARANCE = 5  # of these, between a mine and whatever has to be reached


def choose(rng: np.random.Generator, bounds: Range) -> int:
    """A whole number within `bounds`, each as likely."""
    return int(rng.integers(bounds[0], bounds[1] + 1))


class Draft:
    """Rock of `width` x `height` tiles; what is put in it is given by the tile's column and row.

    Entities sit in the middle of their tile, or beside it by fractions that are multiples of 1/4.
    """

    def __init__(self, width: int, height: int) -> None:
        if not (1 <= width <= COLUMNS and 1 <= height <= ROWS):
            raise ValueError(
                f"a level of {width} x {height} tiles: expected at most {COLUMNS} x {ROWS}"
            )
        self.width, self.height = width, height
        self.tiles = np.ones((height, width), np.uint8)
        self._ninja: tuple[float, float] | None = None
        self._exit: tuple[float, float] | None = None
        self._switch: tuple[float, float] | None = None
        self._mines: list[tuple[float, float, bool]] = []
        self._doors: list[tuple[int, int, tuple[float, float]]] = []

    def carve(self, left: int, top: int, width: int, height: int) -> None:
        """Empty a rectangle."""
        self.fill(left, top, width, height, 0)

    def fill(self, left: int, top: int, width: int, height: int, tile: int = 1) -> None:
        """Fill a rectangle with one kind of tile."""
        self.tiles[top : top + height, left : left + width] = tile

    def ninja(self, column: float, row: float) -> None:
        """Where the ninja starts."""
        self._ninja = (column, row)

    def exit(self, column: float, row: float) -> None:
        """Where the exit door is."""
        self._exit = (column, row)

    def switch(self, column: float, row: float) -> None:
        """Where the exit's switch is."""
        self._switch = (column, row)

    def mine(self, column: float, row: float, *, toggles: bool = False) -> None:
        """A mine: deadly from the start, or (if it toggles) after the first touch."""
        self._mines.append((column, row, toggles))

    def locked_door(self, column: int, row: int, switch: tuple[float, float]) -> None:
        """A door on the left side of a tile, closed until the switch at `switch` is touched."""
        self._doors.append((column, row, switch))

    def floor_mine(self, column: float, row: float, *, toggles: bool = False) -> None:
        """A mine that lies low in its tile, on the floor beneath."""
        self.mine(column, row + 0.25, toggles=toggles)

    def is_free(self, column: int, row: int) -> bool:
        """Whether this tile is empty."""
        inside = 0 <= column < self.width and 0 <= row < self.height
        return inside and self.tiles[row, column] == 0

    def floor_below(self, column: int, row: int) -> int:
        """The lowest row that is reached by falling straight from a free tile."""
        while self.is_free(column, row + 1):
            row += 1
        return row

    def finish(self, rng: np.random.Generator) -> Map:
        """The level: the draft somewhere in the playfield, in half of the cases mirrored."""
        if self._ninja is None or self._exit is None or self._switch is None:
            raise ValueError("a level without ninja, switch or exit: expected one of each")
        left = choose(rng, (0, COLUMNS - self.width))
        top = choose(rng, (0, ROWS - self.height))
        tiles = np.ones((ROWS, COLUMNS), np.uint8)
        tiles[top : top + self.height, left : left + self.width] = self.tiles

        def units(place: tuple[float, float], half: float = 0.5) -> tuple[int, int]:
            column, row = place[0] + left + 1 + half, place[1] + top + 1 + 0.5  # 1 for the frame
            return round(_UNITS * column), round(_UNITS * row)

        entities = [Entity(_EXIT, *units(self._exit), switch=units(self._switch))]
        for column, row, toggles in self._mines:
            kind = _TOGGLE_MINE if toggles else _MINE
            entities.append(Entity(kind, *units((column, row))))
        for door_column, door_row, switch in self._doors:
            place = units((door_column, door_row), half=0.0)
            entities.append(Entity(_LOCKED_DOOR, *place, switch=units(switch)))
        level = Map(tiles=tiles, ninja=units(self._ninja), entities=tuple(entities))
        return mirrored(level) if rng.random() < 0.5 else level


# Tile ids in the mirror: halves are in the order top, right, bottom, left, and every further group
# of four in the order top left, top right, bottom right, bottom left.
_MIRROR = np.array(
    [0, 1, 2, 5, 4, 3] + [base + k for base in range(6, 34, 4) for k in (1, 0, 3, 2)], np.uint8
)


def mirrored(level: Map) -> Map:
    """The level with left and right exchanged."""
    width = _UNITS * (COLUMNS + 2)

    def flip(entity: Entity) -> Entity:
        switch = entity.switch and (width - entity.switch[0], entity.switch[1])
        return Entity(
            entity.type, width - entity.x, entity.y, entity.orientation, entity.mode, switch
        )

    return Map(
        tiles=_MIRROR[level.tiles[:, ::-1]],
        ninja=(width - level.ninja[0], level.ninja[1]),
        facing=-level.facing,
        entities=tuple(flip(entity) for entity in level.entities),
    )


def is_sound(level: Map) -> bool:
    """Whether a level is worth trying to solve.

    Ninja, switch and exit are in empty tiles of their own, linked through such tiles, and no mine
    is close to them. Partly solid tiles count as links: one can walk over slopes. Doors count as
    open.
    """
    passable = level.tiles != 1
    places, mines = [level.ninja], list[tuple[int, int]]()
    for entity in level.entities:
        if entity.switch is not None:
            places.append(entity.switch)
        if entity.type == _EXIT:
            places.append((entity.x, entity.y))
        if entity.type in (_MINE, _TOGGLE_MINE):
            mines.append((entity.x, entity.y))
    cells = [(y // _UNITS - 1, x // _UNITS - 1) for x, y in places]
    if len(set(cells)) < len(cells):
        return False
    if any(not (0 <= r < ROWS and 0 <= c < COLUMNS) or level.tiles[r, c] for r, c in cells):
        return False
    if any(np.hypot(x - mx, y - my) < _CLEARANCE for x, y in places for mx, my in mines):
        return False
    reached = np.zeros_like(passable)
    reached[cells[0]] = True
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= passable
        if (grown == reached).all():
            return all(reached[cell] for cell in cells)
        reached = grown
