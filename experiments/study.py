"""Train every combination of some factors: ``python experiments/study.py STUDY.yaml --out DIR``."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cli import OK, Parser, command, print_table
from rljax.core.config import diff, load_yaml, merge
from rljax.core.config_text import merge_dicts
from rljax.core.errors import UserError
from rljax.evaluation.statistics import bootstrap, median
from rljax.training.config import Config
from rljax.training.interrupt import parse_duration
from rljax.training.presets import preset
from rljax.training.run_folder import RunFolder

_HELP = """Train every combination of some factors, and tell what each factor does.

The file names a preset, fields that all cells share, and the factors with their levels:

  preset: pushing_happo_basic
  common: {total_steps: 1000000, seeds: 5}
  factors:
    reward:
      agent0: {team: {reward: agent0}}
      mean: {team: {reward: mean}}
    norm:
      with: {network: {input_norm: true}}
      without: {network: {input_norm: false}}

Each cell is a run in a folder of its own under --out; a cell that is finished is not trained again,
one that was stopped goes on.  The table and study.json are made of whatever cells are finished.
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("study", metavar="STUDY.yaml")
    add("--out", metavar="DIR", required=True, help="folder of the cells")
    add("--time-limit", metavar="TIME", help="stop the cell under way after so long, like 90m")
    add("--report", action="store_true", help="train nothing")
    return parser


Cell = tuple[str, dict[str, str], Config]
"""Folder name, level of each factor, config."""


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(argv)
    cells = list(_cells(load_yaml(options.study)))
    out = Path(options.out)
    if not options.report:
        _train(cells, out, parse_duration(options.time_limit) if options.time_limit else None)
    results = [_result(out / name, levels) for name, levels, _ in cells]
    done = [result for result in results if result is not None]
    if not done:
        raise UserError(f"no cell is finished in {out}")
    (out / "study.json").write_text(json.dumps(done, indent=2) + "\n")
    _print(done)
    return OK


def _cells(study: dict[str, Any]) -> Iterator[Cell]:
    """Every combination of levels.

    Raises:
        UserError: for a file that is no study.
    """
    factors = study.get("factors")
    unknown = set(study) - {"preset", "common", "factors"}
    if unknown or "preset" not in study or not isinstance(factors, dict) or not factors:
        found = ", ".join(map(str, study)) or "nothing"
        raise UserError(f"a study has preset, common and factors; got {found}")
    for name, levels in factors.items():
        if not isinstance(levels, dict) or not levels:
            raise UserError(f"factor {name}: got {levels!r}, expected levels with fields each")
        for level, fields in levels.items():
            if not isinstance(fields or {}, dict):
                raise UserError(f"factor {name}, level {level}: got {fields!r}, expected fields")
    common = study.get("common") or {}
    if not isinstance(common, dict):
        raise UserError(f"common: got {common!r}, expected fields")
    base = merge(preset(str(study["preset"])), common)
    for combination in itertools.product(*factors.values()):
        levels = dict(zip(map(str, factors), map(str, combination), strict=True))
        values: dict[str, Any] = {}
        for factor, level in zip(factors, combination, strict=True):
            values = merge_dicts(values, factors[factor][level] or {})
        name = "+".join(f"{factor}={level}" for factor, level in levels.items())
        yield name, levels, merge(base, values)


def _train(cells: list[Cell], out: Path, time_limit: float | None) -> None:
    from rljax.training.train import train

    for number, (name, _, config) in enumerate(cells, 1):
        folder = RunFolder(out / name)
        finished = folder.read_summary().get("status") == "finished"
        if finished and not diff(folder.read_config(), config):
            continue
        print(f"[{number}/{len(cells)}] {name}", file=sys.stderr)
        result = train(config, out / name, resume="auto", time_limit=time_limit, console="rows")
        if result.status != "finished":
            raise UserError(f"stopped in cell {name} ({result.status}); the same command goes on")


def _result(folder: Path, levels: dict[str, str]) -> dict[str, Any] | None:
    """Scores of a cell's members, if it is finished."""
    summary = RunFolder(folder).read_summary()
    if summary.get("status") != "finished":
        return None
    members = summary["eval_return"]["members"]
    result = {
        "levels": levels,
        "env_steps": summary["env_steps"],
        "return": [member["mean"] for member in members],
    }
    if "success" in members[0]:
        result["success"] = [member["success"] for member in members]
    return result


def _print(results: list[dict[str, Any]]) -> None:
    scores = [name for name in ("success", "return") if name in results[0]]
    factors = list(results[0]["levels"])
    rows = [
        [
            *result["levels"].values(),
            str(len(result["return"])),
            *(_interval(result[s]) for s in scores),
        ]
        for result in results
    ]
    print_table([*factors, "seeds", *scores], rows)
    print()
    effects = []
    for factor in factors:
        for level in dict.fromkeys(result["levels"][factor] for result in results):
            of_level = [r for r in results if r["levels"][factor] == level]
            pooled = [_interval(list(itertools.chain(*(r[s] for r in of_level)))) for s in scores]
            effects.append([f"{factor}={level}", str(len(of_level)), *pooled])
    print_table(["all cells with", "cells", *scores], effects)
    print()
    changes = list(_changes(results, scores[0]))
    print_table([f"change of {scores[0]}", "pairs", "better in", "median difference", "p"], changes)


def _changes(results: list[dict[str, Any]], score: str) -> Iterator[list[str]]:
    """What comes of another level of one factor, over all pairs of cells that are else alike.

    Differences are those of medians; p is of a two-sided Mann-Whitney test between all seeds.
    """
    from scipy.stats import mannwhitneyu

    for factor in results[0]["levels"]:
        found = dict.fromkeys(result["levels"][factor] for result in results)
        for before, after in itertools.combinations(found, 2):
            pairs = [
                (a[score], b[score])
                for a, b in itertools.product(results, results)
                if a["levels"] | {factor: after} == b["levels"] and a["levels"][factor] == before
            ]
            if not pairs:
                continue
            gains = [float(np.median(b) - np.median(a)) for a, b in pairs]
            old, new = (np.concatenate(seeds) for seeds in zip(*pairs, strict=True))
            yield [
                f"{factor}: {before} to {after}",
                str(len(pairs)),
                str(sum(gain > 0 for gain in gains)),
                f"{np.median(gains):+.3g} [{min(gains):+.3g}, {max(gains):+.3g}]",
                f"{mannwhitneyu(old, new).pvalue:.2g}",
            ]


def _interval(values: list[float]) -> str:
    estimate = bootstrap(np.asarray(values), median)
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


if __name__ == "__main__":
    sys.exit(main())
