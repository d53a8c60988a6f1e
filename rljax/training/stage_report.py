"""What a run tells of its curriculum: ``curriculum.json``, and a line for each transition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rljax.control.config import CurriculumConfig
from rljax.control.report import in_words, report, transitions
from rljax.core.errors import UserError
from rljax.core.types import TrainState
from rljax.training.run_folder import RunFolder


class StageReport:
    """Follows the curricula of a run's members; all that it tells is in their states.

    Args:
        config: stages and rules; None: there is nothing to tell.
        seeds: seed of each member.
        steps_per_update: env_steps of one update.
        group_names: of the world's groups of levels; empty for those without.
        folder: the run folder.
        say: shows one line to a person.
    """

    def __init__(
        self,
        config: CurriculumConfig | None,
        seeds: tuple[int, ...],
        steps_per_update: int,
        group_names: tuple[str, ...],
        folder: RunFolder,
        say: Callable[[str], None],
    ) -> None:
        self._config, self._seeds, self._say = config, seeds, say
        self._steps, self._group_names, self._folder = steps_per_update, group_names, folder
        self._told: np.ndarray | None = None

    def follow(self, state: TrainState) -> None:
        """Tell the transitions since the last call; the first one only writes the file.

        Where environments move by themselves, every call does.
        """
        if self._config is None:
            return
        if self._config.scope == "environment":
            self.write(state)
            return
        total = np.asarray(state.curriculum.transitions)
        if self._told is not None and (total == self._told).all():
            return
        if self._told is not None:
            for i in np.flatnonzero(total > self._told):
                known = transitions(self._config, _member(state, i), self._steps)
                who = f"Seed {self._seeds[i]}: " if len(self._seeds) > 1 else ""
                for transition in known[-int(total[i] - self._told[i]) :]:
                    self._say(who + in_words(transition))
        self._told = total
        self.write(state)

    def summary(self, state: TrainState) -> dict[str, Any]:
        """Return what each member's curriculum has come to, by seed; empty without one."""
        if self._config is None:
            return {}
        return {
            str(seed): report(self._config, _member(state, i), self._steps, self._group_names)
            for i, seed in enumerate(self._seeds)
        }

    def write(self, state: TrainState) -> None:
        """Write ``curriculum.json``; a disk that is full costs the file, not the run."""
        if self._config is None:
            return
        try:
            self._folder.write_curriculum(
                {"stages": list(self._config.names), "members": self.summary(state)}
            )
        except UserError as error:
            self._say(str(error))


def _member(state: TrainState, index: Any) -> Any:
    return jax.tree.map(lambda x: np.asarray(x)[index], state.curriculum)
