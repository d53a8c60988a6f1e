"""One agent knows where to go but cannot move, the other can move but does not know where to."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax import spaces
from envs_jax.particles.base import MOVES, ParticleParams, ParticleState, ParticleWorld
from envs_jax.particles.dynamics import between

__all__ = ["SpeakerListener", "SpeakerListenerParams"]


@struct.dataclass
class SpeakerListenerParams(ParticleParams):
    """Constants of `SpeakerListener`."""

    agent_size: float = 0.075
    landmark_size: float = 0.04


class SpeakerListener(ParticleWorld[SpeakerListenerParams]):
    """Agent 0 speaks, agent 1 listens and moves.

    The speaker observes the colour of the landmark that the listener must go to (3 numbers, padded
    by zeros) and says one of three words. The listener observes its velocity, where the landmarks
    are relative to it, and the word: float32 ``[11]``. Both are given minus the square of the
    listener's distance to that landmark. Success: the listener is within `success_radius` of it.

    Choices are five for both; the speaker's last two are masked, and are the first word if they
    are taken all the same. So the observation is a dict with the parts ``observation`` and
    ``action_mask``; in the continuous world it is the former alone, and of the speaker's five
    shades the last two are ignored.

    Source: simple_speaker_listener of mpe2 1.1.1; task of Lowe et al. (2017), "cooperative
    communication"; padding as in SuperSuit 3.7.0, which has no masks.

    Args:
        continuous: see `ParticleWorld`.
        pettingzoo_1_22: see `ParticleWorld`.
    """

    num_speakers = 1
    vocabulary = 3
    observation_size = 11

    @property
    def name(self) -> str:
        """The registered id."""
        return "SpeakerListener-particles"

    @property
    def default_params(self) -> SpeakerListenerParams:
        """Those of mpe2 1.1.1."""
        return SpeakerListenerParams()

    def decode(self, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The word of the first, the move of the second."""
        if self.continuous:
            word, move = action[:1, : self.vocabulary], action[1:]
        else:
            spoken = jnp.where(action[:1] < self.vocabulary, action[:1], 0)
            word, move = jax.nn.one_hot(spoken, self.vocabulary), jax.nn.one_hot(action[1:], MOVES)
        return jnp.concatenate((jnp.zeros((1, MOVES)), move)), word

    def judge(
        self, state: ParticleState, params: SpeakerListenerParams
    ) -> tuple[jax.Array, jax.Array]:
        """How far the listener is from its goal."""
        squares = jnp.sum(jnp.square(state.landmarks - state.position[1]), axis=1)
        square = jnp.sum(squares * jax.nn.one_hot(state.goals, 3)[0])
        return jnp.full((2,), -square), square < params.success_radius**2

    def see(self, state: ParticleState) -> jax.Array:
        """Colour of the goal; velocity, landmarks and word."""
        assert state.words is not None
        colour = 0.15 + 0.5 * jax.nn.one_hot(state.goals, 3)[0]
        landmarks = between(state.position[1:], state.landmarks).reshape(-1)
        speaker = jnp.pad(colour, (0, self.observation_size - 3))
        listener = jnp.concatenate((state.velocity[1], landmarks, state.words[0]))
        return jnp.stack((speaker, listener))

    def get_obs(
        self,
        state: ParticleState,
        params: SpeakerListenerParams | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array | dict[str, jax.Array]:
        """What `see` says, with an action mask where actions are choices."""
        if self.continuous:
            return self.see(state)
        mask = np.arange(MOVES) < np.array([[self.vocabulary], [MOVES]])
        return {"observation": self.see(state), spaces.ACTION_MASK: jnp.asarray(mask)}

    def global_state(self, state: ParticleState, params: SpeakerListenerParams) -> jax.Array:
        """Both agents' observations in one row, without padding: float32 ``[14]``."""
        seen = self.see(state)
        return jnp.concatenate((seen[0, :3], seen[1]))

    def observation_space(self, params: SpeakerListenerParams) -> "spaces.Box | spaces.Dict":
        """Of one agent."""
        seen = super().observation_space(params)
        if self.continuous:
            return seen
        parts: dict[str, Any] = {"observation": seen}
        parts[spaces.ACTION_MASK] = spaces.Box(0, 1, (MOVES,), jnp.bool)
        return spaces.Dict(parts)

    def colours(self, state: ParticleState) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks in red, green and blue; a dark speaker; a listener as its goal, but lighter."""
        landmarks = 0.15 + 0.5 * np.eye(3)
        listener = landmarks[np.asarray(state.goals)[0]] + 0.35
        return np.stack((np.full(3, 0.25), listener)), landmarks
