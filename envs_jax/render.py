"""Frames of a world: its own ``render`` where it has one, else a painter for gymnax's worlds.

gymnax's visualiser is of no use here: its classic-control part needs pygame, and the rest draws a
whole matplotlib figure per frame. The painters below are numpy on the host.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from envs_jax.canvas import BLACK, BLUE, BROWN, GREEN, GREY, RED, WHITE, Canvas, grid

__all__ = ["draw_cartpole", "render_episode", "render_frame", "side_by_side"]

_PURPLE, _CYAN, _YELLOW, _PINK = (130, 90, 180), (90, 190, 200), (230, 200, 80), (230, 130, 180)

# Nothing, then one colour per channel: Seaquest has the most, ten.
_CHANNELS = (BLACK, BLUE, RED, GREEN, BROWN, WHITE, _PURPLE, _CYAN, _YELLOW, _PINK, GREY)


def render_episode(env: Any, params: Any, states: Any) -> list[np.ndarray]:
    """Draw the states of an episode, one uint8 ``[H, W, 3]`` frame each.

    Args:
        env: the world.
        params: its parameters.
        states: a list of states, or one pytree with leaves ``[T, ...]``.

    Raises:
        ValueError: for a world that cannot be drawn.
    """
    if isinstance(states, list):
        sequence = jax.device_get(states)
    else:
        leaves, structure = jax.tree.flatten(jax.device_get(states))
        sequence = [jax.tree.unflatten(structure, row) for row in zip(*leaves, strict=True)]
    params = jax.device_get(params)
    film = getattr(env, "film", None)
    if film is not None and sequence:
        frames: list[np.ndarray] = film(sequence, params)
        return frames
    return [render_frame(env, params, state) for state in sequence]


def render_frame(env: Any, params: Any, state: Any) -> np.ndarray:
    """Draw one (unbatched) state, uint8 ``[H, W, 3]``.

    Raises:
        ValueError: for a world that cannot be drawn, or that draws something else than this.
    """
    render = getattr(type(env), "render", None)
    if render is None or render.__module__.startswith("gymnax."):  # gymnax's return a figure
        painter = _PAINTERS.get(env.name)
        if painter is None:
            raise _undrawable(env)
        return painter(env, state, params)
    try:
        frame = render(env, state, params)
    except NotImplementedError:
        raise _undrawable(env) from None
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
        found = f"{getattr(frame, 'dtype', type(frame).__name__)}{getattr(frame, 'shape', '')}"
        raise ValueError(f"{env.name}.render gave {found}: expected a uint8 numpy array [H, W, 3]")
    return frame


def side_by_side(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size in rows of `columns`, what is left over white: uint8 ``[H, W, 3]``.

    Raises:
        ValueError: for no pictures.
    """
    if not pictures:
        raise ValueError("0 pictures: expected at least one")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width, _ = pictures[0].shape
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        sheet[row * height :, column * width :][:height, :width] = picture
    return sheet


def _undrawable(env: Any) -> ValueError:
    return ValueError(
        f"{env.name} cannot be drawn: expected a method render(state, params) -> uint8 [H, W, 3], "
        f"or one of {', '.join(_PAINTERS)}"
    )


def draw_cartpole(state: Any, params: Any) -> np.ndarray:
    """Cart on its track, pole of its true length."""
    reach = float(params.x_threshold) * 1.25
    canvas = Canvas((-reach, reach), (-0.6, 1.6))
    x, theta, length = float(state.x), float(state.theta), 2 * float(params.length)
    canvas.line((-reach, 0.0), (reach, 0.0), 0.02, GREY)
    canvas.polygon([(x - 0.3, -0.15), (x + 0.3, -0.15), (x + 0.3, 0.15), (x - 0.3, 0.15)], BLACK)
    tip = (x + length * np.sin(theta), 0.1 + length * np.cos(theta))
    canvas.line((x, 0.1), tip, 0.1, BROWN)
    canvas.disc((x, 0.1), 0.05, BLUE)
    return canvas.pixels


