"""Two agents, each of which knows where the other must go."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.particles.base import MOVES, ParticleParams, ParticleState, ParticleWorld
from envs_jax.particles.dynamics import between, lengths

__all__ = ["Reference", "ReferenceParams"]


@struct.dataclass
class ReferenceParams(ParticleParams):
    """Constants of `Reference`.

    Attributes:
        local_ratio: weight of an agent's own reward; the rest is that of their mean.
    """

    local_ratio: float = 0.5


class Reference(ParticleWorld[ReferenceParams]):
    """Both agents move and speak, one of ten words at a time; agents pass through each other.

    A choice is ``move + 5 * word``. An agent observes its velocity, where the landmarks are
    relative to it, the colour of the landmark that the other agent must go to, and what the other
    said: float32 ``[21]``. Its own reward is minus the distance of the *other* agent to that
    landmark; it is given ``local_ratio`` of that and ``1 - local_ratio`` of the mean of both.
    Success: both are within `success_radius` of where they must go.

    Source: simple_reference of mpe2 1.1.1; task of Lowe et al. (2017).

    Args:
        continuous: see `ParticleWorld`.
        pettingzoo_1_22: see `ParticleWorld`.
    """

    num_speakers = 2
    vocabulary = 10
    action_size = (MOVES * vocabulary, MOVES + vocabulary)
    observation_size = 21

    @property
    def name(self) -> str:
        """The registered id."""
        return "Reference-particles"

    @property
    def default_params(self) -> ReferenceParams:
        """Those of mpe2 1.1.1."""
        return ReferenceParams()

    def decode(self, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A move and a word each."""
        if self.continuous:
            return action[:, :MOVES], action[:, MOVES:]
        word, move = jnp.divmod(action, MOVES)
        return jax.nn.one_hot(move, MOVES), jax.nn.one_hot(word, self.vocabulary)

    def judge(self, state: ParticleState, params: ReferenceParams) -> tuple[jax.Array, jax.Array]:
        """How far the other is from where this agent knows that it must go."""
        other_distance = lengths(between(state.position, state.landmarks))[::-1]
        distance = jnp.sum(other_distance * jax.nn.one_hot(state.goals, 3), axis=1)
        shared = (1 - params.local_ratio) * jnp.mean(distance)
        reward = -shared - params.local_ratio * distance
        return reward, jnp.all(distance < params.success_radius)

    def see(self, state: ParticleState) -> jax.Array:
        """Velocity, landmarks, colour of the other's goal, the other's word."""
        assert state.words is not None
        landmarks = between(state.position, state.landmarks).reshape(2, -1)
        colour = 0.25 + 0.5 * jax.nn.one_hot(state.goals, 3)
        return jnp.concatenate((state.velocity, landmarks, colour, state.words[::-1]), axis=1)

    def colours(self, state: ParticleState) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks in red, green and blue, each agent as the one that it must go to."""
        landmarks = 0.25 + 0.5 * np.eye(3)
        return landmarks[np.asarray(state.goals)[::-1]], landmarks
