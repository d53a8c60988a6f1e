"""Static choices of distillation."""

from __future__ import annotations

from typing import Literal

from rljax.core.config import Natural, config_dataclass
from rljax.networks import NetworkConfig


@config_dataclass
class DistilConfig:
    """Distillation of a teacher into a student (DAgger, Ross et al. 2011).

    The student acts, and learns what its teacher would have done on the observations that it met;
    only those of the newest rollout are kept.  Rollouts, minibatches and the optimiser are as in
    section ppo; of its losses only the critic's is used, if that learns at all.
    """

    teacher: str
    """Run folder of the policy to learn from."""
    env_steps: Natural | None = None
    """Which of its checkpoints; none: the newest good one, also when this run goes on later."""
    member: Natural = 0
    """Which of its seeds."""
    loss: Literal["error", "likelihood"] = "error"
    """Mean squared distance from the teacher's action (its mode), or how unlikely the student
    thinks that action, which also fits its standard deviation and suits discrete actions."""
    greedy: bool = True
    """Whether the student acts by its mode rather than by samples."""
    teacher_updates: Natural = 0
    """Updates over which the share of steps that the teacher does falls from 1 to 0; 0: none."""
    critic: bool = False
    """Whether the student's critic learns too, for PPO to go on from."""


@config_dataclass
class TeacherRecord:
    """What a student's run folder stores of its teacher: enough to do without it but for training,
    and to know it again."""

    run: str
    """Run folder it was read from."""
    env_steps: Natural
    """Its checkpoint."""
    member: Natural
    """Its seed's number in that run."""
    sha256: str
    """Digest of its parameters and moments."""
    network: NetworkConfig
    """Its network."""
