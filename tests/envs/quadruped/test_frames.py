from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import envs_jax
from envs_jax.quadruped import frames as frames_module
from envs_jax.quadruped.depth import DepthNoise, make_camera, noise_draws, noisy, normalised, render
from envs_jax.quadruped.frames import CameraState, camera_of, look, render_due, seen, start_camera
from envs_jax.quadruped.heights import HeightMap

SIZE = (6, 9)
ROWS = 32


def ground(seed: int = 0) -> HeightMap:
    heights = np.random.default_rng(seed).uniform(0, 0.2, (120, 120))
    return HeightMap(jnp.asarray(heights, jnp.float32), jnp.float32(0.1), jnp.zeros(2))


def camera() -> Any:
    return make_camera(pitch=0.4, noise=DepthNoise(0.02, 0.05, 0.1))


@jax.jit
@jax.vmap
def photograph(key: Any, position: Any, rotation: Any, ground: HeightMap) -> jax.Array:
    depth = render(ground, position, rotation, camera(), *SIZE)
    return normalised(noisy(depth, camera().noise, noise_draws(key, *SIZE)), camera())


class Rows:
    """Robots of which some have a frame due, and what they should have afterwards."""

    def __init__(self, *shape: int, seed: int = 0, kept: int = 2) -> None:
        random = np.random.default_rng(seed)
        self.shape = shape
        self.due = jnp.asarray(random.random(shape) < 0.3)
        self.keys = jax.random.split(jax.random.key(seed), shape)
        place = random.uniform((3, 3, 0.5), (9, 9, 0.8), (*shape, 3))
        self.position = jnp.asarray(place, jnp.float32)
        yaw = random.uniform(0, 7, shape)
        zero, c, s = 0 * yaw, np.cos(yaw), np.sin(yaw)
        rows = [[c, -s, zero], [s, c, zero], [zero, zero, zero + 1]]
        self.rotation = jnp.asarray(np.moveaxis(np.array(rows), (0, 1), (-2, -1)), jnp.float32)
        self.frames = jnp.asarray(random.random((*shape, kept, *SIZE)), jnp.float32)

    @property
    def args(self) -> tuple[jax.Array, ...]:
        return self.due, self.keys, self.position, self.rotation, self.frames

    def expected(self, *grounds: HeightMap) -> Any:
        """From rendering every row, on one ground or on one for each entry of the first axis."""

        flat = [x.reshape(-1, *x.shape[len(self.shape) :]) for x in self.args]
        count = flat[0].shape[0]
        each = [grounds[i * len(grounds) // count] for i in range(count)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
        new = photograph(*flat[1:4], stacked)
        after = jnp.concatenate([flat[4][:, 1:], new[:, None]], axis=1)
        due = flat[0].reshape(-1, 1, 1, 1)
        return np.asarray(jnp.where(due, after, flat[4]).reshape(self.frames.shape))


def take_frame(due: Any, key: Any, position: Any, rotation: Any, frames: Any, on: Any) -> Any:
    return render_due(due, key, position, rotation, on, camera(), frames)


def check(found: Any, expected: Any) -> None:
    """The same but for rounding, which may move the odd pixel past an edge."""
    assert found.shape == expected.shape
    assert np.mean(np.abs(np.asarray(found) - expected) > 1e-4) < 1e-3


def shared(on: HeightMap) -> Any:
    return jax.vmap(take_frame, (0, 0, 0, 0, 0, None)), on


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_rows_that_are_due_get_a_frame(kept: int) -> None:
    rows = Rows(ROWS, kept=kept)
    over, on = shared(ground())
    found = jax.jit(over)(*rows.args, on)
    check(found, rows.expected(on))
    still = ~np.asarray(rows.due)
    np.testing.assert_array_equal(found[still], rows.frames[still])
    assert not np.allclose(found[~still], rows.frames[~still])


@pytest.mark.parametrize("due", [False, True])
def test_one_robot_alone(due: bool) -> None:
    rows = Rows()
    rows.due = jnp.asarray(due)
    for run in (take_frame, jax.jit(take_frame)):
        check(run(*rows.args, ground()), rows.expected(ground()))


@pytest.mark.parametrize("is_due", [False, True])
def test_none_or_all_may_be_due(is_due: bool) -> None:
    rows = Rows(ROWS)
    rows.due = jnp.full(ROWS, is_due)
    over, on = shared(ground())
    check(jax.jit(over)(*rows.args, on), rows.expected(on))


def test_rows_of_rows() -> None:
    rows = Rows(3, 7)
    over, on = shared(ground())
    check(jax.jit(jax.vmap(over, (0,) * 5 + (None,)))(*rows.args, on), rows.expected(on))


def test_a_ground_for_each_row_and_for_each_batch_of_rows() -> None:
    grounds = [ground(seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *grounds)
    rows = Rows(3)
    check(jax.jit(jax.vmap(take_frame))(*rows.args, stacked), rows.expected(*grounds))
    rows = Rows(3, 7)
    over, _ = shared(grounds[0])
    check(jax.jit(jax.vmap(over))(*rows.args, stacked), rows.expected(*grounds))
    # Of each batch the same grounds, one for each of its rows.
    rows = Rows(7, 3)
    inner = jax.vmap(take_frame)
    found = jax.jit(jax.vmap(inner, (0,) * 5 + (None,)))(*rows.args, stacked)
    check(found, rows.expected(*grounds * 7))
    # Of a ground only the heights differ.
    rows = Rows(3)
    axes = HeightMap(0, None, None)  # type: ignore[arg-type]
    one = HeightMap(stacked.heights, grounds[0].cell, grounds[0].origin)
    found = jax.jit(jax.vmap(take_frame, (0,) * 5 + (axes,)))(*rows.args, one)
    check(found, rows.expected(*grounds))


def test_what_is_not_batched_is_shared() -> None:
    rows = Rows(ROWS)
    rows.frames = jnp.broadcast_to(rows.frames[:1], rows.frames.shape)
    rows.rotation = jnp.broadcast_to(rows.rotation[:1], rows.rotation.shape)
    over = jax.vmap(take_frame, (0, 0, 0, None, None, None))
    due, keys, position, rotation, frames = rows.args
    found = jax.jit(over)(due, keys, position, rotation[0], frames[0], ground())
    check(found, rows.expected(ground()))


def test_legacy_keys_and_cameras_for_each_row() -> None:
    rows = Rows(ROWS)
    pitches = jnp.linspace(0.3, 0.5, ROWS)

    def one(due: Any, bits: Any, position: Any, rotation: Any, frames: Any, pitch: Any) -> Any:
        tilted = camera().replace(pitch=pitch)
        return render_due(due, bits, position, rotation, ground(), tilted, frames)

    due, keys, *rest = rows.args
    found = jax.jit(jax.vmap(one))(due, jax.random.key_data(keys), *rest, pitches)
    typed = jax.jit(jax.vmap(one))(due, keys, *rest, pitches)
    check(found, np.asarray(typed))
    level, on = shared(ground())
    assert not np.allclose(found, jax.jit(level)(*rows.args, on), atol=1e-3)


@pytest.mark.parametrize("check_vma", [False, True])
def test_shards_render_their_own_rows(check_vma: bool) -> None:
    rows, on = Rows(ROWS), ground()
    split, whole = PartitionSpec("data"), PartitionSpec()
    over, _ = shared(on)
    run = jax.shard_map(
        over,
        mesh=Mesh(np.array(jax.devices()), ("data",)),
        in_specs=(split,) * 5 + (whole,),
        out_specs=split,
        check_vma=check_vma,
    )
    check(jax.jit(run)(*rows.args, on), rows.expected(on))


@pytest.mark.parametrize("check_vma", [False, True])
def test_frames_made_within_a_shard_will_do(check_vma: bool) -> None:
    on = ground()
    rows = Rows(ROWS)
    rows.due, rows.frames = jnp.ones(ROWS, bool), jnp.full((ROWS, 2, *SIZE), 0.5)

    def from_nothing(key: jax.Array, position: jax.Array, rotation: jax.Array) -> jax.Array:
        return look(start_camera(*SIZE), key, position, rotation, on, camera()).frames

    split = PartitionSpec("data")
    run = jax.shard_map(
        jax.vmap(from_nothing),
        mesh=Mesh(np.array(jax.devices()), ("data",)),
        in_specs=split,
        out_specs=split,
        check_vma=check_vma,
    )
    found = jax.jit(run)(rows.keys, rows.position, rows.rotation)
    check(found, rows.expected(on))


@pytest.mark.parametrize("shape", [(ROWS,), (4, ROWS // 4)])
def test_only_what_is_due_is_rendered(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = []

    def counted(*args: Any) -> jax.Array:
        jax.debug.callback(lambda _: rendered.append(1), args[1])
        return render(*args)

    monkeypatch.setattr(frames_module, "render", counted)
    rows = Rows(*shape)
    over, on = shared(ground())
    for _ in shape[1:]:
        over = jax.vmap(over, (0,) * 5 + (None,))
    run = jax.jit(over)
    for count in (0, 5, 20):
        rows.due = (jnp.arange(ROWS) < count).reshape(shape)
        rendered.clear()
        jax.block_until_ready(run(*rows.args, on))
        jax.effects_barrier()
        assert len(rendered) == -(-count // 4) * 4, "lots of four"


def test_each_clock_runs_on_its_own_in_a_scan() -> None:
    """Frames are numbered by the height that they were taken from, looking straight down."""
    plain = HeightMap(jnp.zeros((50, 50)), jnp.float32(0.2), jnp.zeros(2))
    down = make_camera(offset=(0.0, 0.0, 0.0), pitch=np.pi / 2, far=2.0, period=5, delay=7)
    starts, steps = jnp.asarray([0, 2, 9]), 30

    def step(state: CameraState, at: Any) -> Any:
        now, start = at
        fresh = start_camera(2, 3, 3)
        state = jax.tree.map(lambda x, y: jnp.where(now == start, x, y), fresh, state)
        position = jnp.asarray([5.0, 5.0, 0.0]).at[2].set(0.05 * (now + 1))
        state = look(state, None, position, jnp.eye(3), plain, down)
        return state, seen(state, down)

    def run(start: jax.Array) -> jax.Array:
        times = jnp.arange(steps), jnp.full(steps, start)
        return jax.lax.scan(step, start_camera(2, 3, 3), times)[1]

    found = np.asarray(jax.jit(jax.vmap(run))(starts))[..., 0, 0]
    for start, row in zip(np.asarray(starts), found, strict=True):
        for now in range(start, steps):
            taken = [t for t in range(start, now + 1) if (t - start) % 5 == 0]
            old_enough = [t for t in taken if now - t >= 7] or taken[:1]
            expected = min(0.05 * (old_enough[-1] + 1), 2.0) / 2 - 0.5
            assert row[now] == pytest.approx(expected, abs=2e-3), (start, now)


def test_a_new_camera_sees_nothing_near() -> None:
    state = start_camera(4, 5)
    assert state.frames.shape == (2, 4, 5) and int(state.clock) == 0
    np.testing.assert_array_equal(seen(state, make_camera()), np.full((4, 5), 0.5))
    late = jax.jit(look)(
        state, None, jnp.asarray([5.0, 5.0, 0.3]), jnp.eye(3), ground(), make_camera()
    )
    assert float(seen(late, make_camera()).min()) < 0.0, "at once, as there is nothing older"


@pytest.mark.parametrize("bad", [(0, 5, 2), (4, -1, 2), (4, 5, 0)])
def test_cameras_without_pixels_or_frames_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"{bad[2]} frames of {bad[0]} x {bad[1]} pixels"):
        start_camera(*bad)


def test_noise_needs_a_key() -> None:
    rows = Rows()
    with pytest.raises(ValueError, match="a camera with noise needs a key"):
        take_frame(rows.due, None, rows.position, rows.rotation, rows.frames, ground())


def test_a_camera_is_what_a_file_says_of_it() -> None:
    make, kept = camera_of({"delay": 12, "far": 3.0, "dropped": 0.1})
    made = make()
    assert (made.delay, made.far, made.period, kept) == (12, 3.0, 5, 4)
    assert made.noise == DepthNoise(dropped=0.1)
    assert camera_of({})[1] == 2 and camera_of({})[0]().noise is None
    with pytest.raises(ValueError, match="camera 'dely': .*nearest is 'delay'"):
        camera_of({"dely": 3})
    with pytest.raises(ValueError, match="camera 'drop': .*nearest is 'dropped'"):
        camera_of({"drop": 0.1})


def test_a_world_sees_through_the_camera_that_it_is_given() -> None:
    world = {"ground": "gaps", "levels": 2, "cell": 0.2, "depth": SIZE}
    env, params = envs_jax.make("Quadruped-v1", **world, camera={"far": 3.0, "delay": 12})
    assert params.camera.far == 3.0
    state = jax.eval_shape(env.reset_env, jax.random.key(0), params)[1]
    assert state.camera.frames.shape == (4, *SIZE)
    with pytest.raises(ValueError, match="without depth images"):
        envs_jax.make("Quadruped-v1", ground="gaps", camera={"far": 3.0})
    with pytest.raises(ValueError, match="far -1"):
        envs_jax.make("Quadruped-v1", **world, camera={"far": -1.0})
