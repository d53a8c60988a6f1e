"""Algorithms: each is pure functions, see :class:`Algorithm`."""

from rljax.algorithms.base import Algorithm
from rljax.algorithms.distil import Teacher, make_distil
from rljax.algorithms.distil_config import DistilConfig
from rljax.algorithms.happo import make_happo
from rljax.algorithms.happo_config import TeamConfig
from rljax.algorithms.ppo import make_ppo
from rljax.algorithms.ppo_config import PPOConfig

__all__ = [
    "Algorithm",
    "DistilConfig",
    "PPOConfig",
    "Teacher",
    "TeamConfig",
    "make_distil",
    "make_happo",
    "make_ppo",
]
