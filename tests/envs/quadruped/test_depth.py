from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.depth import (
    Camera,
    DepthNoise,
    make_camera,
    march,
    noise_draws,
    noisy,
    normalised,
    render,
)
from envs_jax.quadruped.heights import HeightMap, surface_at

SIDE = 12.0  # of the maps, m
METHODS = {method.__name__: jax.jit(method, static_argnums=(4, 5)) for method in (render, march)}


def ground_of(height: Callable[[Any, Any], Any], cell: float = 0.05) -> HeightMap:
    at = np.arange(round(SIDE / cell)) * cell
    heights = np.broadcast_to(height(at[:, None], at[None, :]), (at.size, at.size))
    return HeightMap(jnp.asarray(heights, jnp.float32), jnp.float32(cell), jnp.zeros(2))


def stairs(cell: float) -> HeightMap:
    return ground_of(lambda x, y: np.abs(x - SIDE / 2) // 0.31 * 0.15, cell)


def blocks(cell: float) -> HeightMap:
    """A floor strewn with boxes of 0.3 to 1 m and up to 0.3 m high, which hide one another."""
    random = np.random.default_rng(0)
    near, sides = random.uniform(0, SIDE, (300, 2)), random.uniform(0.3, 1.0, (300, 2))
    tops = random.uniform(0, 0.3, 300)

    def height(x: Any, y: Any) -> Any:
        top = np.zeros((x.size, y.size))
        for (a, b), (w, d), h in zip(near, sides, tops, strict=True):
            top = np.where((x >= a) & (x < a + w) & (y >= b) & (y < b + d), h, top)
        return top

    return ground_of(height, cell)


def rotated(roll: Any, pitch: Any, yaw: Any) -> jax.Array:
    (a, b, c), (d, e, f) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    rows = [
        [c * b, c * e * d - f * a, c * e * a + f * d],
        [f * b, f * e * d + c * a, f * e * a - c * d],
        [-e, b * d, b * a],
    ]
    return jnp.asarray(rows, jnp.float32)


def poses(ground: HeightMap, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Places 0.2 to 0.6 m above ground, attitudes, and cameras' pitches."""
    random = np.random.default_rng(1)
    x, y = random.uniform(3, SIDE - 3, (2, count))
    z = random.uniform(0.2, 0.6, count) + surface_at(ground, jnp.asarray(x), jnp.asarray(y))[0]
    (roll, pitch), yaw = random.uniform(-0.3, 0.3, (2, count)), random.uniform(0, 7, count)
    rotation = [rotated(*angles) for angles in zip(roll, pitch, yaw, strict=True)]
    return (
        jnp.asarray(np.stack([x, y, z], 1), jnp.float32),
        jnp.stack(rotation),
        jnp.asarray(random.uniform(-0.1, 0.5, count), jnp.float32),
    )


@pytest.mark.parametrize("size", [(58, 87), (29, 44)])
@pytest.mark.parametrize("make", [stairs, blocks])
@pytest.mark.parametrize("cell", [0.05, 0.1])
def test_horizons_agree_with_a_fine_march(
    make: Callable[[float], HeightMap], cell: float, size: tuple[int, int]
) -> None:
    ground = make(cell)
    camera = make_camera()
    position, rotation, pitch = poses(ground, 24)

    def images(method: Any) -> Any:
        def one(p: jax.Array, r: jax.Array, tilt: jax.Array) -> jax.Array:
            return method(ground, p, r, camera.replace(pitch=tilt), *size)

        return np.asarray(jax.jit(jax.vmap(one))(position, rotation, pitch))

    fast, fine = images(render), images(march)
    error = fast - fine
    is_seen = fine < 2.0
    assert 0.3 < is_seen.mean() < 0.9, "there is ground in view, and something beyond it"
    assert fast.shape == (24, *size) and fast.dtype == np.float32
    assert np.mean(np.abs(error) > 0.1) <= 0.01
    print(
        np.mean(np.abs(error) > 0.1), np.median(np.abs(error[is_seen])), np.median(error[is_seen])
    )
    assert np.median(np.abs(error[is_seen])) < 0.002
    assert abs(np.median(error[is_seen])) < 0.001


@pytest.mark.parametrize("pitch", [np.pi / 2, 1.2, 2.0, -1.2])
@pytest.mark.parametrize("roll", [0.0, 1.5, 3.1])
def test_a_robot_on_its_side_or_back_sees_right(pitch: float, roll: float) -> None:
    ground, camera = blocks(0.05), make_camera()
    args = (ground, jnp.asarray([6.0, 6.0, 1.0]), rotated(roll, pitch, 0.4), camera)
    fast, fine = (np.asarray(method(*args)) for method in METHODS.values())
    assert np.isfinite(fast).all()
    assert np.median(np.abs(fast - fine)) < 0.001
    assert np.mean(np.abs(fast - fine) > 0.1) < 0.04


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_depths_of_a_plain_are_known(method: Any) -> None:
    plain = ground_of(lambda x, y: np.zeros(()))
    camera = make_camera(offset=(0.2, 0.0, 0.1), pitch=0.3)
    image = method(plain, jnp.asarray([6.0, 6.0, 0.3]), rotated(0, 0.1, 2.0), camera)
    eye = 0.3 - 0.2 * np.sin(0.1) + 0.1 * np.cos(0.1)
    up = np.tan(np.radians(87.0) / 2) / 87 * (57 - 2 * np.arange(58))
    descent = np.sin(0.4) - up * np.cos(0.4)  # of a pixel's ray per metre of depth
    expected = np.where(descent > eye / 2, eye / np.maximum(descent, 1e-9), 2.0)
    np.testing.assert_allclose(image, np.broadcast_to(expected[:, None], (58, 87)), atol=2e-3)
    down = camera.replace(offset=jnp.zeros(3), pitch=np.pi / 2)
    image = method(plain, jnp.asarray([6.0, 6.0, 0.8]), rotated(0, 0, 2.0), down)
    np.testing.assert_allclose(image, 0.8, atol=1e-3)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_images_may_be_a_line_or_a_point(method: Any, size: tuple[int, int]) -> None:
    wall = ground_of(lambda x, y: np.where(x >= 7.0, 3.0, 0.0))
    camera = make_camera(offset=(0.0, 0.0, 0.0), fov=0.3)
    image = method(wall, jnp.asarray([6.0, 6.0, 1.5]), rotated(0, 0, 0), camera, *size)
    assert image.shape == size
    np.testing.assert_allclose(image, 0.975, atol=0.03)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_wall_ahead_is_equally_deep_and_on_its_side(method: Any) -> None:
    wall = ground_of(lambda x, y: np.where((x >= 7.0) & (y >= 6.0), 3.0, 0.0))
    position, camera = jnp.asarray([6.0, 6.0, 0.5]), make_camera(offset=(0.0, 0.0, 0.0))
    image = np.asarray(method(wall, position, rotated(0, 0, 0), camera))
    left, right = image[:29, :42], image[:29, 45:]
    assert np.all(np.abs(left - 0.97) < 0.05), "depth is along the axis, not along the ray"
    assert np.all(right == 2.0), "there is nothing above the horizon to the right"
    assert np.all(image[-1, 45:] < 1.0), "and the ground below it"
    # Rolled to the right by 90 degrees, what was to the left is below.
    rolled = np.asarray(method(wall, position, rotated(np.pi / 2, 0, 0), camera))
    assert np.all(np.abs(rolled[31:, :40] - 0.97) < 0.05) and np.all(rolled[:27, :40] == 2.0)


def test_clips_and_normalises_to_half_a_unit_around_zero() -> None:
    plain = ground_of(lambda x, y: np.zeros(()))
    camera = make_camera(offset=(0.0, 0.0, 0.0), pitch=0.5, near=0.6, far=1.4)
    image = METHODS["render"](plain, jnp.asarray([6.0, 6.0, 0.4]), rotated(0, 0, 0), camera)
    assert float(image.min()) == pytest.approx(0.6) and float(image.max()) == pytest.approx(1.4)
    depth = jnp.asarray([0.0, 0.6, 1.0, 1.4, 9.0])
    np.testing.assert_allclose(normalised(depth, camera), [-0.5, -0.5, 0.0, 0.5, 0.5], atol=1e-6)


def test_noise_is_as_said() -> None:
    depth = jnp.full((20, 50), 2.0)
    draws = jax.random.uniform(jax.random.key(0), (3, 20, 50))

    def measured(**noise: float) -> Any:
        return np.asarray(noisy(depth, DepthNoise(**noise), draws))

    np.testing.assert_array_equal(measured(), depth)
    np.testing.assert_allclose(measured(additive=0.1), 2 + 0.2 * (draws[0] - 0.5), atol=1e-6)
    np.testing.assert_allclose(measured(multiplicative=0.1), 2 + 0.4 * (draws[1] - 0.5), atol=1e-6)
    np.testing.assert_array_equal(measured(dropped=0.3) == 0.0, draws[2] < 0.3)
    assert 0.25 < np.mean(measured(dropped=0.3) == 0.0) < 0.35


def test_draws_of_noise_are_uniform_and_of_one_another_independent() -> None:
    draws = np.asarray(noise_draws(jax.random.key(1), 200, 300)).reshape(3, -1)
    assert draws.dtype == np.float32 and draws.min() > 0.0 and draws.max() < 1.0
    for row in draws:
        share, _ = np.histogram(row, 20, (0.0, 1.0))
        np.testing.assert_allclose(share / row.size, 0.05, atol=0.005)
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.02


def test_a_camera_is_traced() -> None:
    traces = []

    @jax.jit
    def image(camera: Camera) -> jax.Array:
        traces.append(camera)
        plain = ground_of(lambda x, y: np.zeros(()))
        return render(plain, jnp.asarray([6.0, 6.0, 0.4]), jnp.eye(3), camera, 6, 9)

    images = [image(make_camera(fov=fov, far=far)) for fov, far in ((1.5, 2.0), (1.2, 3.0))]
    assert len(traces) == 1 and not np.allclose(*images)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"near": 2.0, "far": 2.0}, "near 2.0 and far 2.0 m"),
        ({"near": -0.1}, "near -0.1"),
        ({"far": float("nan")}, "far nan"),
        ({"fov": 0.0}, "fov 0.0 rad"),
        ({"fov": 87.0}, "fov 87.0 rad.*180 degrees"),
        ({"period": 0}, "period 0"),
        ({"delay": -1}, "delay -1"),
        ({"offset": (0.0, 0.0)}, r"offset of shape \(2,\)"),
    ],
)
def test_bad_cameras_are_refused_in_one_line(bad: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        make_camera(**bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [render, march])
@pytest.mark.parametrize("size", [(0, 87), (58, -1)])
def test_images_without_pixels_are_refused(method: Any, size: tuple[int, int]) -> None:
    plain = ground_of(lambda x, y: np.zeros(()))
    with pytest.raises(ValueError, match=f"image of {size[0]} x {size[1]} pixels"):
        method(plain, jnp.zeros(3), jnp.eye(3), make_camera(), *size)
