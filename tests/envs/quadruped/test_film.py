"""Films: what is in which corner, a calm camera, and MuJoCo's renderer beside our own."""

import jax
import numpy as np
import pytest

import envs_jax
from envs_jax.quadruped.env import Quadruped
from envs_jax.quadruped.mujoco_scene import MujocoScene
from envs_jax.quadruped.render import View, draw
from envs_jax.quadruped.robot import make_robot
from envs_jax.render import render_episode
from mujoco_robot import standing

TOP, BOTTOM = slice(0, 100), slice(300, 360)
LEFT, RIGHT = slice(0, 100), slice(380, 480)


@pytest.fixture(scope="module")
def seeing():
    """A world with scan and depth, its parameters and a state."""
    env, params = envs_jax.make(
        "Quadruped-v1", ground="steps", levels=2, cell=0.1, scan="parkour", depth=(6, 9)
    )
    return env, params, jax.jit(env.reset_env)(jax.random.key(0), params)[1]


def moved(state, x):
    return state.replace(
        body=state.body.replace(position=state.body.position + np.array([x, 0, 0], np.float32))
    )


def test_corners_tell_what_the_robot_knows(seeing):
    env, params, state = seeing
    touching = state.replace(touched=np.array([True, False, True, False]))
    first, last = render_episode(env, params, [state, touching])
    bare = draw(state.body, params.robot, params.terrain.ground)
    for corner in ((TOP, LEFT), (TOP, RIGHT), (BOTTOM, LEFT), (BOTTOM, RIGHT)):
        assert (first[corner] != bare[corner]).any(-1).mean() > 0.05
    # The feet that touch are red, and bars of theirs begin on the right of the diagram.
    red, green, blue = np.moveaxis(last.astype(int), -1, 0)
    assert ((red > 2 * green) & (red > 2 * blue))[150:300].sum() > 20
    assert (first[BOTTOM, LEFT] == last[BOTTOM, LEFT]).all()
    assert (first[280:360, 100:170] != last[280:360, 100:170]).any()


def test_a_picture_alone_has_no_history(seeing):
    env, params, state = seeing
    picture = env.render(state, params)
    assert picture.shape == (360, 480, 3) and picture.dtype == np.uint8
    film = render_episode(env, params, [state])
    np.testing.assert_array_equal(picture, film[0])
    assert render_episode(env, params, []) == []


def test_the_camera_goes_along_calmly():
    env = Quadruped()
    state = jax.jit(env.reset_env)(jax.random.key(0), env.default_params)[1]
    back_and_forth = [moved(state, 0.1 * (-1) ** i) for i in range(40)]
    film = env.film(back_and_forth, env.default_params)
    still = env.film([state] * 40, env.default_params)
    sky = (slice(0, 40), slice(200, 480))
    assert np.abs(film[20][sky].astype(int) - still[20][sky]).mean() < 1.0
    assert (film[20] != still[20]).any()  # the robot does move


def test_an_unknown_renderer():
    with pytest.raises(ValueError, match="renderer 'mujco': .* nearest is 'mujoco'"):
        Quadruped(renderer="mujco")


@pytest.fixture
def scene():
    """MuJoCo's, where it can draw."""
    pytest.importorskip("mujoco")
    scene = MujocoScene()
    try:
        draw(standing(make_robot()), make_robot(), paint=scene)
    except ValueError as error:
        pytest.skip(str(error))
    yield scene
    scene.close()


@pytest.mark.parametrize("azimuth", [-2.3, 0.4])
def test_mujoco_sees_the_same(seeing, scene, azimuth):
    _, params, state = seeing
    options = {
        "view": View(azimuth=azimuth),
        "contacts": np.array([[True, False, True, False]]),
        "scandots": np.asarray(state.body.position) + [[0.5, 0.2, -0.3], [0.3, -0.4, -0.3]],
    }
    args = (state.body, params.robot, params.terrain.ground)
    ours, theirs = draw(*args, **options), draw(*args, **options, paint=scene)
    # Light differs and so do edges, but most pixels show the same thing.
    off = np.abs(ours.astype(int) - theirs).max(-1)
    assert np.median(off) < 25 and (off > 60).mean() < 0.1
    for colour in (reddish, yellowish):
        places = [np.argwhere(colour(picture)) for picture in (ours, theirs)]
        np.testing.assert_allclose(*(x.mean(0) for x in places), atol=4.0)
        assert len(places[0]) == pytest.approx(len(places[1]), rel=0.35)


def test_mujocos_stage_follows_the_robot(seeing, scene):
    _, params, state = seeing
    for x in (0.0, 2.0, 6.0):
        body = moved(state, x).body
        pictures = [
            draw(body, params.robot, params.terrain.ground, **options)
            for options in ({}, {"paint": scene})
        ]
        off = np.abs(pictures[0].astype(int) - pictures[1]).max(-1)
        assert np.median(off) < 25 and (off > 60).mean() < 0.1


def reddish(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return (red > 2 * green) & (red > 2 * blue)


def yellowish(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return (red > 1.8 * blue) & (green > 1.4 * blue)
