"""A depth camera on the trunk that sees the ground, by a scan of horizons.

The ground is one height over each point of the plane. So along each direction of the compass, a
ray from the camera hits the first point that appears as high as the ray does, and the highest slope
under which the ground appears up to a distance only grows with that distance. It is tabulated for a
fan of directions, once per image, and each pixel finds its distance in it by bisection, whatever
the camera's attitude: far fewer lookups than along every pixel's ray.

Distances in the plane are in the norm ``max(|x|, |y|)`` in the frame of the camera's heading, and
directions are where they meet the square that is 1 away. It needs no trigonometry, and a level
camera's columns and far plane are even in both.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.quadruped.heights import HeightMap, surface_at

__all__ = [
    "Camera",
    "DepthNoise",
    "make_camera",
    "march",
    "noise_draws",
    "noisy",
    "normalised",
    "render",
]

_DISTANCES = 64  # in the table; a power of two, for bisection
_DIRECTIONS = 1.1  # in the table, for each column of pixels
_FOV = math.radians(87.0)
_TINY = 1e-6  # keeps quotients finite, far below any length or gap that matters
# Directions are counted along the square from straight ahead, to the left positive: its faces are
# [-1, 1] ahead, [1, 3] and [-3, -1] on the sides, and straight behind is
_BEHIND = 4.0


class DepthNoise(struct.PyTreeNode):
    """What is wrong with measured depths, pixel by pixel.

    Attributes:
        additive: off by a uniform number up to this, m.
        multiplicative: and by a uniform share of the depth up to this.
        dropped: this share of the pixels has no measurement and reads 0.
    """

    additive: jax.Array | float = 0.0
    multiplicative: jax.Array | float = 0.0
    dropped: jax.Array | float = 0.0


class Camera(struct.PyTreeNode):
    """How a camera is mounted and what it measures; all traced, so it may differ per episode.

    The image's height and width are those of the frames that it is asked for. Pixels are square.

    Attributes:
        offset: float32 ``[3]``, of the camera from the trunk's origin, along the trunk's axes, m.
        pitch: of the view below the trunk's forward axis, rad.
        near: nearer is taken for this, m.
        far: so is what is farther for this, m.
        fov: horizontal angle between the image's edges, rad.
        period: control steps from a frame to the next.
        delay: control steps from when a frame is taken to when it is seen.
        noise: none if ``None``.
    """

    offset: jax.Array
    pitch: jax.Array | float
    near: jax.Array | float
    far: jax.Array | float
    fov: jax.Array | float
    period: jax.Array | int
    delay: jax.Array | int
    noise: DepthNoise | None


def make_camera(
    offset: tuple[float, float, float] = (0.27, 0.0, 0.03),
    pitch: jax.Array | float = 0.0,
    near: jax.Array | float = 0.0,
    far: jax.Array | float = 2.0,
    fov: jax.Array | float = _FOV,
    period: jax.Array | int = 5,
    delay: jax.Array | int = 5,
    noise: DepthNoise | None = None,
) -> Camera:
    """A camera; by default extreme-parkour's, which there is pitched by up to 5 degrees.

    (It sees 60 x 106 pixels, of which 58 x 98 are kept and shrunk to 58 x 87; this one's 58 x 87
    pixels have the whole angle.)

    Args:
        offset: see `Camera`, as are the others.
        pitch: rad.
        near: m.
        far: m.
        fov: rad.
        period: control steps; 5 of 20 ms make 10 Hz.
        delay: control steps.
        noise: or none.

    Raises:
        ValueError: a number is out of range, as far as it is known when this is traced.
    """
    if _known(near, far) and not 0 <= near < far < math.inf:
        raise ValueError(f"near {near} and far {far} m: expected 0 <= near < far")
    if _known(fov) and not 0 < fov < math.pi:
        raise ValueError(f"fov {fov} rad: expected within (0, pi), that is 0 to 180 degrees")
    if _known(period) and not period >= 1:
        raise ValueError(f"period {period}: expected one control step or more")
    if _known(delay) and not delay >= 0:
        raise ValueError(f"delay {delay}: expected no or more control steps")
    place = jnp.asarray(offset, jnp.float32)
    if place.shape != (3,):
        raise ValueError(f"offset of shape {place.shape}: expected (3,), that is x, y and z in m")
    return Camera(place, pitch, near, far, fov, period, delay, noise)


def _known(*values: jax.Array | float) -> bool:
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def render(
    ground: HeightMap,
    position: jax.Array,
    rotation: jax.Array,
    camera: Camera,
    height: int = 58,
    width: int = 87,
) -> jax.Array:
    """Depths of the ground along the camera's axis, float32 ``[height, width]``, m.

    Clipped to near and far. The top row is first, and the left column. The robot is not seen.

    The ground is taken for straight between 64 even distances, of which the last is where the
    farthest corner of the image is `far` deep: thinner things may be missed.

    Args:
        ground: the map.
        position: float32 ``[3]``, of the trunk's origin, m.
        rotation: float32 ``[3, 3]``, from the trunk's axes to the world's.
        camera: on the trunk.
        height: of the image, px.
        width: of the image, px.

    Raises:
        ValueError: the image has no pixels.
    """
    across, up = _pixels(height, width)
    eye, axes = _view(position, rotation, camera)
    heading, axes = _level(axes)

    def ray(a: np.ndarray, b: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Ahead, aside and up, each of the shape of `a` and `b`, per metre of depth."""
        ahead, aside, above = (row[0] + a * row[1] + b * row[2] for row in axes)
        return ahead, aside, above

    ahead, aside, _ = ray(across[None, [0, -1]], up[[0, -1], None])
    per_norm, bearings = _round_square(ahead, aside)
    # With straight up or down in view there is all of the compass in it.
    pole = jnp.abs(axes[2])
    edge = jnp.sum(axes[:, 1] ** 2) * pole[0]
    has_pole = (pole[1] <= across[0] * edge) & (pole[2] <= up[0] * edge)
    low = jnp.where(has_pole, -_BEHIND, jnp.min(bearings))
    high = jnp.where(has_pole, _BEHIND, jnp.max(bearings))
    gap = camera.far / jnp.min(per_norm) / _DISTANCES

    count = math.ceil(_DIRECTIONS * width)
    turn = jnp.maximum(high - low, _TINY) / count
    centres = low + turn * (np.arange(count, dtype=np.float32) + 0.5)
    horizon = _horizon(ground, eye, heading, centres, gap)

    ahead, aside, above = ray(across[None, :], up[:, None])
    per_norm, bearings = _round_square(ahead, aside)
    slope = above * per_norm
    # Divided, not multiplied by an inverse: XLA computes a quotient once, a product for each use.
    column = jnp.clip(((bearings - low) / turn).astype(jnp.int32), 0, count - 1)
    under = surface_at(ground, eye[0], eye[1])[0]
    distance = _distance(horizon, column, slope, (eye[2] - under) / gap)
    return jnp.clip(distance * gap * per_norm, camera.near, camera.far)


