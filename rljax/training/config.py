"""The configuration of a run: what a preset returns and a run folder stores."""

from __future__ import annotations

from typing import Literal

from rljax.algorithms.distil_config import DistilConfig
from rljax.algorithms.happo_config import TeamConfig
from rljax.algorithms.ppo_config import PPOConfig
from rljax.control.config import CurriculumConfig
from rljax.core.config import Count, FrozenDict, Natural, Value, config_dataclass
from rljax.networks.config import NetworkConfig


@config_dataclass
class EnvConfig:
    """The world and what is wrapped around it."""

    name: str
    """Registered name, one of ``envs_jax.available()``."""
    params: FrozenDict[str, Value] = FrozenDict()
    """Parameters of the world that differ from its own defaults."""
    reset: Literal["full", "bank"] = "bank"
    """A fresh start state for each episode (full), or some made in bulk per rollout (bank)."""
    bank_size: Count = 4
    """Start states of each environment in the bank."""
    random_phase: bool = False
    """Whether first episodes start at a random age, so that time limits do not coincide."""
    normalise_observations: bool = False
    """Whether observations are centred and scaled by running moments."""
    normalise_rewards: bool = False
    """Whether rewards are divided by the spread of their discounted sum."""


@config_dataclass
class EvaluationConfig:
    """Evaluation during and after training."""

    episodes: Count = 128
    """Episodes of an evaluation, all in parallel: the first of each environment."""
    every: Count | None = None
    """env_steps between evaluations; none: ten over the run.  One more follows at the end."""
    greedy: bool = True
    """Whether the policy takes its mode rather than a sample."""
    max_steps: Count = 10_000
    """Steps after which an evaluation is cut off in worlds without a time limit."""
    every_stage: bool = False
    """Whether each stage of a curriculum is evaluated, not only the hardest (which
    evaluation/return and the best checkpoint are of in any case)."""


@config_dataclass
class CheckpointConfig:
    """What is kept of a run, to go on from and to play with."""

    every: Count | None = None
    """env_steps between checkpoints; none: ten over the run.  There is one after each evaluation
    and at the end, too."""
    keep_latest: Count = 2
    """How many of the newest are kept."""
    keep_best: Natural = 1
    """How many of those with the best evaluation are kept."""
    keep_every: Count | None = None
    """Keep one for each so many env_steps, too."""


@config_dataclass
class Config:
    """A run."""

    env: EnvConfig
    """The world."""
    name: str = "run"
    """What the run folder is named after."""
    total_steps: Count = 1_000_000
    """env_steps to train for, over all environments; rounded up to whole updates.  Schedules refer
    to it: going on with a larger total raises a learning rate that had already fallen."""
    num_envs: Count = 64
    """Environments simulated in parallel, over all devices."""
    seed: Natural = 0
    """Number that all randomness of the (first) member follows from."""
    seeds: Count = 1
    """Members trained in one program, with seeds seed, seed + 1, ..."""
    seeds_mode: Literal["vmap", "map", "devices"] = "vmap"
    """Members in one batch, one after the other (same bits as alone), or spread over devices."""
    devices: Count | None = None
    """Local devices to shard over; none: all there are (one, on a machine without accelerator)."""
    exact: bool = False
    """Same bits on any number of devices, for some speed."""
    nonfinite: Literal["skip", "stop"] = "skip"
    """After a loss or gradient that is not finite (that step is never taken): go on, or stop."""
    log_every: Count | None = None
    """env_steps between logged rows; none: 200 rows over the run."""
    network: NetworkConfig = NetworkConfig()
    """Actor and critic."""
    ppo: PPOConfig = PPOConfig()
    """The algorithm."""
    team: TeamConfig = TeamConfig()
    """What is added to it in worlds of several agents."""
    distil: DistilConfig | None = None
    """Learning from a teacher's actions instead of rewards; none: by the algorithm above."""
    init_from: str | None = None
    """Run folder whose newest parameters and observation moments this run starts from, member by
    member or all from its only one; none: from random ones."""
    curriculum: CurriculumConfig | None = None
    """Stages of growing difficulty; none: the world as `env` says, all the time."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How often and how policies are evaluated."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """How often and which checkpoints are kept."""

    def __post_init__(self) -> None:
        if self.evaluation.every_stage and self.curriculum is None:
            raise ValueError("evaluation.every_stage: there is no curriculum; expected false")
        if self.seed + self.seeds > 2**32:
            raise ValueError(f"seed {self.seed}: expected all seeds to be below 2^32")


RESUMABLE = (
    "total_steps",
    "devices",
    "log_every",
    "evaluation",
    "checkpoint",
    "nonfinite",
    "distil.teacher",
)
"""Fields that may differ when a run goes on; all others are part of what was trained."""