def _draw_acrobot(env: Any, state: Any, params: Any) -> np.ndarray:
    first, second = float(params.link_length_1), float(params.link_length_2)
    reach = 1.1 * (first + second)
    canvas = Canvas((-reach, reach), (-reach, reach))
    inner = float(state.joint_angle1)
    outer = inner + float(state.joint_angle2)
    elbow = first * np.array([np.sin(inner), -np.cos(inner)])
    tip = elbow + second * np.array([np.sin(outer), -np.cos(outer)])
    canvas.line((-reach, first), (reach, first), 0.02, GREEN)  # the height to reach
    canvas.line((0.0, 0.0), elbow, 0.2, BLUE)
    canvas.line(elbow, tip, 0.2, BLUE)
    for joint in ((0.0, 0.0), elbow):
        canvas.disc(joint, 0.1, BROWN)
    return canvas.pixels


def _draw_pendulum(env: Any, state: Any, params: Any) -> np.ndarray:
    length = float(params.l)
    reach = 1.3 * length
    canvas = Canvas((-reach, reach), (-reach, reach))
    angle = float(state.theta)  # 0 is upright
    canvas.line((0.0, 0.0), (-length * np.sin(angle), length * np.cos(angle)), 0.2 * length, RED)
    canvas.disc((0.0, 0.0), 0.05 * length, BLACK)
    return canvas.pixels


def _draw_mountain_car(env: Any, state: Any, params: Any) -> np.ndarray:
    def ground(x: float) -> np.ndarray:
        return np.array([x, 0.45 * np.sin(3 * x) + 0.55])

    low, high = float(params.min_position), float(params.max_position)
    canvas = Canvas((low, high), (0.0, 1.2))
    track = np.linspace(low, high, 25)
    for left, right in itertools.pairwise(track):
        canvas.line(ground(left), ground(right), 0.01, GREY)
    goal = ground(float(params.goal_position))
    canvas.line(goal, goal + (0.0, 0.15), 0.012, BLACK)
    canvas.disc(goal + (0.03, 0.13), 0.03, GREEN)
    canvas.disc(ground(float(state.position)) + (0.0, 0.04), 0.04, BLUE)
    return canvas.pixels


def _draw_point_robot(env: Any, state: Any, params: Any) -> np.ndarray:
    reach = 1.5 * float(params.circle_radius)
    canvas = Canvas((-reach, reach), (-reach, reach))
    canvas.disc(state.goal, float(params.goal_radius), GREEN)
    canvas.disc(state.pos, 0.05 * float(params.circle_radius), RED)
    return canvas.pixels


def _draw_maze(env: Any, state: Any, params: Any) -> np.ndarray:
    cells = np.array(env.occupied_map, int)
    cells[tuple(state.goal)], cells[tuple(state.pos)] = 2, 3
    return grid(cells, (WHITE, BLACK, GREEN, RED))


def _draw_frozen_lake(env: Any, state: Any, params: Any) -> np.ndarray:
    cells = np.array(env.desc, int)
    cells.flat[int(state.position)] = 4
    return grid(cells, (GREY, WHITE, BLUE, GREEN, RED))


@functools.partial(jax.jit, static_argnums=0)
def _observe(env: Any, state: Any, params: Any) -> jax.Array:
    return env.observe(jax.random.key(0), state, None, params)  # type: ignore[no-any-return]


def _draw_observation(env: Any, state: Any, params: Any) -> np.ndarray:
    """An observation of zeros and ones, ``[H, W]`` or ``[H, W, C]``: the last channel is on top."""
    seen = np.asarray(_observe(env, state, params)) > 0
    seen = seen.reshape(*seen.shape[:2], -1)
    on_top = (seen * np.arange(1, seen.shape[2] + 1)).max(axis=2)
    return grid(on_top, _CHANNELS)


_PAINTERS: dict[str, Callable[[Any, Any, Any], np.ndarray]] = {
    "CartPole-v1": lambda env, state, params: draw_cartpole(state, params),
    "Acrobot-v1": _draw_acrobot,
    "Pendulum-v1": _draw_pendulum,
    "MountainCar-v0": _draw_mountain_car,
    "MountainCarContinuous-v0": _draw_mountain_car,
    "PointRobot-misc": _draw_point_robot,
    "FourRooms-misc": _draw_maze,
    "MetaMaze-misc": _draw_maze,
    "FrozenLake-misc": _draw_frozen_lake,
    **dict.fromkeys(
        ("Asterix-MinAtar", "Breakout-MinAtar", "Freeway-MinAtar", "Seaquest-MinAtar",
         "SpaceInvaders-MinAtar", "Pong-misc", "Catch-bsuite", "DeepSea-bsuite"),
        _draw_observation,
    ),
}  # fmt: skip
