"""A world from above."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs_jax.canvas import BLACK, BLUE, BROWN, GREEN, RED, Canvas, Colour

if TYPE_CHECKING:  # it imports gymnax, which starts a backend
    from envs_jax.pushing.world import PushingParams, PushingState

_MARGIN = 0.4  # m around the agents' places at reset
_PALE: Colour = (205, 235, 210)
_TEAM: tuple[Colour, ...] = (BLUE, RED, (130, 90, 180), (90, 190, 200))


def draw(state: PushingState, params: PushingParams) -> np.ndarray:
    """The ground around target and object, uint8 ``[H, W, 3]``.

    Target: a disc of the radius `threshold` around a point. Object: its shape, and a line from its
    centre along its first axis. Agents: their capsules, numbered by colour, with a black nose.
    The scale is that at which a reset is seen whole, and only changes when the object is taken
    further away than that; agents that run off are cut off.
    """
    thing, agents = state.object, state.agents
    place = np.array([float(thing.position.x), float(thing.position.y)])
    goal = np.array([float(state.target.x), float(state.target.y)])
    threshold = float(params.threshold)
    middle, apart = (place + goal) / 2, np.hypot(*(goal - place))
    reach = max(apart, float(params.target_distance[1])) / 2
    reach += float(params.spawn_radius[1]) + _MARGIN
    canvas = Canvas((middle[0] - reach, middle[0] + reach), (middle[1] - reach, middle[1] + reach))

    canvas.disc(goal, threshold, _PALE)
    canvas.disc(goal, 0.05, GREEN)
    forward = np.array([np.cos(float(thing.yaw)), np.sin(float(thing.yaw))])
    _draw_object(canvas, place, forward, params)
    canvas.line(place, place + 0.3 * forward, 0.05, BLACK)
    for i, yaw in enumerate(np.asarray(agents.yaw, float)):
        at = np.array([float(agents.position.x[i]), float(agents.position.y[i])])
        radius = float(params.agent_radius[i])
        half = np.array([np.cos(yaw), np.sin(yaw)]) * (float(params.agent_length[i]) / 2 - radius)
        canvas.line(at - half, at + half, 2 * radius, _TEAM[i % len(_TEAM)])
        canvas.disc(at + half, radius / 2, BLACK)
    return canvas.pixels


def _draw_object(
    canvas: Canvas, place: np.ndarray, forward: np.ndarray, params: PushingParams
) -> None:
    left = np.array([-forward[1], forward[0]])
    rounding = float(params.rounding)
    for x, y, half_x, half_y in np.asarray(params.rectangles, float):
        signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
        corners = [place + forward * (x + i * half_x) + left * (y + j * half_y) for i, j in signs]
        if half_x > 0 and half_y > 0:
            canvas.polygon(corners, BROWN)
        if rounding > 0:
            for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
                canvas.line(start, end, 2 * rounding, BROWN)
