"""Train: ``python experiments/run.py --preset cartpole_ppo``; ``--help`` shows all options."""

from __future__ import annotations

import contextlib
import json
import sys
from argparse import Namespace
from typing import Any

from experiments.cli import BROKEN, OK, Parser, command
from experiments.overview import describe_preset, dry_run, list_presets
from rljax.core import distributed
from rljax.core.config import from_dict, help_text, load_yaml, merge
from rljax.core.config_text import merge_dicts
from rljax.core.errors import UserError
from rljax.training.config import RESUMABLE, Config
from rljax.training.interrupt import parse_duration
from rljax.training.presets import preset
from rljax.training.run_folder import RunFolder

_HELP = f"""Train an agent, and leave a run folder.

  run.py --preset cartpole_ppo                       a run as it was measured
  run.py --preset cartpole_ppo --total-steps 2e6 --ppo.learning_rate 3e-4
  run.py --preset quadruped_rough --scale full       the same task, with a budget for a GPU
  run.py --config mine.yaml                          a file with the fields below, nested;
                                                     "preset: NAME" in it says what it changes
  run.py --resume runs/cartpole_ppo-s0-20260101      go on with a run

Every field of the table below is an option, with - or _ in its name.  A preset comes first, then
the file, then options.
A resumed run keeps its stored config, of which only these fields may change:
{", ".join(RESUMABLE)}.
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("--preset", metavar="NAME", help="what to start from, see --list")
    add("--scale", metavar="NAME", help="size of the preset's budget, where it has several")
    add("--config", metavar="FILE", help="YAML file with some or all fields")
    add("--run-dir", metavar="DIR", help="run folder (default: a new one under runs/)")
    add(
        "--resume",
        metavar="RUN",
        nargs="?",
        const="",
        help="go on with RUN (or --run-dir's); auto: if --run-dir has a run, else start one",
    )
    add("--time-limit", metavar="TIME", help="save and stop after so long, like 90s, 30m, 11.5h")
    add(
        "--distributed",
        metavar="auto|HOST:PORT,N,I",
        help="be process I of N, on as many hosts; auto: as the cluster says",
    )
    add("--json", action="store_true", help="print the summary as one line of JSON on stdout")
    add("--quiet", action="store_true", help="show no progress")
    add("--dry-run", action="store_true", help="show config, memory and work; write nothing")
    add("--list", action="store_true", help="show all presets")
    add("--describe", metavar="NAME", help="show what a preset is")
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    parser = _parser()
    if {"-h", "--help"} & set(argv):
        print(f"{parser.format_help()}\n{help_text(_help_config(parser, argv))}")
        return OK
    options, overrides = parser.parse_with_config(argv, Config)
    if options.list:
        list_presets()
        return OK
    if options.describe:
        describe_preset(options.describe, options.scale)
        return OK
    time_limit = parse_duration(options.time_limit) if options.time_limit else None
    base, config, run_dir, resume = _resolve(options, overrides)
    if options.distributed:
        distributed.initialise(options.distributed)
    # With --json, stdout is for the one line that a program reads.
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        if options.dry_run:
            code, summary = OK, dry_run(base, config)
        else:
            code, summary = _train(config, run_dir, resume, time_limit, options)
    if options.json and distributed.is_leader():
        print(json.dumps(summary))
    return code


def _help_config(parser: Parser, argv: list[str]) -> Any:
    """What the table of fields shows as defaults: those of the preset, if one is named."""
    rest = [word for word in argv if word not in ("-h", "--help")]
    known = parser.parse_known_args(rest)[0]
    return preset(known.preset, known.scale) if known.preset else Config


def _resolve(
    options: Namespace, overrides: dict[str, Any]
) -> tuple[Config | None, Config, str | None, bool]:
    """Return what the config is compared with, the config, the run folder, whether to resume."""
    run_dir, resume = _run_folder(options)
    file = load_yaml(options.config) if options.config else {}
    name = options.preset or file.get("preset")
    values = merge_dicts({k: v for k, v in file.items() if k != "preset"}, overrides)
    if name is not None:
        base = preset(str(name), options.scale)
        return base, merge(base, values), run_dir, resume
    if options.scale is not None:
        raise UserError(f"--scale {options.scale} needs a --preset")
    if resume:
        assert run_dir is not None
        base = RunFolder.open(run_dir).read_config()
        return base, merge(base, values), run_dir, resume
    if "env" not in values:
        raise UserError(
            "nothing to train: give --preset NAME (see --list), a --config FILE or options that "
            "name an env, or --resume RUN"
        )
    return None, from_dict(Config, values), run_dir, resume


def _run_folder(options: Namespace) -> tuple[str | None, bool]:
    """Return the run folder and whether there is a run in it to go on with."""
    if options.resume is None:
        return options.run_dir, False
    if options.resume in ("", "auto"):
        if options.run_dir is None:
            raise UserError(f"--resume {options.resume}".strip() + " needs a --run-dir")
        run_dir = options.run_dir
    elif options.run_dir not in (None, options.resume):
        raise UserError(
            f"--resume {options.resume} and --run-dir {options.run_dir} are different runs; "
            "give one of them"
        )
    else:
        run_dir = options.resume
    if options.resume == "auto":
        return run_dir, RunFolder(run_dir).config_path.is_file()
    RunFolder.open(run_dir)
    return run_dir, True


def _train(
    config: Config,
    run_dir: str | None,
    resume: bool,
    time_limit: float | None,
    options: Namespace,
) -> tuple[int, dict[str, Any]]:
    # Here, for what does not train to start quickly.
    from rljax.training.train import NOT_FINITE, train

    result = train(
        config,
        run_dir,
        resume="auto" if options.resume == "auto" else resume,
        time_limit=time_limit,
        console="silent" if options.quiet else "auto",
    )
    if distributed.is_leader():
        _report(result.summary)
    return (BROKEN if result.status == NOT_FINITE else OK), result.summary


def _report(summary: dict[str, Any]) -> None:
    """What a person wants to know of a run that has ended."""
    evaluation = summary.get("eval_return")
    if evaluation:
        success = [m["success"] for m in evaluation["members"] if "success" in m]
        print(
            f"return {evaluation['mean']:.2f} (sd {evaluation['sd']:.2f}, "
            f"{evaluation['episodes']} episodes"
            + (f", success {sum(success) / len(success):.1%}" if success else "")
            + f") at {evaluation['env_steps']:,} env_steps"
        )
    if summary["steps_per_s"]:
        print(
            f"{summary['steps_per_s']:,.0f} env_steps/s, {summary['compile_s']:.1f} s to compile, "
            f"{summary['wall_s']:.1f} s in all"
        )
    print(f"run folder {summary['run_dir']}")


if __name__ == "__main__":
    sys.exit(main())
