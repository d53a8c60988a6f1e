"""Small pictures beside the robot's: what it sees, what it knows of the ground, how it steps."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs_jax.canvas import BLACK, BLUE, WHITE, Canvas, Colour
from envs_jax.quadruped.dynamics import rotation_of

if TYPE_CHECKING:
    from envs_jax.quadruped.engine import Body

__all__ = ["LEGS", "caption", "depth_inset", "gait_inset", "paste", "scan_inset", "tints", "write"]

LEGS = ("FR", "FL", "RR", "RL")
"""Names of the legs, in the robot's order."""
_SPEEDS = "{:+.2f} {:+.2f} m/s {:+.2f} rad/s"
_PAPER: Colour = (246, 246, 242)
_IDLE: Colour = (225, 225, 222)  # of a foot in the air
# From low to high ground.
_LOW, _LEVEL, _HIGH = (40, 80, 200), (60, 170, 90), (220, 70, 40)


def depth_inset(depth: np.ndarray, limits: tuple[float, float], width: int) -> np.ndarray:
    """A depth image, near bright and far dark; uint8 ``[H, W, 3]``, its pixels as they are.

    Args:
        depth: [h, w], of any unit.
        limits: what is shown white and what black.
        width: of the picture, px; its height follows.
    """
    near, far = limits
    bright = np.rint(255 * np.clip((far - np.asarray(depth, float)) / (far - near), 0.0, 1.0))
    height = max(1, round(width * bright.shape[0] / bright.shape[1]))
    small = Image.fromarray(bright.astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST).convert("RGB"))


def scan_inset(points: np.ndarray, body: Body, size: int) -> np.ndarray:
    """Points on the ground from above, ahead of the robot being up; uint8 ``[size, size, 3]``.

    Args:
        points: [n, 3], in the world, m; :func:`tints` colours them.
        body: the robot, a bar with its front black.
        size: of the picture, px, even.
    """
    forward = _rotation(body)[:2, 0]
    forward = forward / max(np.hypot(*forward), 1e-6)
    offset = np.asarray(points, float)[:, :2] - np.asarray(body.position, float)[:2]
    ahead, right = offset @ forward, offset @ (forward[1], -forward[0])
    low, high = (
        np.array([limit(right, initial=0.0), limit(ahead, initial=0.0)])
        for limit in (np.min, np.max)
    )
    middle, reach = (low + high) / 2, 0.55 * max(*(high - low), 0.6)
    x_range, y_range = np.stack([middle - reach, middle + reach], -1)
    canvas = Canvas(tuple(x_range), tuple(y_range), size, _PAPER)
    canvas.line((0.0, -0.2), (0.0, 0.2), 0.12, (205, 205, 205))
    canvas.line((0.0, 0.17), (0.0, 0.2), 0.12, BLACK)
    for place, colour in zip(np.stack([right, ahead], -1), tints(points), strict=True):
        canvas.disc(place, reach / 22, colour)
    return canvas.pixels


def gait_inset(contacts: np.ndarray, width: int) -> np.ndarray:
    """Which feet touched the ground, one row for each leg, the present on the right.

    Args:
        contacts: bool ``[T, 4]``, the last row is now.
        width: of the picture, px.

    Returns:
        uint8 ``[H, width, 3]``.
    """
    row = max(9, width // 11)
    label = 2 * row
    image = Image.new("RGB", (width, 4 * row + 4), _PAPER)
    draw = ImageDraw.Draw(image)
    for leg, name in enumerate(LEGS):
        draw.text((3, leg * row + 1 + row / 2), name, BLACK, font=_font(row), anchor="lm")
    pixels = np.array(image)
    times = np.arange(width - label - 2) * len(contacts) // (width - label - 2)
    bars = np.where(np.asarray(contacts, bool)[times, :, None], BLUE, _IDLE)
    for leg in range(4):
        pixels[leg * row + 3 : (leg + 1) * row + 1, label:-2] = bars[:, leg]
    return pixels


def tints(points: np.ndarray) -> list[Colour]:
    """Colours of points ``[n, 3]`` by height: blue 0.3 m below their median, green, red above."""
    heights = np.asarray(points, float)[:, 2]
    share = np.clip((heights - np.median(heights)) / 0.3, -1.0, 1.0) if len(heights) else heights
    shades = np.array([_LOW, _LEVEL, _HIGH]).T  # a row for each channel
    channels = [np.interp(share, (-1, 0, 1), row) for row in shades]
    return [(int(r), int(g), int(b)) for r, g, b in zip(*channels, strict=True)]


def caption(body: Body, command: Any = None) -> str:
    """How fast a robot goes, and in a line above how fast it is to go.

    Args:
        body: the robot.
        command: [3], speeds along the trunk's forward and left axes, m/s, and about its upward
            one, rad/s; or None.
    """
    forward, left, _ = np.asarray(body.velocity, float) @ _rotation(body)
    line = "is " + _SPEEDS.format(forward, left, float(np.asarray(body.spin)[2]))
    asked = "" if command is None else f"asked {_SPEEDS.format(*np.asarray(command, float))}\n"
    return asked + line


def paste(pixels: np.ndarray, picture: np.ndarray, bottom: bool, right: bool, margin: int) -> None:
    """Put a picture, framed, into a corner of another; what does not fit is cut off."""
    height, width = picture.shape[:2]
    framed = np.full((height + 2, width + 2, 3), BLACK, np.uint8)
    framed[1:-1, 1:-1] = picture
    height = max(min(height + 2, pixels.shape[0] - margin), 0)
    width = max(min(width + 2, pixels.shape[1] - margin), 0)
    row = pixels.shape[0] - margin - height if bottom else margin
    column = pixels.shape[1] - margin - width if right else margin
    pixels[row:, column:][:height, :width] = framed[:height, :width]


def write(pixels: np.ndarray, text: str, margin: int) -> np.ndarray:
    """The picture with some text in its lower right corner."""
    image = Image.fromarray(pixels)
    size = max(9, pixels.shape[0] // 24)
    ImageDraw.Draw(image).text(
        (pixels.shape[1] - margin, pixels.shape[0] - margin),
        text,
        WHITE,
        font=_font(size),
        anchor="rd",
        align="right",
        stroke_width=max(1, size // 8),
        stroke_fill=BLACK,
    )
    return np.asarray(image)


def _rotation(body: Body) -> np.ndarray:
    """From the trunk's axes to the world's, [3, 3]."""
    return np.array(rotation_of(tuple(np.asarray(body.quaternion, float).tolist())))


@functools.lru_cache(maxsize=8)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
