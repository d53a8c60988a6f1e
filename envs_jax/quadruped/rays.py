"""Where rays of sight meet the ground, capsules and boxes: the geometry of pictures, in NumPy.

A ray is ``origin + t * direction``. All functions give t, infinite where nothing is met; directions
need not be of unit length. Arrays are float32.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from envs_jax.quadruped.heights import HeightMap

__all__ = ["Rays", "box_hits", "capsule_hits", "ground_heights", "ground_hits", "ground_normals"]

Floats = npt.NDArray[np.float32]

_FARTHER = 16  # distances, at least, at which far ground is looked at
_TINY = np.float32(1e-12)


class Rays(NamedTuple):
    """The rays of a camera, which is upright, through the middles of its pixels.

    Attributes:
        eye: [3], where they start, m.
        axes: [3, 3], rows right, up and forward, of unit length.
        focal: of the image, px.
        directions: [H, W, 3], one metre deep each, so that t is depth in m.
    """

    eye: Floats
    axes: Floats
    focal: float
    directions: Floats

    @classmethod
    def towards(cls, eye: Floats, target: Floats, fov: float, size: tuple[int, int]) -> "Rays":
        """Rays of a camera that looks at a target, not straight above or below it.

        Args:
            eye, target: [3], m.
            fov: horizontal angle between the image's edges, rad.
            size: height and width of the image, px.
        """
        height, width = size
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.array([forward[1], -forward[0], 0.0]) / np.hypot(forward[0], forward[1])
        axes = np.stack([right, np.cross(right, forward), forward]).astype(np.float32)
        focal = width / 2 / np.tan(fov / 2)
        across = ((np.arange(width) + 0.5 - width / 2) / focal).astype(np.float32)
        up = ((height / 2 - 0.5 - np.arange(height)) / focal).astype(np.float32)
        directions = across[None, :, None] * axes[0] + up[:, None, None] * axes[1] + axes[2]
        return cls(eye.astype(np.float32), axes, float(focal), directions)

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Row, column and depth of points ``[..., 3]``, each [...]: px, px and m."""
        across, up, depth = np.moveaxis((points - self.eye) @ self.axes.T, -1, 0)
        scale = self.focal / np.maximum(depth, np.float32(1e-3))
        height, width, _ = self.directions.shape
        return height / 2 - up * scale, width / 2 + across * scale, depth

    def window(self, points: Floats, radius: float) -> tuple[slice, slice]:
        """Pixels that balls of a radius around points ``[n, 3]``, and all between, may cover."""
        height, width, _ = self.directions.shape
        rows, columns, depth = self.project(points)
        nearest = float(depth.min()) - radius
        if nearest <= radius:  # at the camera, or behind it in part
            empty = depth.max() < -radius
            return slice(0, 0 if empty else height), slice(0, width)
        # A ball at the image's edge looks longer than in its middle.
        margin = radius * self.focal / nearest * 1.5 + 1.0
        spans = []
        for pixels, size in ((rows, height), (columns, width)):
            low, high = np.clip([pixels.min() - margin, pixels.max() + margin], 0, size)
            spans.append(slice(int(low), int(np.ceil(high))))
        return spans[0], spans[1]


def ground_heights(ground: HeightMap, x: Floats, y: Floats) -> Floats:
    """Bilinear heights at points of any shape, m."""
    a, b, h00, h01, h10, h11 = _cell(ground, x, y)
    near = h00 + (h01 - h00) * b
    far = h10 + (h11 - h10) * b
    heights: Floats = near + (far - near) * a
    return heights


def ground_normals(ground: HeightMap, x: Floats, y: Floats) -> Floats:
    """Unit normals ``[..., 3]`` of the bilinear surface."""
    a, b, h00, h01, h10, h11 = _cell(ground, x, y)
    cell = np.float32(ground.cell)
    slope_x = ((h10 - h00) * (1 - b) + (h11 - h01) * b) / cell
    slope_y = ((h01 - h00) * (1 - a) + (h11 - h10) * a) / cell
    up = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    normals: Floats = np.stack([-slope_x * up, -slope_y * up, up], -1)
    return normals


def ground_hits(rays: Rays, ground: HeightMap, near: float, far: float) -> Floats:
    """Depths at which rays meet the ground, [H, W].

    All rays in one vertical plane through the eye share a table: the highest slope under which the
    ground appears up to each distance. It only grows, so each ray bisects it for its own slope.
    Distances are along the heading and directions by the tangent from it, in both of which a level
    camera's image is even.

    Args:
        rays: none of which points backwards, as seen from above.
        ground: the map.
        near, far: distances up to which no edge is missed, and up to which ground is seen, m.
    """
    heading = rays.axes[2, :2] / np.hypot(*rays.axes[2, :2])
    right = rays.axes[0, :2]
    ahead = rays.directions[..., :2] @ heading
    tangents = rays.directions[..., :2] @ right / ahead
    slopes = rays.directions[..., 2] / ahead

    edge = float(np.abs(tangents).max()) + 1e-6
    count = tangents.shape[1] * 5 // 4 + 1
    planes = (edge * ((np.arange(count) + 0.5) * 2 / count - 1)).astype(np.float32)[:, None]
    along = heading[:, None, None] + right[:, None, None] * planes  # [2, count, 1]
    reach = _distances(rays.eye, along, ground, near, far)
    heights = ground_heights(ground, *(rays.eye[:2, None, None] + reach * along))
    seen = (heights - rays.eye[2]) / reach
    horizon = np.maximum.accumulate(seen, axis=1).reshape(-1)
    reach, seen = reach.reshape(-1), seen.reshape(-1)

    half = len(reach) // count
    plane = ((tangents + edge) * (count / (2 * edge))).astype(np.int32)
    first = passed = plane * half  # index into the table, of the first distance that may be a hit
    while half > 1:
        half //= 2
        passed = passed + half * (horizon[passed + (half - 1)] < slopes)
    before = np.maximum(passed - 1, first)
    above = np.maximum((slopes - seen[before]) * reach[before], 0)
    below = np.maximum((seen[passed] - slopes) * reach[passed], _TINY)
    hit = reach[before] + (reach[passed] - reach[before]) * (above / (above + below))
    return np.where(horizon[passed] < slopes, np.float32(np.inf), hit / ahead)


