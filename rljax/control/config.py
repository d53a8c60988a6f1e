"""Static choices of a curriculum."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rljax.core.config import Count, Fraction, FrozenDict, Value, config_dataclass
from rljax.core.errors import nearest


@config_dataclass
class Stage:
    """One stage: what it changes in the world, and when it is left.

    Success is the share of successes in the window, see :class:`CurriculumConfig`; episodes are
    those of this stage since it was entered.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    """Word that metrics and files call it by."""
    params: FrozenDict[str, Value] = FrozenDict()
    """Parameters of the world that differ from those of `env.params`."""
    advance_at: Fraction = 0.7
    """Success from which on the next stage is entered."""
    min_episodes: Count = 100
    """Episodes before which it is not."""
    regress_below: Fraction = 0.0
    """Success below which the stage before is entered again; 0: never."""


@config_dataclass
class CurriculumConfig:
    """Stages of growing difficulty, and the rules by which they are entered and left.

    Rules are applied once for each update. The window of a stage is its newest updates that
    together hold at least `window` of its episodes; it starts empty when the stage is entered.
    """

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    """The stages, easiest first."""
    window: Annotated[int, Field(ge=2)] = 50
    """Episodes that success is measured over."""
    early_advance_at: Fraction | None = 0.9
    """Success that suffices to advance after `early_min_episodes`; none: no early advance."""
    early_min_episodes: Count = 50
    """Episodes before which there is no early advance."""
    regress_min_episodes: Count = 200
    """Episodes before which a stage is not left for the one before."""
    trend_margin: Fraction = 0.15
    """Rise of success from the older half of the window to the newer that earns the bonus."""
    trend_bonus: Fraction = 0.05
    """What is then taken off `advance_at`."""
    mixing: Fraction = 0.2
    """Share of episodes that start in earlier stages."""
    mixing_when_failing: Fraction = 0.4
    """The same share while success is below `failing_below`."""
    failing_below: Fraction = 0.5
    """Success below which a stage counts as failing."""
    mixing_over: Literal["earlier", "previous"] = "earlier"
    """Whether that share is spread over all earlier stages, or goes to the one before."""
    stratify: bool = True
    """Whether groups of levels that were played least are drawn first, in worlds with groups."""
    start: str | None = None
    """Name of the stage to start in; none: the first."""
    fixed: str | None = None
    """Name of a stage that the whole run stays in, without mixing; none: the rules decide."""

    def __post_init__(self) -> None:
        names = self.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"stages: two are called {twice!r}; expected different names")
        for field, name in (("start", self.start), ("fixed", self.fixed)):
            if name is not None:
                self._check_name(field, name)
        if self.start is not None and self.fixed not in (None, self.start):
            raise ValueError(f"start {self.start!r} and fixed {self.fixed!r}: expected only one")
        for stage in self.stages:
            lowest = max(stage.advance_at - self.trend_bonus, 0.0)
            if stage.regress_below > lowest + 1e-9:
                raise ValueError(
                    f"stage {stage.name!r}: regress_below {stage.regress_below:g} is above its "
                    f"advance_at less trend_bonus; expected at most {lowest:g}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stages, easiest first."""
        return tuple(stage.name for stage in self.stages)

    @property
    def hardest(self) -> str:
        """Name of the hardest stage that a run can come to."""
        return self.fixed or self.names[-1]

    @property
    def first(self) -> int:
        """Number of the stage that a run starts in."""
        name = self.fixed or self.start
        return 0 if name is None else self.names.index(name)

    def index(self, name: str) -> int:
        """Number of a stage.

        Raises:
            ValueError: for an unknown name; names the nearest.
        """
        self._check_name("stage", name)
        return self.names.index(name)

    def _check_name(self, field: str, name: str) -> None:
        if name not in self.names:
            raise ValueError(
                f"{field}: no stage is called {name!r}; expected one of {', '.join(self.names)}."
                f"{nearest(name, self.names)}".rstrip(".")
            )
