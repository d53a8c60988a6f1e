"""What a proof that a level can be finished is, and how much effort goes into one."""

from __future__ import annotations

import dataclasses

import numpy as np

from envs_jax.platformer.physics import Precision

__all__ = ["Effort", "Proof"]


@dataclasses.dataclass(frozen=True)
class Effort:
    """How hard is tried.

    Attributes:
        states: that are expanded for a level before it is given up.
        polish: that are expanded after its first finish, to find a quicker one.
        greed: weight of frames to go against frames so far, until the first finish.
        bound: share of the estimate that frames to go are trusted not to fall below.
        slots: levels that are worked on at once.
        batch: states that are expanded at once.
        share: of one level at most; states that are expanded at once cannot follow each other.
        precision: of the physics that is searched in; proofs hold in `safe`.
        longest: frames after which a state is given up.
        mines, doors: the most that a level may have.
    """

    states: int = 8000
    polish: int = 8000
    greed: float = 6.0
    bound: float = 0.8
    slots: int = 32
    batch: int = 256
    share: int = 16
    precision: Precision = "fast"
    longest: int = 2000
    mines: int = 64
    doors: int = 3


@dataclasses.dataclass(frozen=True)
class Proof:
    """Inputs that win a level.

    Attributes:
        horizontal: int8 ``[T]``, -1, 0 or 1.
        jump: bool ``[T]``.
    """

    horizontal: np.ndarray
    jump: np.ndarray

    @property
    def frames(self) -> int:
        """How many frames a good player needs: the level is won in the last of them."""
        return len(self.jump)
