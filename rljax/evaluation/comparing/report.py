"""A comparison as a folder: ``report.md`` and the pictures in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rljax.core.config import describe_fields
from rljax.core.errors import UserError
from rljax.evaluation.comparing.comparison import Comparison
from rljax.evaluation.comparing.contrasts import estimate
from rljax.evaluation.comparing.plots import draw, load_matplotlib
from rljax.evaluation.comparing.sides import Side
from rljax.evaluation.comparing.verdict import interval, number, sentence

REPORT = "report.md"


def check_folder(path: str | os.PathLike[str], force: bool = False) -> Path:
    """Return where a report is to be written, before any work is done for it.

    Raises:
        UserError: if something is there already and ``force`` is not given, it is no folder, or
            matplotlib is missing.
    """
    load_matplotlib()
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, expected a folder for the report")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise UserError(
            f"folder {path} is not empty; choose another --out, or --force to overwrite"
        )
    return path


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write ``report.md`` and its pictures; return the former's path.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw(comparison, folder)
    path = folder / REPORT
    path.write_text("\n".join(_lines(comparison, pictures)) + "\n", encoding="utf-8")
    return path


def _lines(comparison: Comparison, pictures: dict[str, str]) -> Iterator[str]:
    yield "# Comparison of runs"
    yield from _section("Verdict", (f"- {line}" for line in comparison.verdict))
    yield from _section("Mind", (f"- {line}" for line in comparison.cautions))
    yield from _section("Sides", _sides(comparison))
    rest = [sentence(c) for c in comparison.contrasts]
    yield from _section("All that was compared", (f"- {line}" for line in rest))
    yield from _section("What went wrong", _findings(comparison.sides))
    for title, file in pictures.items():
        yield from _section(title, [f"![{title}]({file})"])
    yield "\n## Numbers\n"
    yield (
        f"A side's row is the median over its training seeds, with a {comparison.confidence:.0%} "
        "bootstrap interval; below it are its seeds. Q1 to Q4 are means over the quarters of "
        "training."
    )
    themes = dict.fromkeys(t for side in comparison.sides for m in side.measures for t in m)
    for theme in themes:
        yield f"\n### {theme[0].upper()}{theme[1:]}\n"
        yield from _theme(comparison, theme)
    yield from _section("Rules", _rules(comparison))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield f"\n## {title}\n"
        yield from lines


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(columns)
    yield "|---" + "|--:" * (len(columns) - 1) + "|"
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sides(comparison: Comparison) -> Iterator[str]:
    sides = comparison.sides
    yield from _table(
        ("side", "runs", "seeds", "env_steps"),
        [
            (
                side.title,
                f"{len({member.run for member in side.members})}",
                f"{len(side.members)}",
                " / ".join(f"{n:,}" for n in sorted({member.env_steps for member in side.members})),
            )
            for side in sides
        ],
    )
    if comparison.differences:
        yield ""
        columns = ("what differs", *(side.key for side in sides))
        rows = [(path, *values) for path, values in comparison.differences.items()]
        yield from _table(columns, rows)


def _findings(sides: Iterable[Side]) -> Iterator[str]:
    for side in sides:
        for member, found in zip(side.members, side.findings, strict=True):
            for finding in found:
                yield f"- {side.key}, {member.name}: {finding.kind}, {finding.of}: {finding.words}"


def _theme(comparison: Comparison, theme: str) -> Iterator[str]:
    sides = comparison.sides
    columns = list(
        dict.fromkeys(c for side in sides for m in side.measures for c in m.get(theme, ()))
    )
    rows: list[tuple[str, ...]] = []
    for side in sides:
        known = [(column, side.values(theme, column)) for column in columns]
        cells = [
            interval(estimate(values, comparison.confidence), len(values)) if values else ""
            for _, values in known
        ]
        rows.append((f"**{side.key}**", *(f"**{cell}**" if cell else "" for cell in cells)))
        for member, measures in zip(side.members, side.measures, strict=True):
            numbers = measures.get(theme)
            if numbers:
                cells = [number(numbers[c]) if c in numbers else "" for c in columns]
                rows.append((member.name, *cells))
    yield from _table(("", *columns), rows)


def _rules(comparison: Comparison) -> Iterator[str]:
    yield (
        f"- A difference is shown if the p-value is below {1 - comparison.confidence:.2g}: "
        "two-sided Mann-Whitney test over training seeds by permutations, corrected for the number "
        "of sides that are compared with the first (Holm). P(B > A) is the probability that a seed "
        "of B beats one of A."
    )
    for side in comparison.sides:
        healthy = dict.fromkeys(r for ranges in side.ranges for r in ranges)
        told = (
            f"{r.low:.3g} to {r.high:.3g} nats ({r.words}); it can be at most {r.most:.3g}"
            for r in healthy
        )
        yield from (f"- Healthy entropy of {side.key}: {text}." for text in told)
    yield (
        '- Gradient norms are those before clipping; "above limit" is the share of logged points '
        "above the run's own `ppo.max_grad_norm`. A logged point is a mean over the updates since "
        "the one before, so short spikes are flattened (see `log_every`)."
    )
    yield "- Speed is that of a whole run, all of its seeds together."
    for field in describe_fields(comparison.rules):
        yield f"- `{field.path}` {field.default}: {field.help}"
