"""Which checkpoints stay on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rljax.core.errors import UserError


@dataclass(frozen=True)
class Retention:
    """The `latest` newest, the `best` of the highest metric, the first of each `every` env steps.

    Orbax's own `max_to_keep` with `best_fn` drops the newest checkpoints, and its "every n steps"
    wants exact multiples, which counts in strides of a rollout may never be.
    """

    latest: int = 2
    best: int = 1
    every: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("latest", 1), ("best", 0), ("every", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"keep_{name} must be at least {least}, got {value}")

    def kept(self, metrics: Mapping[int, float | None]) -> set[int]:
        """The steps to keep, of all steps with their metric (None: not known)."""
        steps = sorted(metrics)
        kept = set(steps[-self.latest :]) | set(ranked(metrics)[: self.best])
        if self.every is not None:
            # Newest first, so that the oldest of an interval is the one that stays.
            kept |= set({step // self.every: step for step in reversed(steps)}.values())
        return kept


def ranked(metrics: Mapping[int, float | None]) -> list[int]:
    """Steps with a metric, the highest first, of equals the newest first."""
    known = [(metric, step) for step, metric in metrics.items() if metric is not None]
    return [step for _, step in sorted(known, reverse=True)]


@dataclass(frozen=True)
class OrbaxPolicy:
    """`Retention` in the shape of an Orbax preservation policy; metrics come from `metric`."""

    retention: Retention
    metric: Callable[[int], float | None]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """One answer for each of `checkpoints`, which have a `step`."""
        del context
        kept = self.retention.kept({info.step: self.metric(info.step) for info in checkpoints})
        return [info.step in kept for info in checkpoints]
