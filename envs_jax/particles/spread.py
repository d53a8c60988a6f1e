"""Agents that must cover as many landmarks, without a word and without bumping into each other."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax.particles.base import MOVES, ParticleParams, ParticleState, ParticleWorld
from envs_jax.particles.dynamics import between, contact_forces, lengths

__all__ = ["Spread", "SpreadParams"]

_SILENCE = 2
"""The words of each other agent are observed, though none is ever spoken: this many zeros."""


@struct.dataclass
class SpreadParams(ParticleParams):
    """Constants of `Spread`.

    Attributes:
        local_ratio: weight of an agent's own reward; the rest is that of the shared one.
        contact_force: stiffness of the agents, N / m.
        contact_margin: distance over which contact sets in, m.
    """

    agent_size: float = 0.15
    local_ratio: float = 0.5
    contact_force: float = 100.0
    contact_margin: float = 1e-3


class Spread(ParticleWorld[SpreadParams]):
    """As many landmarks as agents: each should have an agent near it.

    An agent observes its velocity, its position, where the landmarks and the other agents are
    relative to it, and the others' silence: float32 ``[6 N]``. It is rewarded by
    ``(1 - local_ratio) * -(sum over landmarks of the distance to the nearest agent)
    - local_ratio * (number of agents that it touches)``. Success: every landmark has an agent
    within `success_radius`.

    With `pettingzoo_1_22`, an agent is held to touch itself too: a constant loss of
    ``local_ratio`` per agent and step, 37.5 in the sum over 3 agents and 25 steps.

    Source: simple_spread of mpe2 1.1.1; task of Lowe et al. (2017), "cooperative navigation".

    Args:
        continuous: see `ParticleWorld`.
        pettingzoo_1_22: see `ParticleWorld`.
        num_agents: and number of landmarks.

    Raises:
        ValueError: for less than one agent.
    """

    def __init__(
        self, continuous: bool = False, pettingzoo_1_22: bool = False, num_agents: int = 3
    ) -> None:
        super().__init__(continuous, pettingzoo_1_22)
        if isinstance(num_agents, bool) or not isinstance(num_agents, int) or num_agents < 1:
            raise ValueError(f"num_agents {num_agents!r}: expected a whole number, nearest is 1")
        self.num_agents = self.num_landmarks = num_agents
        self.observation_size = 4 + 2 * num_agents + (2 + _SILENCE) * (num_agents - 1)  # 6 N

    @property
    def name(self) -> str:
        """The registered id."""
        return "Spread-particles"

    @property
    def default_params(self) -> SpreadParams:
        """Those of mpe2 1.1.1."""
        return SpreadParams()

    def decode(self, action: jax.Array) -> tuple[jax.Array, None]:
        """A move each; nobody speaks."""
        return action if self.continuous else jax.nn.one_hot(action, MOVES), None

    def force(self, state: ParticleState, moves: jax.Array, params: SpreadParams) -> jax.Array:
        """The agents' own, and what keeps them apart."""
        contact = contact_forces(
            state.position, params.agent_size, params.contact_force, params.contact_margin
        )
        return super().force(state, moves, params) + contact

    def judge(self, state: ParticleState, params: SpreadParams) -> tuple[jax.Array, jax.Array]:
        """Shared: landmarks without an agent. Own: agents that one touches."""
        nearest = jnp.min(lengths(between(state.position, state.landmarks)), axis=0)
        touching = lengths(between(state.position, state.position)) < 2 * params.agent_size
        touches = jnp.sum(touching, axis=1, dtype=jnp.float32)
        if not self.pettingzoo_1_22:
            touches -= 1.0  # itself
        reward = -(1 - params.local_ratio) * jnp.sum(nearest) - params.local_ratio * touches
        return reward, jnp.all(nearest < params.success_radius)

    def see(self, state: ParticleState) -> jax.Array:
        """Velocity, position, landmarks, others, silence."""
        n = self.num_agents
        landmarks = between(state.position, state.landmarks).reshape(n, -1)
        # All pairs but those of an agent with itself: in a flat list without its first entry, these
        # are every (n + 1)-th.
        pairs = between(state.position, state.position).reshape(n * n, 2)[1:]
        others = pairs.reshape(n - 1, n + 1, 2)[:, :-1].reshape(n, 2 * (n - 1))
        silence = jnp.zeros((n, _SILENCE * (n - 1)))
        parts = (state.velocity, state.position, landmarks, others, silence)
        return jnp.concatenate(parts, axis=1)

    def colours(self, state: ParticleState) -> tuple[np.ndarray, np.ndarray]:
        """Blue agents, dark landmarks."""
        n = self.num_agents
        return np.tile((0.35, 0.35, 0.85), (n, 1)), np.full((n, 3), 0.25)
