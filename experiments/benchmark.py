"""Measure speed over sizes, devices and seeds: ``python experiments/benchmark.py --help``."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.cli import BROKEN, OK, Parser, command, numbers, positive, print_table
from rljax.core.config import merge, to_dict
from rljax.training.config import Config
from rljax.training.presets import preset

_ROOT = Path(__file__).parents[1]

_HELP = """Measure how fast environments step and agents train.

  benchmark.py --preset cartpole_ppo breakout_ppo
  benchmark.py --num-envs 4x128,64x128,2048x32 --devices 1,2 --seeds 1,8 --json speed.json
  benchmark.py --env-only --preset breakout_ppo --num-envs 64,1024

Each configuration runs in a process of its own, and is compiled without a cache.  Speeds are warm
and synchronised; CPU time counts all threads.  Other options override fields of the presets, as
in run.py.
"""

_COLUMNS = ("preset", "what", "envs x T", "devices", "seeds", "compile s", "env_steps/s",
            "CPU us/step", "peak MB")  # fmt: skip


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("--preset", nargs="+", default=["cartpole_ppo"], metavar="NAME")
    add(
        "--num-envs",
        type=_sizes,
        metavar="B[xT],...",
        default=[(None, None)],
        help="environments, each with a rollout length of its own or not (default: the preset's)",
    )
    add("--rollout-length", type=positive, metavar="T", help="for sizes that do not say theirs")
    add("--devices", type=numbers, metavar="N,...", default=[1])
    add("--seeds", type=numbers, metavar="N,...", default=[1], help="members in one program")
    add("--env-only", action="store_true", help="do not train")
    add("--repeat", type=positive, metavar="N", default=3, help="timings, of which the median")
    add("--seconds", type=float, metavar="S", default=1.0, help="of one timing, about")
    add("--json", metavar="FILE", help="also write all numbers to this file")
    return parser


def _sizes(text: str) -> list[tuple[int, int | None]]:
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", part)
        if not match or "0" in match.groups():
            raise ArgumentTypeError(f"got {text!r}, expected sizes like 64,1024 or 4x128,2048x32")
        sizes.append((int(match[1]), int(match[2]) if match[2] else None))
    return sizes


@command
def main(argv: list[str]) -> int:
    """Measure what the command line says; return the exit code."""
    options, overrides = _parser().parse_with_config(argv, Config)
    requests = list(_requests(options, overrides))  # all of them, for mistakes to show at once
    report: dict[str, Any] = {"command": argv, "environment": None, "rows": []}
    for request in [None, *requests]:
        if request is not None:
            print(f"measuring {_label(request)}", file=sys.stderr, flush=True)
            answer = _measured(request)
            report["environment"] = answer.pop("environment", report["environment"])
            config = request.pop("config")
            report["rows"].append({**request, **answer, "config": config})
        if options.json:  # after each, for what was measured to outlive whatever comes
            Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    print_table(_COLUMNS, map(_row, report["rows"]))
    failures = [row for row in report["rows"] if "error" in row]
    for row in failures:
        print(f"error: {_label(row)}: {row['error']}", file=sys.stderr)
    return BROKEN if failures else OK


def _requests(options: Namespace, overrides: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All combinations that were asked for; environments alone have no seeds."""
    kinds = [("env", 1)] + [("train", n) for n in options.seeds if not options.env_only]
    names = itertools.product(options.preset, options.num_envs, options.devices, kinds)
    for name, (num_envs, length), devices, (what, seeds) in names:
        config = merge(preset(name), overrides)
        config = merge(config, {
            "num_envs": num_envs or config.num_envs,
            "devices": devices,
            "seeds": seeds,
            # So long that a schedule stays where it is.
            "total_steps": 10**10,
            "ppo": {
                "rollout_length": length or options.rollout_length or config.ppo.rollout_length
            },
        })  # fmt: skip
        yield {
            "preset": name, "what": what, "num_envs": config.num_envs,
            "rollout_length": config.ppo.rollout_length, "devices": devices, "seeds": seeds,
            "repeat": options.repeat, "seconds": options.seconds, "config": to_dict(config),
        }  # fmt: skip


def _measured(request: dict[str, Any]) -> dict[str, Any]:
    """Measure in a new process; return its numbers, or why there are none."""
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    env["JAX_TRACEBACK_FILTERING"] = "off"  # so that an error's last line is the error
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), env.get("PYTHONPATH")]))
    process = subprocess.run(
        [sys.executable, "-m", "experiments.measure"],
        input=json.dumps(request),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        return {"error": lines[-1]}
    answer: dict[str, Any] = json.loads(process.stdout.strip().splitlines()[-1])
    return answer


def _label(request: dict[str, Any]) -> str:
    return (
        f"{request['preset']} {request['what']} {request['num_envs']}x{request['rollout_length']} "
        f"on {request['devices']} device(s), {request['seeds']} seed(s)"
    )


def _row(row: dict[str, Any]) -> list[str]:
    size = f"{row['num_envs']}x{row['rollout_length']}"
    head = [row["preset"], row["what"], size, str(row["devices"]), str(row["seeds"])]
    if "error" in row:
        return [*head, "-", "-", "-", "-"]
    memory = row["device_peak_mb"] or row["peak_rss_mb"]
    return [
        *head, f"{row['compile_s']:.1f}", f"{row['steps_per_s']:,.0f}",
        f"{row['cpu_us_per_step']:.3f}", f"{memory:.0f}",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
