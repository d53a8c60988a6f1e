"""How well a suite of levels was played: numbers by category and generator, and a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from envs_jax.platformer.assessment import OUTCOMES, Play
from envs_jax.platformer.course import Course
from envs_jax.render import side_by_side

__all__ = ["judge", "write_report"]

_PICTURES = 2  # of each failure mode


def judge(play: Play, course: Course) -> dict[str, Any]:
    """Measures of a suite, in JSON types; docs/platformer.md defines them.

    Returns:
        ``levels``; ``categories`` and ``generators``, each by name the measures of its levels;
        ``overall``, the mean of the categories' measures; ``robustness``, 1 / (1 + variance of
        success over categories); ``worst_category``.
    """
    groups = np.array([course.group_of(level) for level in range(len(course.frames))])
    category = np.array(course.categories)[groups]
    generator = np.array(course.generators)[groups]
    total = np.asarray(course.paths.total)

    def measures(chosen: np.ndarray) -> dict[str, float | None]:
        outcome = play.outcome[chosen]
        won, dead = outcome == 0, outcome >= 2
        efficiency = np.minimum(course.frames[chosen] / np.maximum(play.frames[chosen], 1), 1.0)
        way = np.minimum(total[chosen] / np.maximum(play.travelled[chosen], 1.0), 1.0)
        shares = {name: float((outcome == mode).mean()) for mode, name in enumerate(OUTCOMES)}
        avoidable = int(play.avoidable[chosen].sum())
        return {
            "levels": int(chosen.sum()),
            "success": shares.pop("won"),
            "efficiency": _mean(efficiency[won]),
            "path_optimality": _mean(way[won]),
            "safety": 1.0 - avoidable / max(int(dead.sum()), 1),
            **shares,
        }

    categories = {name: measures(category == name) for name in dict.fromkeys(category.tolist())}
    success = {name: found["success"] or 0.0 for name, found in categories.items()}
    measured = [name for name in next(iter(categories.values())) if name != "levels"]
    return {
        "levels": len(category),
        "overall": {
            name: _mean(np.array([c[name] for c in categories.values() if c[name] is not None]))
            for name in measured
        },
        "robustness": float(1.0 / (1.0 + np.var(list(success.values())))),
        "worst_category": min(success, key=lambda name: success[name]),
        "categories": categories,
        "generators": {
            name: measures(generator == name) for name in dict.fromkeys(generator.tolist())
        },
    }


def _mean(values: np.ndarray) -> float | None:
    """None where there is nothing to take the mean of."""
    return float(np.mean(values)) if len(values) else None


def write_report(
    folder: Path, results: dict[str, dict[str, Any]], play: Play, picture: Callable[[int], Any]
) -> None:
    """Write ``suite.json``, ``report.md`` and, where levels were lost, ``failures.png``.

    Args:
        folder: made if it is not there.
        results: by player, the first being the one that the pictures are of.
        play: of the first player.
        picture: uint8 ``[H, W, 3]`` of a level as that player left it.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.json").write_text(json.dumps(results, indent=2) + "\n")
    lines = ["# Suite of levels", ""]
    for player, result in results.items():
        worst, robustness = result["worst_category"], result["robustness"]
        lines += [
            f"## {player}",
            "",
            f"{result['levels']} levels, each played once. Worst category {worst}, robustness"
            f" {robustness:.3f}.",
            "",
            *_table({"**overall**": result["overall"], **result["categories"]}),
            "",
            *_table(result["generators"]),
            "",
        ]
    failures = _typical_failures(play)
    if failures:
        names = ", ".join(f"{level} ({OUTCOMES[play.outcome[level]]})" for level in failures)
        lines += [f"Typical failures of the first player, row by row: levels {names}.", ""]
        lines.append("![failures](failures.png)")
        sheet = side_by_side([picture(level) for level in failures], _PICTURES)
        Image.fromarray(sheet).save(folder / "failures.png")
    (folder / "report.md").write_text("\n".join(lines) + "\n")


def _table(rows: dict[str, dict[str, float | None]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows.values() for name in row if name != "levels"))
    head = ["", "levels", *names]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for label, row in rows.items():
        cells = [str(row.get("levels", ""))]
        for name in names:
            value = row[name]
            cells.append("-" if value is None else f"{value:.3f}")
        lines.append("| " + " | ".join([label, *cells]) + " |")
    return lines


def _typical_failures(play: Play) -> list[int]:
    """Of each way to fail some levels, those that took about as long as usual."""
    chosen: list[int] = []
    for mode in range(1, len(OUTCOMES)):
        levels = np.flatnonzero(play.outcome == mode)
        if not len(levels):
            continue
        order = np.argsort(np.abs(play.frames[levels] - np.median(play.frames[levels])))
        chosen += levels[order][:_PICTURES].tolist()
    return chosen
