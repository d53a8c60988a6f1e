"""Compare runs: ``python experiments/compare.py RUN RUN ...``; ``--help`` shows options."""

from __future__ import annotations

import glob
import json
import sys
from argparse import SUPPRESS, Namespace

import jax

from experiments.cli import OK, Parser, command, print_table
from rljax.core.config import describe_fields, from_dict, help_text, parse_overrides
from rljax.core.errors import UserError, nearest
from rljax.evaluation.comparing.comparison import Comparison, compare, to_json
from rljax.evaluation.comparing.contrasts import estimate
from rljax.evaluation.comparing.measures import Rules
from rljax.evaluation.comparing.report import check_folder, write_report
from rljax.evaluation.comparing.sides import Side
from rljax.evaluation.comparing.verdict import interval, number

_HELP = """Say which of some runs are better, what went wrong in them, and what cannot be said.

  compare.py runs/basic-s* runs/safe-s*               grouped by configuration into sides
  compare.py --sides basic=runs/a,runs/b safe=runs/c,runs/d
  compare.py --sides 'basic=runs/basic-*' 'safe=runs/safe-*' --out basic_or_safe

Runs of one configuration and other seeds are a side; one run may hold several seeds.  Writes a
report with pictures, see docs/comparing.md.
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="run folders")
    add("--sides", nargs="+", metavar="NAME=RUN,...", help="say which runs are a side")
    add("--out", default="comparison", metavar="DIR", help="of the report (default: comparison)")
    add("--force", action="store_true", help="overwrite a report that is there")
    add("--confidence", type=float, default=0.95, metavar="C", help="of intervals (default: 0.95)")
    add("--json", action="store_true", help="print everything as one line of JSON")
    for field in describe_fields(Rules):
        names = dict.fromkeys((f"--{field.path.replace('_', '-')}", f"--{field.path}"))
        add(*names, dest=field.path, metavar="X", help=SUPPRESS)
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    parser = _parser()
    if {"-h", "--help"} & set(argv):
        print(f"{parser.format_help()}\nRules, which are options, too:\n{help_text(Rules)}")
        return OK
    options, rest = parser.parse_known_intermixed_args(argv)
    if rest:
        known = [name for action in parser._actions for name in action.option_strings]
        raise UserError(f"unknown option '{rest[0]}'.{nearest(rest[0], known)}".rstrip("."))
    # It needs no accelerator, and must not take the memory of one that trains.
    jax.config.update("jax_platforms", "cpu")
    folder = check_folder(options.out, options.force)
    comparison = compare(_runs(options), _rules(options), options.confidence)
    report = write_report(comparison, folder)
    if options.json:
        print(json.dumps(to_json(comparison) | {"report": str(report)}, allow_nan=False))
    else:
        _report(comparison)
        print(f"\nreport {report}")
    return OK


def _runs(options: Namespace) -> list[str] | dict[str, list[str]]:
    if not options.sides:
        return [run for pattern in options.runs for run in _folders(pattern)]
    if options.runs:
        raise UserError(f"run {options.runs[0]} is on no side; give runs, or --sides, not both")
    sides: dict[str, list[str]] = {}
    for text in options.sides:
        name, equals, runs = text.partition("=")
        if not (name and equals and runs):
            raise UserError(f"--sides: got {text!r}, expected NAME=RUN or NAME=RUN,RUN")
        if name in sides:
            raise UserError(f"--sides: {name} is given twice; expected {name}=RUN,RUN")
        sides[name] = [run for part in runs.split(",") if part for run in _folders(part)]
    if len(sides) < 2:
        raise UserError(f"--sides: got {name} alone, expected two or more sides")
    return sides


def _folders(pattern: str) -> list[str]:
    """Return a run folder, or all that match a pattern, which the shell may have left alone."""
    found = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    if not found:
        raise UserError(f"no run matches {pattern!r}")
    return found


def _rules(options: Namespace) -> Rules:
    given = {field.path: vars(options)[field.path] for field in describe_fields(Rules)}
    words = [f"--{path}={value}" for path, value in given.items() if value is not None]
    return from_dict(Rules, parse_overrides(words, Rules))


def _report(comparison: Comparison) -> None:
    """What fits on a screen: a row for each side, then the verdict."""
    sides = comparison.sides
    columns: dict[str, list[str]] = {"side": [s.key for s in sides]}
    columns["seeds"] = [str(len(side.members)) for side in sides]
    for theme in ("return", "success"):
        for column in ("Q1", "Q4", "final"):
            columns[f"{theme} {column}"] = [
                interval(estimate(values, comparison.confidence), len(values)) if values else "-"
                for values in (side.values(theme, column) for side in sides)
            ]
    columns["largest gradient"] = [_largest_gradient(side) for side in sides]
    columns["seeds with faults"] = [str(sum(map(bool, side.findings))) for side in sides]
    shown = {name: cells for name, cells in columns.items() if set(cells) != {"-"}}
    print_table(shown, zip(*shown.values(), strict=True))
    for side in sides:
        if side.label:
            print(f"{side.key}: {side.label}")
    print()
    for line in [*comparison.verdict, *(f"Mind: {text}" for text in comparison.cautions)]:
        print(line)


def _largest_gradient(side: Side) -> str:
    themes = {t for measures in side.measures for t in measures if t.startswith("gradient")}
    return number(max((x for t in themes for x in side.values(t, "max")), default=float("nan")))


if __name__ == "__main__":
    sys.exit(main())
