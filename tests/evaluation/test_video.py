"""Films: one whole episode, up to its true last state."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import stage_worlds  # noqa: F401  (registers the worlds)
from envs_jax.autoreset import AutoReset
from rljax.core.config import merge
from rljax.core.errors import UserError
from rljax.evaluation import video
from rljax.evaluation.policy import Policy
from rljax.training.build import make_algorithm, make_env
from rljax.training.config import Config, EnvConfig
from tiny_runs import plain


def _untrained(config: Config) -> Policy:
    """A policy as it is before training."""
    algorithm = make_algorithm(config)
    state = jax.jit(algorithm.init)(jax.random.key(0), np.arange(config.num_envs))
    return Policy(config, algorithm, algorithm.policy(state), 0)


@pytest.fixture(scope="module")
def cartpole() -> Policy:
    return _untrained(plain())


def test_an_episode_from_its_first_to_its_true_last_state(cartpole: Policy) -> None:
    env, params = make_env(cartpole.config)
    states = video._play(cartpole, AutoReset(env.env, "bank", 1), params, 1000, 0, True)
    ends = [bool(env.env.is_terminated(state, params)) for state in states]
    assert 5 < len(states) < 200  # an untrained pole falls
    assert ends == [False] * (len(states) - 1) + [True]
    assert [int(state.time) for state in states] == list(range(len(states)))


def test_states_follow_from_each_other(cartpole: Policy) -> None:
    env, params = make_env(cartpole.config)
    first, second, *_ = video._play(cartpole, AutoReset(env.env, "bank", 1), params, 3, 0, True)
    reached = [env.env.step_env(jax.random.key(0), first, action, params)[1] for action in (0, 1)]
    assert any(np.allclose(second.x_dot, state.x_dot, atol=1e-6) for state in reached)


def test_a_world_whose_episodes_follow_from_each_other() -> None:
    # It may have no bank of start states.
    config = Config(env=EnvConfig(name="stages/climb", reset="full"), num_envs=4)
    policy = _untrained(merge(config, {"ppo": {"rollout_length": 4, "minibatches": 1}}))
    env, params = make_env(config)
    states = video._play(policy, env, params, 1000, 0, True)
    assert [int(state.time) for state in states] == list(range(len(states)))
    assert {int(state.number) for state in states} == {0} and len(states) > 1


def test_sampling_and_seeds_give_other_episodes(cartpole: Policy) -> None:
    def film(**options: Any) -> np.ndarray:
        return np.stack(video.record(cartpole, max_frames=6, **options))

    greedy = film()
    assert (greedy != film(seed=1)).any()
    assert (greedy != film(greedy=False)).any()
    assert greedy.shape[0] == 6 and greedy.dtype == np.uint8


def test_a_gif_plays_at_its_speed_and_rests_on_its_end(tmp_path: Path) -> None:
    frames = [np.full((8, 8, 3), level, np.uint8) for level in (0, 90, 180)]
    video.write_video(frames, tmp_path / "film.gif", frames_per_second=20)
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size) == (3, (8, 8))
        durations, levels = [], []
        for i in range(3):
            film.seek(i)
            durations.append(film.info["duration"])
            levels.append(film.convert("RGB").getpixel((4, 4))[0])
    assert durations == [50, 50, 1000]
    np.testing.assert_allclose(levels, [0, 90, 180], atol=4)


def test_an_mp4_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"pip install -e '\.\[video\]'"):
        video.check_path(tmp_path / "film.mp4")


@pytest.mark.filterwarnings("ignore:os.fork")
def test_an_mp4_of_an_odd_size(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    import imageio.v2 as imageio

    video.write_video([np.zeros((17, 33, 3), np.uint8)] * 5, tmp_path / "film.mp4")
    with imageio.get_reader(tmp_path / "film.mp4") as film:
        assert film.count_frames() == 5
        assert film.get_meta_data()["size"] == (32, 16)


def test_a_world_that_cannot_be_drawn() -> None:
    config = merge(plain(), {"env": {"name": "MemoryChain-bsuite"}})
    with pytest.raises(UserError, match="MemoryChain-bsuite cannot be drawn"):
        video.record(Policy(config, make_algorithm(config), None, 0))  # which need not act
