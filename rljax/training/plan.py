"""When something is due: logging, evaluation, checkpoints, in whole updates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rljax.training.config import Config


@dataclass(frozen=True)
class Plan:
    """Intervals of a run in updates.

    Attributes:
        total: updates of the whole run.
        log, evaluate, checkpoint: updates between two of each.
        steps_per_update: env_steps of one update.
    """

    total: int
    log: int
    evaluate: int
    checkpoint: int
    steps_per_update: int

    def next_stop(self, done: int) -> int:
        """Return the first update after ``done`` at which something is due."""
        following = (
            (done // interval + 1) * interval
            for interval in (self.log, self.evaluate, self.checkpoint)
        )
        return min(self.total, *following)

    def due(self, interval: int, done: int) -> bool:
        """Return whether what happens every ``interval`` updates is due after ``done`` of them."""
        return done % interval == 0 or done == self.total


def make_plan(config: Config, steps_per_update: int) -> Plan:
    """Return the plan of a run; intervals are rounded up to whole updates."""
    total = math.ceil(config.total_steps / steps_per_update)

    def interval(env_steps: int | None, parts: int) -> int:
        if env_steps is None:
            return max(1, math.ceil(total / parts))
        return math.ceil(env_steps / steps_per_update)

    return Plan(
        total=total,
        log=interval(config.log_every, 200),
        evaluate=interval(config.evaluation.every, 10),
        checkpoint=interval(config.checkpoint.every, 10),
        steps_per_update=steps_per_update,
    )
