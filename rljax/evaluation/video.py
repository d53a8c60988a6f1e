"""Films of a policy, for worlds that can be drawn."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from PIL import Image

from envs_jax.autoreset import AutoReset
from envs_jax.render import render_episode, render_frame
from rljax.core.errors import UserError, nearest
from rljax.evaluation.policy import Policy
from rljax.training.build import hardest_stage, make_env

_FORMATS = (".gif", ".mp4")
_LAST_FRAME_MS = 1000  # a GIF starts over; the end should be seen before


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return where a film is to be written, before any work is done for it.

    Raises:
        UserError: for a format that cannot be written, or a folder that is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        hint = nearest(path.suffix, _FORMATS)
        raise UserError(f"video {path}: got {path.suffix!r}, expected .gif or .mp4.{hint}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"video {path}: folder {path.parent} does not exist")
    if path.suffix.lower() == ".mp4":
        _ffmpeg()
    return path


def record(
    policy: Policy,
    *,
    max_frames: int = 1000,
    seed: int = 0,
    greedy: bool = True,
    stage: str | None = None,
) -> list[np.ndarray]:
    """Play one episode and draw it.

    Args:
        policy: from :func:`rljax.load_policy`.
        max_frames: frames after which the episode is cut off, at least 1.
        seed: of the episode.
        greedy: whether to take the policy's mode rather than a sample.
        stage: of the run's curriculum; None: the hardest.

    Returns:
        Frames uint8 [H, W, 3]: the first state, then one after each step.

    Raises:
        UserError: for a world that cannot be drawn.
    """
    env, env_params = make_env(policy.config, stage or hardest_stage(policy.config))
    _, start = jax.jit(env.env.reset_env)(jax.random.key(seed), env_params)
    try:
        render_frame(env.env, env_params, jax.device_get(start))  # before anything is played
    except ValueError as error:
        raise UserError(str(error)) from None
    mode: Literal["full", "bank"] = "full" if hasattr(env.env, "restart_env") else "bank"
    states = _play(policy, AutoReset(env.env, mode, 1), env_params, max_frames, seed, greedy)
    return render_episode(env.env, env_params, states)


def write_video(
    frames: list[np.ndarray], path: str | os.PathLike[str], frames_per_second: int = 30
) -> None:
    """Write frames (uint8 [H, W, 3]) to a GIF or, with the extra ``video``, an MP4.

    Raises:
        UserError: as :func:`check_path`.
        OSError: if the file cannot be written.
    """
    path = check_path(path)
    if path.suffix.lower() == ".gif":
        _write_gif(frames, path, frames_per_second)
        return
    imageio = _ffmpeg()
    even = [frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2] for frame in frames]
    with warnings.catch_warnings():
        # JAX warns of every fork, but this one only starts a program.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        imageio.mimwrite(path, even, fps=frames_per_second, macro_block_size=2)


def _play(
    policy: Policy, env: AutoReset, env_params: Any, max_frames: int, seed: int, greedy: bool
) -> list[Any]:
    """Return the states of one episode, on the host, up to and with its true last one."""

    @jax.jit
    def step(state: Any, carry: Any, observation: Any, reset: jax.Array, key: jax.Array) -> Any:
        act_key, env_key = jax.random.split(key)
        carry, action = policy.algorithm.act(
            policy.state, carry, observation, reset, None if greedy else act_key
        )
        keys = env_key[None]
        # What `env.step` does before it resets; the compiler sees that and does it once.
        plain_step = jax.vmap(env.env.step_env, (0, 0, 0, None))
        step_keys = jax.vmap(jax.random.split)(keys)[:, 0] if env.mode == "full" else keys
        world = plain_step(step_keys, state.world, action, env_params)[1]
        bank = env.make_bank(keys, env_params)
        state, result = env.step(keys, state, action, env_params, bank)
        ended = result.terminated | result.truncated
        return (state, carry, result.observation, ended), world

    start_key, key = jax.random.split(jax.random.key(seed))
    state, observation = jax.jit(env.init)(start_key[None], env_params)
    loop = (state, policy.initial_carry(1), observation, np.ones(1, bool))
    states = [_first(state.world)]
    while len(states) < max_frames:
        loop, world = step(*loop, jax.random.fold_in(key, len(states)))
        states.append(_first(world))
        if loop[3].all():
            break
    return states


def _first(batch: Any) -> Any:
    return jax.tree.map(lambda x: x[0], jax.device_get(batch))


def _write_gif(frames: list[np.ndarray], path: Path, frames_per_second: int) -> None:
    # One palette for all frames, or still things would flicker.
    sample = np.concatenate(frames[:: max(1, len(frames) // 16)])
    palette = Image.fromarray(sample).quantize(128)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    duration = [round(1000 / frames_per_second)] * (len(images) - 1) + [_LAST_FRAME_MS]
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, loop=0)


def _ffmpeg() -> Any:
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg  # noqa: F401  (what imageio writes MP4 with)
    except ImportError:
        raise UserError(
            "MP4 needs the extra 'video': pip install -e '.[video]'; or write a .gif"
        ) from None
    return imageio