def _distances(eye: Floats, along: Floats, ground: HeightMap, near: float, far: float) -> Floats:
    """Where to know the ground's height in each plane: [planes, a power of two], growing.

    These are all crossings of the grid's lines, where its edges are, as far as `near`, and few
    places beyond.

    Args:
        eye: [3], m.
        along: [2, planes, 1], x and y per metre of distance.
        ground: the map.
        near, far: m.
    """
    crossings = []
    for axis in range(2):
        place = (eye[axis] - ground.origin[axis]) / ground.cell
        speed = along[axis] / ground.cell
        to_next = np.where(speed > 0, np.floor(place) + 1 - place, place - np.ceil(place) + 1)
        lines = np.arange(np.ceil(np.abs(speed).max() * near) + 1, dtype=np.float32)
        crossings.append((to_next + lines) / np.maximum(np.abs(speed), np.float32(1e-6)))
    merged = np.sort(np.concatenate(crossings, axis=1), axis=1).clip(1e-3, near)
    most = 1 << (merged.shape[1] + _FARTHER).bit_length()
    farther = np.geomspace(near, far, most - merged.shape[1])
    farther = np.broadcast_to(farther, (len(merged), len(farther)))
    return np.concatenate([merged, farther], axis=1).astype(np.float32)


def capsule_hits(
    origins: Floats, directions: Floats, start: Floats, end: Floats, radius: float
) -> Floats:
    """Where rays meet a cylinder with round ends, [...].

    Args:
        origins, directions: [..., 3], of shapes that go together.
        start, end: [3], of the axis, m; the same for a ball.
        radius: m.
    """
    axis = end - start
    from_start = origins - start
    length = axis @ axis
    along, offset = directions @ axis, from_start @ axis
    speed, approach = _dot(directions, directions), _dot(directions, from_start)
    distance = _dot(from_start, from_start)
    a = length * speed - along * along
    b = length * approach - offset * along
    c = length * distance - offset * offset - radius * radius * length
    root = b * b - a * c
    t = -(b + np.sqrt(np.maximum(root, 0))) / np.maximum(a, _TINY)
    share = offset + t * along
    # Beyond an end of the axis the ball around that end is met, or nothing.
    beyond_end = share > length
    b = np.where(beyond_end, approach - along, approach)
    c = np.where(beyond_end, distance - 2 * offset + length, distance) - radius * radius
    ball = b * b - speed * c
    on_axis = (share > 0) & ~beyond_end
    t = np.where(on_axis, t, -(b + np.sqrt(np.maximum(ball, 0))) / speed)
    met = (root >= 0) & (on_axis | (ball >= 0)) & (t > 0)
    return np.where(met, t, np.float32(np.inf)).astype(np.float32)


def box_hits(
    origins: Floats, directions: Floats, centre: Floats, axes: Floats, half: Floats
) -> tuple[Floats, Floats]:
    """Where rays meet a box, [...], and its normal there, [..., 3].

    Args:
        origins, directions: [..., 3], of shapes that go together.
        centre: [3], m.
        axes: [3, 3], the box's as columns.
        half: [3], half lengths along them, m.
    """
    towards = directions @ axes
    inverse = 1 / np.where(np.abs(towards) < _TINY, _TINY, towards)
    middle = -((origins - centre) @ axes) * inverse
    reach = np.abs(half * inverse)
    enters = middle - reach
    face = enters.argmax(-1)
    t = enters.max(-1)
    met = (t < (middle + reach).min(-1)) & (t > 0)
    entered = np.broadcast_to(towards, enters.shape)
    signs = -np.sign(np.take_along_axis(entered, face[..., None], -1))
    return np.where(met, t, np.float32(np.inf)).astype(np.float32), signs * axes.T[face]


def _cell(ground: HeightMap, x: Floats, y: Floats) -> tuple[Floats, ...]:
    """Place within the cell, both in [0, 1], and heights of its corners (00, 01, 10, 11)."""
    heights = np.asarray(ground.heights)
    columns, rows = heights.shape
    # Beyond the edge the ground goes on as it is there.
    origin, cell = np.asarray(ground.origin, np.float32), np.float32(ground.cell)
    u = ((x - origin[0]) / cell).clip(0, columns - 1)
    v = ((y - origin[1]) / cell).clip(0, rows - 1)
    i = np.minimum(u.astype(np.int32), columns - 2)
    j = np.minimum(v.astype(np.int32), rows - 2)
    flat, first = heights.reshape(-1), i * rows + j
    corners = (flat[first + offset] for offset in (0, 1, rows, rows + 1))
    return u - i.astype(np.float32), v - j.astype(np.float32), *corners


def _dot(a: Floats, b: Floats) -> Floats:
    # Three products are faster than a sum over an axis of three.
    product: Floats = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]
    return product
