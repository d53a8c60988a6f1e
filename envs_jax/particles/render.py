"""A picture of particles, and below it what their speakers say."""

from typing import TYPE_CHECKING

import numpy as np

from envs_jax.canvas import BLACK, GREY, Canvas, Colour

if TYPE_CHECKING:
    from envs_jax.particles.base import ParticleParams, ParticleState

_STRIP = 0.15
"""Height of a line of words, as a share of half the width of the picture."""


def draw(
    state: "ParticleState",
    params: "ParticleParams",
    agent_colours: np.ndarray,
    landmark_colours: np.ndarray,
) -> np.ndarray:
    """Draw one state, zoomed out as far as the farthest agent needs.

    Below, one line for each speaker: its colour, then a square for every word, the darker the
    louder it is spoken.

    Args:
        state: unbatched.
        params: of the world.
        agent_colours: ``[N, 3]``, 0 to 1.
        landmark_colours: ``[M, 3]``, 0 to 1.

    Returns:
        uint8 ``[H, W, 3]``, of one size throughout an episode.
    """
    position, landmarks = np.asarray(state.position), np.asarray(state.landmarks)
    words = np.zeros((0, 1)) if state.words is None else np.asarray(state.words)
    reach = max(1.2, 1.2 * float(np.abs(position).max()), 1.2 * float(np.abs(landmarks).max()))
    bottom = -reach * (1 + _STRIP * len(words))
    canvas = Canvas((-reach, reach), (bottom, reach))
    landmark_size, agent_size = float(params.landmark_size), float(params.agent_size)

    def draw_landmarks() -> None:
        for centre, colour in zip(landmarks, landmark_colours, strict=True):
            canvas.disc(centre, landmark_size, _pixel(colour))

    def draw_agents() -> None:
        for centre, colour in zip(position, agent_colours, strict=True):
            canvas.disc(centre, agent_size, BLACK)
            canvas.disc(centre, 0.9 * agent_size, _pixel(colour))

    # What is smaller comes on top, so that a landmark that is covered can still be seen.
    layers = [draw_landmarks, draw_agents]
    for layer in reversed(layers) if agent_size > landmark_size else layers:
        layer()
    for line, (said, colour) in enumerate(zip(words, agent_colours, strict=False)):
        _draw_words(canvas, said, _pixel(colour), -reach * (1 + _STRIP * (line + 0.5)), reach)
    return canvas.pixels


def _draw_words(canvas: Canvas, said: np.ndarray, colour: Colour, y: float, reach: float) -> None:
    step, half = _STRIP * reach, 0.35 * _STRIP * reach
    canvas.disc((-reach + 0.7 * step, y), half, colour)
    for word, loudness in enumerate(said):
        x = -reach + (word + 2) * step
        for edge, shade in ((half, GREY), (0.85 * half, _pixel(np.full(3, 1 - loudness)))):
            corners = [(x - edge, y - edge), (x + edge, y - edge)]
            canvas.polygon([*corners, (x + edge, y + edge), (x - edge, y + edge)], shade)


def _pixel(colour: np.ndarray) -> Colour:
    red, green, blue = np.rint(255 * np.clip(colour, 0.0, 1.0)).astype(int).tolist()
    return red, green, blue
