"""What the worlds of particles have in common: start, step, spaces."""

from typing import Any, ClassVar, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs_jax import spaces
from envs_jax.base import EnvParams, EnvState, MultiAgentEnvironment
from envs_jax.particles.dynamics import integrate, steer
from envs_jax.particles.render import draw

__all__ = ["MOVES", "ParticleParams", "ParticleState", "ParticleWorld"]

MOVES = 5
"""Choices of a mover: none, left, right, down, up."""


@struct.dataclass
class ParticleState(EnvState):
    """State of a world of N agents and M landmarks.

    Attributes:
        time: int32, steps since the start.
        position: of the agents, float32 ``[N, 2]``, m.
        velocity: of the agents, float32 ``[N, 2]``, m / s.
        landmarks: their positions, float32 ``[M, 2]``, m.
        words: what each speaker said last, float32 ``[speakers, vocabulary]``, one-hot or shades
            of all words; None where nobody speaks.
        goals: int32 ``[speakers]``, the landmark that each speaker knows somebody else must go to;
            None where nobody speaks.
    """

    position: jax.Array
    velocity: jax.Array
    landmarks: jax.Array
    words: jax.Array | None = None
    goals: jax.Array | None = None


@struct.dataclass
class ParticleParams(EnvParams):
    """Physical constants.

    Attributes:
        max_steps_in_episode: time limit, steps.
        dt: length of a step, s.
        damping: share of its velocity that an agent loses in a step.
        sensitivity: force of a full move, N.
        mass: of an agent, kg.
        agent_size: radius of an agent, m.
        landmark_size: radius of a landmark, m; only to be seen.
        success_radius: how near to its goal counts as there, m.
    """

    max_steps_in_episode: int = 25
    dt: float = 0.1
    damping: float = 0.25
    sensitivity: float = 5.0
    mass: float = 1.0
    agent_size: float = 0.05
    landmark_size: float = 0.05
    success_radius: float = 0.1


ParamsT = TypeVar("ParamsT", bound=ParticleParams)


