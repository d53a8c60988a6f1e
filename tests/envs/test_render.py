"""Frames are images, and show what changed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import make
from envs_jax.base import Environment
from envs_jax.canvas import BLACK, RED, WHITE, Canvas, grid
from envs_jax.render import _PAINTERS, render_episode, render_frame, side_by_side


@pytest.mark.parametrize("env_id", [*_PAINTERS, "MaskedCartPole-v1"])
def test_every_drawable_world(env_id):
    env, params = make(env_id)
    reset = jax.jit(env.reset_env)
    states = [reset(jax.random.key(seed), params)[1] for seed in range(2)]

    frames = render_episode(env, params, states)

    assert len(frames) == 2
    for frame in frames:
        assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
        assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
        assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 1
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    for frame, again in zip(frames, render_episode(env, params, stacked), strict=True):
        np.testing.assert_array_equal(frame, again)


def test_the_cart_is_where_it_is():
    env, params = make("CartPole-v1")
    _, state = env.reset_env(jax.random.key(0), params)
    columns = []
    for x in (-1.2, 0.0, 1.2):
        frame = render_frame(env, params, state.replace(x=x, theta=0.0))
        columns.append(np.nonzero((frame == BLACK).all(axis=2))[1].mean())
    np.testing.assert_allclose(columns, [119.5, 199.5, 279.5], atol=1.0)  # 400 px for 6 m


def test_worlds_that_cannot_be_drawn():
    env, params = make("SimpleBandit-bsuite")
    with pytest.raises(ValueError, match="SimpleBandit-bsuite cannot be drawn: expected a method"):
        render_frame(env, params, None)

    class Blind(Environment):
        pass

    class Wrong(Environment):
        def render(self, state, params):
            return np.zeros((4, 4))

    with pytest.raises(ValueError, match="Blind cannot be drawn"):
        render_frame(Blind(), None, None)
    with pytest.raises(ValueError, match=r"Wrong.render gave float64\(4, 4\): expected a uint8"):
        render_frame(Wrong(), None, None)
    assert render_episode(env, params, []) == []


def test_canvas_areas_and_places():
    canvas = Canvas((-1, 1), (0, 1), width=200)
    assert canvas.pixels.shape == (100, 200, 3)
    canvas.disc((0.5, 0.5), 0.2, BLACK)
    dark = 1 - canvas.pixels[..., 0] / 255.0
    area = dark.sum() / (1 - BLACK[0] / 255) / 100**2
    assert area == pytest.approx(np.pi * 0.2**2, rel=0.02)
    assert not dark[:, :100].any()  # the disc is on the right

    for corners in ([(0, 0), (0.6, 0), (0, 0.5)], [(0, 0.5), (0.6, 0), (0, 0)]):
        canvas = Canvas((-1, 1), (0, 1), width=200, background=BLACK)
        canvas.polygon(corners, WHITE)
        cover = (canvas.pixels[..., 0] - 20.0) / 235
        assert cover.sum() / 100**2 == pytest.approx(0.15, rel=0.02)
        assert cover[-2, 101] == 1 and cover[:50].sum() < 1  # y is up


def test_canvas_clips_what_is_outside():
    canvas = Canvas((0, 1), (0, 1), width=20)
    canvas.disc((5.0, 0.5), 0.3, RED)
    canvas.line((-2, -2), (-1, 3), 0.1, RED)
    assert (canvas.pixels == 255).all()
    canvas.line((-2.0, 0.5), (3.0, 0.5), 0.2, RED)
    assert (canvas.pixels[10] == RED).all() and (canvas.pixels[0] == 255).all()


def test_grid_cells_are_even_squares():
    frame = grid(np.array([[0, 1, 0]]), (WHITE, RED), longest=31)
    assert frame.shape == (10, 30, 3)
    assert (frame[:, 10:20] == RED).all() and (frame[:, :10] == 255).all()


def test_pictures_side_by_side_fill_row_by_row():
    pictures = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = side_by_side(pictures, 2)
    assert sheet.shape == (4, 6, 3)
    np.testing.assert_array_equal(sheet[:2, :3], 10)
    np.testing.assert_array_equal(sheet[:2, 3:], 20)
    np.testing.assert_array_equal(sheet[2:, :3], 30)
    np.testing.assert_array_equal(sheet[2:, 3:], 255)
    assert side_by_side(pictures[:1], 4).shape == (2, 3, 3)
    with pytest.raises(ValueError, match="0 pictures: expected at least one"):
        side_by_side([], 2)