def march(
    ground: HeightMap,
    position: jax.Array,
    rotation: jax.Array,
    camera: Camera,
    height: int = 58,
    width: int = 87,
    steps: int = 256,
) -> jax.Array:
    """What `render` returns, by going along every ray in small steps: slow, to check against.

    Args:
        ground: see `render`, as are the others.
        position: m.
        rotation: a matrix.
        camera: on the trunk.
        height: px.
        width: px.
        steps: from the camera to `far`; the ground is taken for straight within one.

    Raises:
        ValueError: the image has no pixels.
    """
    across, up = _pixels(height, width)
    eye, axes = _view(position, rotation, camera)
    rays = axes[:, 0] + across[None, :, None] * axes[:, 1] + up[:, None, None] * axes[:, 2]

    def clearance(depth: jax.Array) -> jax.Array:
        point = eye + depth * rays
        return point[..., 2] - surface_at(ground, point[..., 0], point[..., 1])[0]

    def advance(
        loop: tuple[jax.Array, jax.Array], step: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        found, before = loop
        after = clearance((step + 1) * length)
        share = before / jnp.maximum(before - after, _TINY)
        hit = jnp.isinf(found) & (after <= 0)
        return (jnp.where(hit, (step + share) * length, found), after), None

    length = camera.far / steps
    before = clearance(jnp.zeros_like(length))
    start = (jnp.where(before > 0, jnp.inf, 0.0), before)
    (found, _), _ = jax.lax.scan(advance, start, jnp.arange(steps))
    return jnp.clip(found, camera.near, camera.far)


def noise_draws(key: jax.Array, height: int, width: int) -> jax.Array:
    """Numbers for `noisy`, float32 ``[3, height, width]``, uniform in (0, 1).

    Those of a pixel are parts of one number of 32 bits: three would cost more than the image.
    """
    bits = jax.random.bits(key, (height, width))

    def part(first: int, count: int) -> jax.Array:
        number = (bits >> first) & (2**count - 1)
        return (number.astype(jnp.float32) + 0.5) / 2**count

    return jnp.stack([part(22, 10), part(12, 10), part(0, 12)])


def noisy(depth: jax.Array, noise: DepthNoise, draws: jax.Array) -> jax.Array:
    """Depths as measured, m.

    Args:
        depth: float32 ``[height, width]``, m.
        noise: what is wrong with them.
        draws: float32 ``[3, height, width]``, uniform in [0, 1).
    """
    additive, multiplicative = 2.0 * draws[0] - 1.0, 2.0 * draws[1] - 1.0
    measured = depth * (1.0 + noise.multiplicative * multiplicative) + noise.additive * additive
    return jnp.where(draws[2] < noise.dropped, 0.0, measured)


def normalised(depth: jax.Array, camera: Camera) -> jax.Array:
    """Depths, m, as a network sees them: -0.5 at `near` or nearer, 0.5 at `far` or farther.

    Source: `normalize_depth_image` of extreme-parkour.
    """
    depth = jnp.clip(depth, camera.near, camera.far)
    return (depth - camera.near) / (camera.far - camera.near) - 0.5


def _pixels(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the columns from the left and of the rows from the top: 1 is half the width."""
    if height < 1 or width < 1:
        raise ValueError(f"image of {height} x {width} pixels: expected one or more each way")
    across = 1.0 - (2.0 * np.arange(width, dtype=np.float32) + 1.0) / width
    up = (height - 1.0 - 2.0 * np.arange(height, dtype=np.float32)) / width
    return across, up


def _view(position: jax.Array, rotation: jax.Array, camera: Camera) -> tuple[jax.Array, jax.Array]:
    """Where the camera is, and its axes in the world's frame.

    The axes are columns: forward by a metre, and to the left and up by half the image's width,
    which is as long as what is seen a metre ahead.
    """
    # A tangent. XLA computes one anew for every pixel, but a quotient once.
    edge = jnp.sin(0.5 * camera.fov) / jnp.cos(0.5 * camera.fov)
    cosine, sine = jnp.cos(camera.pitch), jnp.sin(camera.pitch)
    forward, left, up = rotation[:, 0], rotation[:, 1], rotation[:, 2]
    ahead, above = cosine * forward - sine * up, sine * forward + cosine * up
    eye = position + jnp.sum(rotation * camera.offset, axis=1)
    return eye, jnp.stack([ahead, edge * left, edge * above], axis=1)


def _level(axes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The camera's heading, a unit vector [2], and its axes in the frame of that and of up."""
    length = jnp.sqrt(axes[0, 0] ** 2 + axes[1, 0] ** 2)
    # Straight up or down there is none; any will do.
    has_heading = length > _TINY
    x = jnp.where(has_heading, axes[0, 0] / jnp.maximum(length, _TINY), 1.0)
    y = jnp.where(has_heading, axes[1, 0] / jnp.maximum(length, _TINY), 0.0)
    ahead, aside = x * axes[0] + y * axes[1], x * axes[1] - y * axes[0]
    return jnp.stack([x, y]), jnp.stack([ahead, aside, axes[2]])


def _round_square(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``1 / max(|x|, |y|)``, and the direction of (x, y): within [-4, 4], positive to the left."""
    per_norm = 1.0 / jnp.maximum(jnp.maximum(jnp.abs(x), jnp.abs(y)), _TINY)
    ahead, aside = x * per_norm, jnp.abs(y) * per_norm
    angle = jnp.where(ahead > -aside, aside + 1.0 - ahead, _BEHIND - aside)
    return per_norm, jnp.where(y < 0, -angle, angle)


def _horizon(
    ground: HeightMap, eye: jax.Array, heading: jax.Array, bearings: jax.Array, gap: jax.Array
) -> jax.Array:
    """Highest slope of the ground as seen from the eye, up to each distance: [distances, n].

    Args:
        ground: the map.
        eye: [3], m.
        heading: [2], where bearing 0 is.
        bearings: [n], as `_round_square` counts them.
        gap: between distances, in its norm, m.
    """
    angle = jnp.abs(bearings)
    ahead = jnp.clip(2.0 - angle, -1.0, 1.0)
    aside = jnp.sign(bearings) * jnp.clip(_BEHIND - angle, 0.0, jnp.minimum(angle, 1.0))
    reach = gap * (np.arange(_DISTANCES, dtype=np.float32)[:, None] + 1.0)
    x = eye[0] + reach * (heading[0] * ahead - heading[1] * aside)
    y = eye[1] + reach * (heading[1] * ahead + heading[0] * aside)
    slope = (surface_at(ground, x, y)[0] - eye[2]) / reach

    def spread(i: jax.Array, highest: jax.Array) -> jax.Array:
        """From the highest of the last 2^i distances to that of the last 2^(i + 1)."""
        shifted = jax.lax.dynamic_slice_in_dim(
            jnp.concatenate([nothing, highest]), _DISTANCES // 2 - (1 << i), _DISTANCES
        )
        return jnp.maximum(highest, shifted)

    nothing = jnp.full((_DISTANCES // 2, bearings.shape[0]), -jnp.inf)
    # A loop, as XLA would fuse an unrolled one so that slopes are computed anew for each use.
    return jax.lax.fori_loop(0, _DISTANCES.bit_length() - 1, spread, slope)


def _distance(
    horizon: jax.Array, column: jax.Array, slope: jax.Array, clearance: jax.Array
) -> jax.Array:
    """How many gaps away rays of slopes in columns of the horizon meet the ground, or infinity.

    Args:
        horizon: [distances, n], growing down each column.
        column: int32 [...].
        slope: [...].
        clearance: scalar, of the eye above ground, in gaps.
    """
    table, count = horizon.reshape(-1), horizon.shape[1]

    def look_up(index: jax.Array) -> jax.Array:
        found: jax.Array = table.at[index * count + column].get(mode="promise_in_bounds")
        return found

    def bisect(i: jax.Array, passed: jax.Array) -> jax.Array:
        half = (_DISTANCES // 2) >> i
        return passed + jnp.where(look_up(passed + half - 1) < slope, half, 0)

    # How many of all distances but the last are passed: the ray is above the ground there.
    rounds = _DISTANCES.bit_length() - 1
    passed = jax.lax.fori_loop(0, rounds, bisect, jnp.zeros_like(column))
    last = look_up(passed)
    before = jnp.where(
        passed > 0, passed * (slope - look_up(jnp.maximum(passed - 1, 0))), clearance
    )
    after = (passed + 1) * (slope - last)
    share = jnp.maximum(before, 0.0) / jnp.maximum(before - after, _TINY)
    return jnp.where(last >= slope, passed + share, jnp.inf)
