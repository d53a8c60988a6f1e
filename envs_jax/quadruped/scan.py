"""Scandots: the ground's height at points around the robot, as a privileged observation."""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs_jax.quadruped.heights import HeightMap, height_at
from envs_jax.words import check_word

__all__ = ["SCAN_GRIDS", "ScanGrid", "scan", "scan_grid", "scan_points"]


@dataclasses.dataclass(frozen=True)
class ScanGrid:
    """Where heights are read: every `x` with every `y`, in the frame of the robot's heading.

    Attributes:
        x: forward of the trunk's origin, m.
        y: to its left, m.
        offset: height of the trunk above ground that reads 0, m.
        scale: of what is read.

    Raises:
        ValueError: an axis is empty, or a number is not finite.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    offset: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        single = {"offset": (self.offset,), "scale": (self.scale,)}
        for name, axis in ({"x": self.x, "y": self.y} | single).items():
            if not axis or not all(map(math.isfinite, axis)):
                raise ValueError(f"scan grid's {name} {axis}: expected one finite number or more")

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.x) * len(self.y)

    @property
    def reach(self) -> float:
        """How far from the trunk's origin the farthest point is, m."""
        return math.hypot(max(map(abs, self.x)), max(map(abs, self.y)))


def _even(first: float, last: float, gap: float) -> tuple[float, ...]:
    count = round((last - first) / gap) + 1
    return tuple(round(first + gap * i, 6) for i in range(count))


# "parkour": 12 x 11 points of extreme-parkour; "rough": 17 x 11 points of legged_gym.
SCAN_GRIDS = MappingProxyType(
    {
        "parkour": ScanGrid(_even(-0.45, 1.2, 0.15), _even(-0.75, 0.75, 0.15), 0.3),
        "rough": ScanGrid(_even(-0.8, 0.8, 0.1), _even(-0.5, 0.5, 0.1), 0.5, 5.0),
    }
)


def scan_grid(grid: str | Mapping[str, Any]) -> ScanGrid:
    """The grid of that name, or the one whose points a file gives: fields of :class:`ScanGrid`.

    Raises:
        ValueError: there is none of that name, or a field is missing, unknown or impossible.
    """
    if not isinstance(grid, Mapping):
        check_word("scan grid", grid, SCAN_GRIDS)
        return SCAN_GRIDS[grid]
    given = {"scale": 1.0, **grid}
    fields = [field.name for field in dataclasses.fields(ScanGrid)]
    for name in given:
        check_word("scan grid's field", name, fields)
    axes: dict[str, Any] = {}
    for name in fields:
        try:
            axes[name] = tuple(np.ravel(np.asarray(given.get(name, ()), float)).tolist())
        except (TypeError, ValueError):
            raise ValueError(f"scan grid's {name} {given[name]!r}: expected numbers") from None
    for name in ("offset", "scale"):
        if len(axes[name]) != 1:
            raise ValueError(f"scan grid's {name} {axes[name]}: expected one number")
        (axes[name],) = axes[name]
    return ScanGrid(**axes)


def scan(
    ground: HeightMap,
    position: jax.Array,
    rotation: jax.Array,
    grid: ScanGrid,
    *,
    noise: jax.Array | float = 0.0,
    key: jax.Array | None = None,
) -> jax.Array:
    """How far the ground is below a robot, ``scale * (clip(z - offset - h, -1, 1) + noise)``.

    Beyond the map's edge the ground is as high as at it.

    Source: `_get_heights` of legged_gym and extreme-parkour.

    Args:
        ground: the map.
        position: float32 ``[3]``, of the trunk's origin, m.
        rotation: float32 ``[3, 3]``, from the trunk's axes to the world's. Of it the heading of
            the forward axis alone matters; it must not point straight up or down.
        grid: the points.
        noise: each point is off by a uniform number up to this, m, if there is a `key`.
        key: of the noise.

    Returns:
        float32 ``[grid.size]``, point ``(x[i], y[j])`` at ``i * len(grid.y) + j``.
    """
    height = scan_points(ground, position, rotation, grid)[2]
    below = jnp.clip(position[2] - grid.offset - height, -1.0, 1.0)
    if key is not None:
        below += noise * (2.0 * jax.random.uniform(key, (grid.size,)) - 1.0)
    return grid.scale * below


def scan_points(
    ground: HeightMap, position: jax.Array, rotation: jax.Array, grid: ScanGrid
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where the points of :func:`scan` are in the world: x, y and z, float32 ``[grid.size]``, m."""
    ahead = np.repeat(np.asarray(grid.x, np.float32), len(grid.y))
    left = np.tile(np.asarray(grid.y, np.float32), len(grid.x))
    forward = rotation[:2, 0] * jax.lax.rsqrt(jnp.sum(rotation[:2, 0] ** 2))
    x = position[0] + forward[0] * ahead - forward[1] * left
    y = position[1] + forward[1] * ahead + forward[0] * left
    return x, y, height_at(ground, x, y)
