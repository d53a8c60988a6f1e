"""Frames of a depth camera that has a clock of its own: rendered when due, seen some time later."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.quadruped.depth import (
    Camera,
    DepthNoise,
    make_camera,
    noise_draws,
    noisy,
    normalised,
    render,
)
from envs_jax.quadruped.heights import HeightMap
from envs_jax.words import check_word

__all__ = ["CameraState", "camera_of", "image_size", "look", "render_due", "seen", "start_camera"]

# Due rows are rendered so many at a time: this share of all of them, as fewer passes suit a GPU,
# but no fewer than fill a CPU's vectors. What is rendered in vain is less than one lot.
_SHARE = 32
_FEWEST = 4


class CameraState(struct.PyTreeNode):
    """The last frames that a camera took.

    Attributes:
        frames: float32 ``[kept, height, width]``, `normalised`, oldest first.
        clock: int32, how often the camera was looked through since the episode's start.
    """

    frames: jax.Array
    clock: jax.Array


def camera_of(options: Mapping[str, Any]) -> tuple[Callable[[], Camera], int]:
    """A camera from what a file says of it.

    Args:
        options: arguments of :func:`~envs_jax.quadruped.depth.make_camera` by name, but instead of
            ``noise`` fields of :class:`~envs_jax.quadruped.depth.DepthNoise`.

    Returns:
        What makes it, and how many frames it has to keep for its delay.

    Raises:
        ValueError: for an unknown name, or a value that cannot be.
    """
    if not isinstance(options, Mapping):
        raise ValueError(f"camera {options!r}: expected its numbers by name")
    noise = [field.name for field in dataclasses.fields(DepthNoise)]
    usual = {name: p.default for name, p in inspect.signature(make_camera).parameters.items()}
    for name, value in options.items():
        check_word("camera", name, [known for known in (*usual, *noise) if known != "noise"])
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iuf":
            raise ValueError(f"camera's {name} {value!r}: expected numbers")
        if name in ("period", "delay") and not (numbers == np.floor(numbers)).all():
            raise ValueError(f"camera's {name} {value!r}: expected a whole number of control steps")
        if name in noise and not ((numbers >= 0) & (numbers <= 1)).all():
            raise ValueError(f"camera's {name} {value!r}: expected a number from 0 to 1")
    given = usual | {name: value for name, value in options.items() if name not in noise}
    wrong = {name: value for name, value in options.items() if name in noise}
    if wrong:
        given["noise"] = DepthNoise(**wrong)
    kept = 1 + math.ceil(given["delay"] / max(given["period"], 1))
    return functools.partial(make_camera, **given), int(kept)


def image_size(size: Any) -> tuple[int, int]:
    """Height and width of images.

    Raises:
        ValueError: they are not two whole numbers above 0.
    """
    pixels = np.asarray(size)
    is_whole = pixels.dtype.kind in "iuf" and bool((pixels == np.floor(pixels)).all())
    if not (is_whole and pixels.shape == (2,) and pixels.min() >= 1):
        raise ValueError(f"depth {size}: expected height and width in pixels, or None")
    height, width = map(int, pixels)
    return height, width


def start_camera(height: int = 58, width: int = 87, kept: int = 2) -> CameraState:
    """A camera that has taken nothing yet: it sees everything as far away.

    Args:
        height: of its frames, px.
        width: px.
        kept: how many frames it keeps. For the full `delay` of a camera, at least
            ``1 + ceil(delay / period)``.

    Raises:
        ValueError: a size is not positive.
    """
    if min(height, width, kept) < 1:
        raise ValueError(f"{kept} frames of {height} x {width} pixels: expected 1 or more of each")
    return CameraState(jnp.full((kept, height, width), 0.5, jnp.float32), jnp.zeros((), jnp.int32))


def look(
    state: CameraState,
    key: jax.Array | None,
    position: jax.Array,
    rotation: jax.Array,
    ground: HeightMap,
    camera: Camera,
) -> CameraState:
    """Take a frame if one is due: at an episode's first step, and then every `camera.period`.

    To be called once every control step, after it.

    Args:
        state: of the camera.
        key: see `render_due`, as are the others.
        position: m.
        rotation: a matrix.
        ground: the map.
        camera: on the trunk.
    """
    due = state.clock % camera.period == 0
    frames = render_due(due, key, position, rotation, ground, camera, state.frames)
    return CameraState(frames, state.clock + 1)


def seen(state: CameraState, camera: Camera) -> jax.Array:
    """The newest frame that is at least `camera.delay` old, float32 ``[height, width]``.

    The oldest of the episode that is kept, if none is.
    """
    last = state.clock - 1  # when the camera was last looked through
    age, taken = last % camera.period, last // camera.period + 1
    back = -((age - camera.delay) // camera.period)
    kept = state.frames.shape[0]
    index = kept - 1 - jnp.clip(back, 0, jnp.clip(taken, 1, kept) - 1)
    return jax.lax.dynamic_index_in_dim(state.frames, index, keepdims=False)


def render_due(
    due: jax.Array,
    key: jax.Array | None,
    position: jax.Array,
    rotation: jax.Array,
    ground: HeightMap,
    camera: Camera,
    frames: jax.Array,
) -> jax.Array:
    """`frames` with a new one at the end and without the oldest if one is due, else as they are.

    Under `jax.vmap`, nested or not, only the rows that are due are rendered, a few at a time until
    none is left. (A ``cond`` would render all.) One ground for all rows is much the fastest: if
    each has its own, its map is copied whenever its row is due. Not differentiable in reverse.

    Args:
        due: bool scalar.
        key: for the noise; may be ``None`` if the camera has none.
        position: float32 ``[3]``, of the trunk's origin, m.
        rotation: float32 ``[3, 3]``, from the trunk's axes to the world's.
        ground: the map.
        camera: on the trunk.
        frames: float32 ``[kept, height, width]``, `normalised`, oldest first.

    Returns:
        float32 ``[kept, height, width]``.

    Raises:
        ValueError: the camera has noise, but there is no key.
    """
    if camera.noise is not None and key is None:
        raise ValueError("a camera with noise needs a key: given None")
    views = (key, position, rotation, camera)
    which = jnp.zeros((), jnp.int32)
    one = jax.tree.map(lambda x: jnp.asarray(x)[None], (due, which, views, ground, frames))
    return _render_rows(*_vary_alike(one))[0]


@jax.custom_batching.custom_vmap
def _render_rows(
    due: jax.Array, which: jax.Array, views: Any, grounds: HeightMap, frames: jax.Array
) -> jax.Array:
    """`render_due` for rows: all have a leading axis [rows], but `grounds` one of its own.

    `which`, int32 [rows], is the ground of each row.
    """
    size = due.shape[0]
    lot = min(size, max(_FEWEST, size // _SHARE))
    has_one_ground = grounds.heights.shape[0] == 1

    def photograph(view: Any, ground: HeightMap) -> jax.Array:
        key, position, rotation, camera = view
        depth = render(ground, position, rotation, camera, *frames.shape[2:])
        if camera.noise is not None:
            depth = noisy(depth, camera.noise, noise_draws(key, *depth.shape))
        return normalised(depth, camera)

    def take(leaf: jax.Array, index: jax.Array) -> jax.Array:
        found: jax.Array = leaf.at[index].get(mode="clip")
        return found

    # Rows that are due come first; what fills the last lot is dropped. They are put in order here
    # because XLA would do it within the loop for every pixel anew.
    count = jnp.sum(due, dtype=jnp.int32)
    order = jnp.nonzero(due, size=size + lot - 1, fill_value=size)[0]
    which, views = jax.tree.map(lambda leaf: take(leaf, order), (which, views))

    def body(loop: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        done, frames = loop
        index, which_ground, view = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, done, lot), (order, which, views)
        )
        if has_one_ground:
            ground, axis = jax.tree.map(lambda leaf: leaf[0], grounds), None
        else:
            ground, axis = jax.tree.map(lambda leaf: take(leaf, which_ground), grounds), 0
        new = jax.vmap(photograph, (0, axis))(view, ground)
        shifted = jnp.concatenate([take(frames, index)[:, 1:], new[:, None]], axis=1)
        return done + lot, frames.at[index].set(shifted, mode="drop")

    start = (jnp.zeros((), jnp.int32), frames)
    _, frames = jax.lax.while_loop(lambda loop: loop[0] < count, body, start)
    return frames


@_render_rows.def_vmap
def _(
    size: int,
    is_batched: Any,
    due: jax.Array,
    which: jax.Array,
    views: Any,
    grounds: HeightMap,
    frames: jax.Array,
) -> tuple[jax.Array, bool]:
    """Of rows of rows makes rows, so that one loop runs however often `jax.vmap` was applied."""

    def flat(tree: Any, has_batch: Any) -> Any:
        def reshape(leaf: jax.Array, has_batch: bool) -> jax.Array:
            if not has_batch:
                leaf = jnp.broadcast_to(leaf[None], (size, *leaf.shape))
            return leaf.reshape(-1, *leaf.shape[2:])

        return jax.tree.map(reshape, tree, has_batch)

    due, which = flat(due, is_batched[0]), flat(which, is_batched[1])
    rows = due.shape[0] // size
    if any(jax.tree.leaves(is_batched[3])):
        grounds = flat(grounds, is_batched[3])
        # Each batch's grounds come after those of the batches before it.
        maps = grounds.heights.shape[0] // size
        which += jnp.arange(which.shape[0]) // rows * maps
    views, frames = flat(views, is_batched[2]), flat(frames, is_batched[4])
    result = _render_rows(due, which, views, grounds, frames)
    return result.reshape(size, rows, *result.shape[1:]), True


def _vary_alike(tree: Any) -> Any:
    """Inside `jax.shard_map`, mark all as differing over every axis of the mesh that any does.

    What a loop carries must; outside, or where it does not check, nothing is marked.
    """

    def varying(leaf: jax.Array) -> frozenset[str]:
        return frozenset(jax.typeof(leaf).manual_axis_type.varying)

    axes = frozenset().union(*map(varying, jax.tree.leaves(tree)))

    def mark(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - varying(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(mark, tree)
