"""Pictures of a comparison, by matplotlib without its global state or a display."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rljax.core.errors import UserError
from rljax.evaluation.comparing.comparison import Comparison
from rljax.evaluation.comparing.contrasts import estimate
from rljax.evaluation.comparing.measures import (
    LEARNING,
    PROGRESS,
    QUARTERS,
    entropies,
    entropy_range_of,
    gradients,
)
from rljax.evaluation.comparing.members import Member, Series
from rljax.evaluation.comparing.sides import Side

_PANEL = (4.6, 3.2)  # inches
_POINTS = 200
# What is drawn of a member: series by the names of their panels.
Curves = Callable[[Member], Mapping[str, Series]]
# Levels to mark in a panel for a side, each with a style of line.
Marks = Callable[[Side, str], list[tuple[float, str]]]


def draw(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Write the pictures of a comparison; return their file names by their titles.

    Raises:
        UserError: if matplotlib is missing.
    """
    matplotlib = load_matplotlib()
    sides = comparison.sides
    few = len(sides) <= 10
    colours = [
        matplotlib.colormaps["tab10"](i) if few else matplotlib.colormaps["turbo"](i / len(sides))
        for i in range(len(sides))
    ]
    written = {}

    def picture(title: str, file: str, panels: list[str], fill: Callable[[Any, str], None]) -> None:
        if panels:
            figure, axes = _figure(matplotlib, panels)
            for ax, panel in zip(axes, panels, strict=True):
                fill(ax, panel)
            axes[0].legend(fontsize="small")
            figure.savefig(folder / file, dpi=110)
            written[title] = file

    def over_steps(title: str, file: str, curves: Curves, marks: Marks | None = None) -> None:
        def fill(ax: Any, panel: str) -> None:
            for side, colour in zip(sides, colours, strict=True):
                _curves(ax, side, colour, curves, panel)
                for value, style in marks(side, panel) if marks else ():
                    ax.axhline(value, color=colour, linestyle=style, linewidth=0.8)
            if panel.startswith("gradient"):
                ax.set_yscale("log")
            if panel == "explained variance":  # far below, it says no more
                ax.set_ylim(bottom=max(-1.0, ax.get_ylim()[0]))
            ax.set_xlabel("env_steps")
            ax.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=""))

        panels = dict.fromkeys(p for side in sides for m in side.members for p in curves(m))
        picture(title, file, list(panels), fill)

    known = [theme for theme in PROGRESS if any(side.values(theme, "Q4") for side in sides)]
    picture(
        "By quarter of training",
        "quarters.png",
        known,
        lambda ax, theme: _quarters(ax, theme, comparison, colours),
    )
    over_steps("Return and success", "progress.png", lambda m: _found(m, PROGRESS))
    over_steps(
        "Gradient norms before clipping (dashed: the limit)",
        "gradients.png",
        lambda m: {f"gradient norm of {who}": series for who, series in gradients(m).items()},
        _limits,
    )
    over_steps("Entropy (dotted: healthy range)", "entropy.png", entropies, _range)
    over_steps("Learning", "learning.png", lambda m: _found(m, LEARNING))
    return written


def load_matplotlib() -> Any:
    """Return the package, with what is used of it.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.ticker
    except ImportError:
        raise UserError("pictures need the extra 'plot': pip install -e '.[plot]'") from None
    return matplotlib


def _found(member: Member, names: Mapping[str, tuple[str, ...]]) -> dict[str, Series]:
    found = {title: member.find(*names) for title, names in names.items()}
    return {title: series for title, series in found.items() if series is not None}


def _figure(matplotlib: Any, panels: list[str]) -> tuple[Any, list[Any]]:
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    size = (_PANEL[0] * columns, _PANEL[1] * rows)
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[len(panels) :]:
        ax.remove()
    for panel, ax in zip(panels, axes, strict=False):
        ax.set_title(panel)
        ax.grid(alpha=0.3)
    return figure, axes[: len(panels)]


def _curves(ax: Any, side: Side, colour: Any, curves: Curves, panel: str) -> None:
    """Draw every member thinly, and their median where all of them were logged."""
    found = [series for member in side.members if (series := curves(member).get(panel))]
    for series in found:
        ax.plot(*series, color=colour, alpha=0.3 if len(found) > 1 else 1, linewidth=0.8)
    if len(found) > 1:
        first = max(series.env_steps[0] for series in found)
        last = min(series.env_steps[-1] for series in found)
        grid = np.linspace(first, last, _POINTS)
        ax.plot(
            grid,
            np.median([np.interp(grid, *series) for series in found], axis=0),
            color=colour,
            linewidth=1.8,
        )
    ax.plot([], [], color=colour, label=side.key)


def _limits(side: Side, panel: str) -> list[tuple[float, str]]:
    return [(x, "--") for x in {member.config.ppo.max_grad_norm for member in side.members}]


def _range(side: Side, who: str) -> list[tuple[float, str]]:
    healthy = [entropy_range_of(who, ranges) for ranges in side.ranges if ranges]
    return [(limit, ":") for limit in dict.fromkeys(x for r in healthy for x in (r.low, r.high))]


def _quarters(ax: Any, theme: str, comparison: Comparison, colours: list[Any]) -> None:
    """Draw medians over seeds with their intervals, sides beside each other."""
    sides = comparison.sides
    for i, (side, colour) in enumerate(zip(sides, colours, strict=True)):
        values = [side.values(theme, quarter) for quarter in QUARTERS]
        known = [k for k, found in enumerate(values) if found]
        medians = np.array([estimate(values[k], comparison.confidence) for k in known]).reshape(
            -1, 3
        )
        ax.errorbar(
            np.array(known) + 0.4 * ((i + 0.5) / len(sides) - 0.5),
            medians[:, 0],
            np.abs(medians[:, 1:].T - medians[:, 0]),
            color=colour,
            label=side.key,
            marker="o",
            capsize=3,
        )
    ax.set_xticks(range(4), QUARTERS)
