"""A student and its teacher behind the interface of one network.

The two go through a rollout together, each with a carry of its own.  What a step is remembered by
is what was done and what the teacher would have done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rljax.core.types import PolicyState
from rljax.networks.actor_critic import ActorCritic
from rljax.networks.recurrent import Carry, initial_carry
from rljax.ops import Distribution, Moments, normalisation


class Taught(struct.PyTreeNode):
    """Actions of steps, in the policies' units.

    Attributes:
        taken: what was done.
        taught: what the teacher would have done (its mode).
    """

    taken: jax.Array
    taught: jax.Array


class Lesson(struct.PyTreeNode):
    """How a pair acts, as a distribution over :class:`Taught`.

    Attributes:
        student: the student's distribution.
        taught: the teacher's mode.
        share: float32 scalar, chance of each step that the teacher acts; None: it never does.
        greedy: whether the student takes its mode rather than a sample.
    """

    student: Distribution
    taught: jax.Array
    share: jax.Array | None
    greedy: bool = struct.field(pytree_node=False)

    def sample(self, noise: dict[str, jax.Array]) -> Taught:
        """Return an action; noise from :meth:`Pair.draw_noise`."""
        taken = self.student.mode() if self.greedy else self.student.sample(noise["student"])
        if self.share is not None:
            led = noise["teacher"] < self.share
            led = led.reshape(led.shape + (1,) * (taken.ndim - led.ndim))
            taken = jnp.where(led, self.taught, taken)
        return Taught(taken, self.taught)

    def log_prob(self, action: Taught) -> jax.Array:
        """Return how likely the student was to do what was done."""
        return self.student.log_prob(action.taken)


class Acting(struct.PyTreeNode):
    """What a pair acts by, in the place of parameters.

    Attributes:
        student: its parameters, and the moments of its observations.
        share: see :class:`Lesson`.
    """

    student: PolicyState
    share: jax.Array | None


@dataclass(frozen=True, eq=False)
class Pair:
    """A student that acts and a frozen teacher that watches.

    It is used as an :class:`ActorCritic` is, by ``apply(acting, carry, observation, reset)``, on
    observations as the world gives them: each of the two has moments of its own.

    Attributes:
        student: the network that learns.
        teacher: the teacher's network.
        policy: the teacher's parameters and moments, constants of the program; None where only
            shapes are asked for.
        parts: what the teacher sees of an observation.
        valued: whether the student's critic is asked; values are 0 if not.
        greedy: see :class:`Lesson`.
    """

    student: ActorCritic
    teacher: ActorCritic
    policy: PolicyState | None
    parts: tuple[str, ...]
    valued: bool
    greedy: bool

    def init(self, key: jax.Array, carry: Any, observation: Any, reset: jax.Array) -> Any:
        """Return the student's parameters, see :meth:`ActorCritic.init`."""
        return self.student.init(key, carry["student"], observation, reset)

    def apply(
        self, acting: Acting, carry: Carry, observation: Any, reset: jax.Array, method: str = "all"
    ) -> Any:
        """Evaluate sequences.

        Args:
            acting: what to act by.
            carry: {"student": ..., "teacher": ...}.
            observation: leaves [T, B, ...], not normalised.
            reset: bool [T, B].
            method: "value" as :class:`ActorCritic`'s; "all" is its ``__call__``.
        """
        student: Callable[..., Any] = self.student.apply
        params, own = acting.student.params, carry["student"]
        seen = _normalised(acting.student.observation_moments, observation)
        nothing = jnp.zeros(reset.shape)
        if method == "value":
            return student(params, own, seen, reset, method="value") if self.valued else nothing
        if self.valued:
            own, distribution, value = student(params, own, seen, reset)
        else:
            own, distribution = student(params, own, seen, reset, method="act")
            value = nothing
        watching, taught = self._teach(carry["teacher"], observation, reset)
        lesson = Lesson(distribution, taught.mode(), acting.share, self.greedy)
        return {"student": own, "teacher": watching}, lesson, value

    def draw_noise(self, key: jax.Array, shape: tuple[int, ...]) -> dict[str, jax.Array]:
        """The noise of ``shape`` actions, and of who does them."""
        student, teacher = jax.random.split(key)
        return {
            "student": self.student.draw_noise(student, shape),
            "teacher": jax.random.uniform(teacher, shape),
        }

    def to_environment(self, distribution: Lesson, action: Taught) -> jax.Array:
        """Map stored actions to the environment's."""
        return self.student.to_environment(distribution.student, action.taken)

    def initial_carry(self, batch: int) -> Carry:
        """The carries of ``batch`` environments at the start of an episode: zeros."""
        config = self.teacher.config
        return {
            "student": self.student.initial_carry(batch),
            "teacher": {"actor": initial_carry(config.core, config.core_size, (batch,))},
        }

    def _teach(self, carry: Carry, observation: Any, reset: jax.Array) -> tuple[Carry, Any]:
        assert self.policy is not None, "a teacher of which only shapes are known"
        teacher: Callable[..., Any] = self.teacher.apply
        seen = {name: named(observation)[name] for name in self.parts}
        seen = _normalised(self.policy.observation_moments, seen)
        result: tuple[Carry, Any] = teacher(self.policy.params, carry, seen, reset, method="act")
        return result


def named(observation: Any) -> dict[str, Any]:
    """Return an observation as named parts; a plain array is one, named "observation"."""
    return observation if isinstance(observation, dict) else {"observation": observation}


def _normalised(moments: Moments | None, observation: Any) -> Any:
    return observation if moments is None else normalisation.normalise(moments, observation)