class ParticleWorld(MultiAgentEnvironment[ParticleState, ParamsT], Generic[ParamsT]):
    """A world of particles; what happens in it is for its heirs to say.

    An heir sets the class attributes and gives `default_params`, `decode`, `see`, `judge` and
    `colours`. An episode ends by its time limit only.

    Args:
        continuous: act by shades of all moves and words, in [0, 1] (clipped to it), instead of by
            one move and one word.
        pettingzoo_1_22: be PettingZoo 1.22.2 as HARL (Zhong et al. 2024, arXiv:2304.09870) trains
            in it, instead of mpe2 1.1.1: velocities are updated before positions, shades of left
            and right and of down and up change places, every agent is given the sum of all
            agents' rewards, and see `Spread`.

    Attributes:
        num_landmarks: how many landmarks there are.
        num_speakers: how many agents speak.
        vocabulary: how many words there are.
        action_size: number of choices of the agent that has most; the same in shades.
        observation_size: length of the longest observation.
    """

    num_agents: int = 2
    num_landmarks: int = 3
    num_speakers: ClassVar[int] = 0
    vocabulary: ClassVar[int] = 0
    action_size: tuple[int, int] = (MOVES, MOVES)
    observation_size: int

    def __init__(self, continuous: bool = False, pettingzoo_1_22: bool = False) -> None:
        super().__init__()
        self.continuous, self.pettingzoo_1_22 = continuous, pettingzoo_1_22

    def decode(self, action: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Weights of moves ``[N, 5]`` and of words ``[speakers, vocabulary]`` in an action."""
        raise NotImplementedError

    def see(self, state: ParticleState) -> jax.Array:
        """What each agent observes, float32 ``[N, observation_size]``, padded by zeros."""
        raise NotImplementedError

    def judge(self, state: ParticleState, params: ParamsT) -> tuple[jax.Array, jax.Array]:
        """Each agent's own reward, float32 ``[N]``, and whether all is as it should be, bool."""
        raise NotImplementedError

    def colours(self, state: ParticleState) -> tuple[np.ndarray, np.ndarray]:
        """Colours of agents ``[N, 3]`` and landmarks ``[M, 3]``, 0 to 1, on the host."""
        raise NotImplementedError

    def force(self, state: ParticleState, moves: jax.Array, params: ParamsT) -> jax.Array:
        """Force on each agent, float32 ``[N, 2]``, N."""
        mirrored = self.pettingzoo_1_22 and self.continuous
        return (-params.sensitivity if mirrored else params.sensitivity) * steer(moves)

    def reset_env(
        self, key: jax.Array, params: ParamsT
    ) -> tuple[jax.Array | dict[str, jax.Array], ParticleState]:
        """All at rest and anywhere in the square from -1 to 1 m; nothing has been said."""
        place_key, goal_key = jax.random.split(key)
        shape = (self.num_agents + self.num_landmarks, 2)
        places = jax.random.uniform(place_key, shape, minval=-1.0, maxval=1.0)
        words = goals = None
        if self.num_speakers:
            words = jnp.zeros((self.num_speakers, self.vocabulary))
            goals = jax.random.randint(goal_key, (self.num_speakers,), 0, self.num_landmarks)
        state = ParticleState(
            time=jnp.zeros((), jnp.int32),
            position=places[: self.num_agents],
            velocity=jnp.zeros((self.num_agents, 2)),
            landmarks=places[self.num_agents :],
            words=words,
            goals=goals,
        )
        return self.get_obs(state, params), state

    def step_env(
        self, key: jax.Array, state: ParticleState, action: Any, params: ParamsT
    ) -> tuple[
        jax.Array | dict[str, jax.Array], ParticleState, jax.Array, jax.Array, dict[str, Any]
    ]:
        """Move, speak and judge where that led; draws no random numbers."""
        action = jnp.asarray(action)
        moves, words = self.decode(jnp.clip(action, 0.0, 1.0) if self.continuous else action)
        force = self.force(state, moves, params)
        position, velocity = integrate(
            state.position,
            state.velocity,
            force,
            params.mass,
            params.damping,
            params.dt,
            velocity_first=self.pettingzoo_1_22,
        )
        state = state.replace(
            time=state.time + 1, position=position, velocity=velocity, words=words
        )
        reward, success = self.judge(state, params)
        if self.pettingzoo_1_22:
            reward = jnp.full_like(reward, jnp.sum(reward))
        return self.get_obs(state, params), state, reward, jnp.bool(False), {"success": success}

    def get_obs(
        self,
        state: ParticleState,
        params: ParamsT | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array | dict[str, jax.Array]:
        """What `see` says."""
        return self.see(state)

    def is_terminated(self, state: ParticleState, params: ParamsT) -> jax.Array:
        """Never."""
        return jnp.bool(False)

    def global_state(self, state: ParticleState, params: ParamsT) -> jax.Array:
        """All agents' observations in one row, without padding."""
        return self.see(state).reshape(-1)

    def action_space(self, params: ParamsT | None = None) -> "spaces.Discrete | spaces.Box":
        """Of one agent: a choice, or a shade of each move and then of each word."""
        choices, shades = self.action_size
        return spaces.Box(0.0, 1.0, (shades,)) if self.continuous else spaces.Discrete(choices)

    def observation_space(self, params: ParamsT) -> "spaces.Box | spaces.Dict":
        """Of one agent: unbounded."""
        return spaces.Box(-jnp.inf, jnp.inf, (self.observation_size,))

    def render(self, state: ParticleState, params: ParamsT) -> np.ndarray:
        """Agents, landmarks and what is being said, uint8 ``[H, W, 3]``."""
        agents, landmarks = self.colours(state)
        return draw(state, params, agents, landmarks)
