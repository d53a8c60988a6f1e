"""Static choices of a curriculum."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rljax.core.config import Count, Fraction, FrozenDict, Value, config_dataclass
from rljax.core.errors import nearest

_OF_SCOPE_RUN = (
    "early_advance_at",
    "early_min_episodes",
    "regress_min_episodes",
    "trend_margin",
    "trend_bonus",
    "mixing",
    "mixing_when_failing",
    "failing_below",
    "mixing_over",
    "start",
)


@config_dataclass
class Stage:
    """One stage: what it changes in the world, and when it is left.

    Success is the share of successes in the window, see :class:`CurriculumConfig`; episodes are
    those of this stage since it was entered.  In scope environment nothing is left by these rules.
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

    In scope environment there is but one rule, which is the world's: at the end of an episode its
    environment moves up, down or not at all.  Those below apply to scope run.

    Rules are applied once for each update. The window of a stage is its newest updates that
    together hold at least `window` of its episodes; it starts empty when the stage is entered.
    """

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    """The stages, easiest first."""
    scope: Literal["run", "environment"] = "run"
    """Whether the run as a whole is in a stage, or each environment in one of its own."""
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
    start_up_to: str | None = None
    """Name of the hardest stage that environments start in, from the first to it all equally
    likely, in scope environment; none: the first."""
    fixed: str | None = None
    """Name of a stage that the whole run stays in, without mixing; none: the rules decide."""

    def __post_init__(self) -> None:
        names = self.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"stages: two are called {twice!r}; expected different names")
        for field in ("start", "start_up_to", "fixed"):
            name = getattr(self, field)
            if name is not None:
                self._check_name(field, name)
        self._check_scope()
        if self.start is not None and self.fixed not in (None, self.start):
            raise ValueError(f"start {self.start!r} and fixed {self.fixed!r}: expected only one")
        for stage in self.stages:
            lowest = max(stage.advance_at - self.trend_bonus, 0.0)
            if stage.regress_below > lowest + 1e-9:
                raise ValueError(
                    f"stage {stage.name!r}: regress_below {stage.regress_below:g} is above its "
                    f"advance_at less trend_bonus; expected at most {lowest:g}"
                )

    def _check_scope(self) -> None:
        if self.scope == "run":
            if self.start_up_to is not None:
                raise ValueError(
                    f"start_up_to {self.start_up_to!r} is for scope 'environment'; expected start, "
                    "or that scope"
                )
            return
        for field in _OF_SCOPE_RUN:
            given, usual = getattr(self, field), getattr(CurriculumConfig, field)
            if given != usual:
                raise ValueError(
                    f"{field} {given!r} is for scope 'run' and has no meaning in scope "
                    f"'environment'; expected {usual!r}"
                    + (", or start_up_to" if field == "start" else "")
                )
        if None not in (self.fixed, self.start_up_to):
            raise ValueError(
                f"start_up_to {self.start_up_to!r} and fixed {self.fixed!r}: expected only one"
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
