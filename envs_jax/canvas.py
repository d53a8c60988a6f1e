"""A small rasteriser in numpy: antialiased discs, thick lines and polygons on uint8 pixels."""

from collections.abc import Sequence

import numpy as np

Colour = tuple[int, int, int]
Point = Sequence[float] | np.ndarray

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (20, 20, 20)
GREY: Colour = (170, 170, 170)
RED: Colour = (200, 60, 50)
GREEN: Colour = (60, 160, 80)
BLUE: Colour = (50, 100, 180)
BROWN: Colour = (200, 150, 100)


class Canvas:
    """An image addressed in world units, x to the right and y up.

    The image is `pixels`, uint8 ``[H, W, 3]``. Its pixels are square, so that the height follows;
    it is even, as video encoders want it.

    Args:
        x_range: world coordinates of the left and the right edge.
        y_range: of the lower and the upper edge.
        width: of the image, in pixels.
        background: its colour.
    """

    def __init__(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        width: int = 400,
        background: Colour = WHITE,
    ) -> None:
        self._scale = width / (x_range[1] - x_range[0])
        self._origin = np.array([x_range[0], y_range[1]])
        height = max(2, 2 * round((y_range[1] - y_range[0]) * self._scale / 2))
        self.pixels = np.full((height, width, 3), background, np.uint8)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a disc; `centre` and `radius` in world units."""
        self.line(centre, centre, 2 * radius, colour)

    def line(self, start: Point, end: Point, thickness: float, colour: Colour) -> None:
        """Draw a line with round ends; all lengths in world units."""
        ends = self._to_pixels([start, end])
        radius = thickness * self._scale / 2
        rows, columns = self._window(ends, radius + 1)
        (x, y), (along_x, along_y) = ends[0], ends[1] - ends[0]
        dx, dy = columns + 0.5 - x, rows + 0.5 - y
        share = (dx * along_x + dy * along_y) / max(along_x**2 + along_y**2, 1e-9)
        share = np.clip(share, 0.0, 1.0)
        distance = np.hypot(dx - share * along_x, dy - share * along_y)
        self._blend(rows, columns, radius - distance, colour)

    def polygon(self, corners: Sequence[Point], colour: Colour) -> None:
        """Fill a convex polygon, its corners in world units and in either order."""
        starts = self._to_pixels(corners)
        rows, columns = self._window(starts, 1.0)
        sides = np.roll(starts, -1, axis=0) - starts
        # Twice the signed area tells on which side of its edges the polygon lies.
        turn = np.sign(np.sum(starts[:, 0] * sides[:, 1] - starts[:, 1] * sides[:, 0]))
        inward = turn * sides[:, ::-1] * (-1, 1) / np.hypot(*sides.T)[:, None].clip(1e-9)
        depths = [
            (columns + 0.5 - x) * normal_x + (rows + 0.5 - y) * normal_y
            for (x, y), (normal_x, normal_y) in zip(starts, inward, strict=True)
        ]
        self._blend(rows, columns, np.minimum.reduce(depths), colour)

    def _to_pixels(self, points: Sequence[Point]) -> np.ndarray:
        pixels: np.ndarray = (np.asarray(points, float) - self._origin) * self._scale
        return pixels * (1.0, -1.0)

    def _window(self, points: np.ndarray, margin: float) -> tuple[np.ndarray, ...]:
        """Rows ``[h, 1]`` and columns ``[1, w]`` of the pixels within `margin` of the points."""
        (x_low, y_low), (x_high, y_high) = points.min(0) - margin, points.max(0) + margin
        height, width, _ = self.pixels.shape
        spans = ((y_low, y_high, height), (x_low, x_high, width))
        inside = [np.clip((low, high + 1), 0, size).astype(int) for low, high, size in spans]
        return np.ogrid[slice(*inside[0]), slice(*inside[1])]

    def _blend(
        self, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray, colour: Colour
    ) -> None:
        """Paint where `depth`, pixels inward from the edge, is positive; soft over one pixel."""
        cover = np.clip(depth + 0.5, 0.0, 1.0)[..., None]
        old = self.pixels[rows, columns]
        self.pixels[rows, columns] = np.rint(old + cover * (np.array(colour) - old.astype(float)))


def grid(cells: np.ndarray, palette: Sequence[Colour], longest: int = 400) -> np.ndarray:
    """Draw a grid of colour numbers, int ``[rows, columns]``, as uint8 ``[H, W, 3]``.

    Cells are squares of an even number of pixels, such that neither side exceeds `longest`.
    """
    size = max(2, longest // max(cells.shape) // 2 * 2)
    pixels: np.ndarray = np.asarray(palette, np.uint8)[cells]
    return pixels.repeat(size, axis=0).repeat(size, axis=1)
