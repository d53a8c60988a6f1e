"""Evaluate a trained policy: ``python experiments/evaluate.py RUN``; ``--help`` shows options."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from experiments.cli import OK, Parser, command, positive
from rljax.core.errors import UserError
from rljax.training.config import Config

_FRAMES_PER_SECOND = 30

_HELP = """Play a trained policy and say how good it is.

  evaluate.py runs/cartpole_ppo-s0-20260101                    the newest checkpoint
  evaluate.py RUN --env-steps best --episodes 1000 --json
  evaluate.py RUN --video episode.gif                          and watch one episode
  evaluate.py RUN --stage medium                               one stage of its curriculum
  evaluate.py RUN --env.params.NAME VALUE                      in a world that differs
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("run", metavar="RUN", help="run folder")
    add(
        "--episodes",
        type=positive,
        metavar="N",
        help="episodes, in parallel (default: as the run's evaluations)",
    )
    add("--seed", type=int, metavar="S", help="of the episodes (default: others than the run saw)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--greedy", action="store_true", default=None, help="take the policy's mode")
    how.add_argument(
        "--sample",
        action="store_false",
        dest="greedy",
        help="draw from the policy (default of both: as the run's evaluations)",
    )
    parser.add_policy_options()
    add("--stage", metavar="NAME", help="stage of the run's curriculum (default: the hardest)")
    add("--video", metavar="FILE", help="also film one episode, .gif or .mp4")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--max-frames",
        type=positive,
        default=1000,
        metavar="N",
        help="longest film (default: 1000)",
    )
    length.add_argument(
        "--seconds",
        type=positive,
        metavar="T",
        help=f"likewise, at {_FRAMES_PER_SECOND} frames a second",
    )
    add("--json", action="store_true", help="print the result as one line of JSON")
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    options, overrides = _parser().parse_with_config(argv, Config)
    env_params = overrides.get("env", {}).get("params", {})
    if overrides and overrides != {"env": {"params": env_params}}:
        raise UserError("of the run's config only --env.params.NAME may differ in an evaluation")
    if options.seed is not None and not 0 <= options.seed < 2**32:
        raise UserError(f"--seed: got {options.seed}, expected a whole number in [0, 2^32)")
    if options.video:
        from rljax.evaluation.video import check_path

        check_path(options.video)
    result = _evaluate(options, env_params)
    if options.json:
        print(json.dumps(result))
    else:
        _report(result)
    return OK


def _evaluate(options: Namespace, env_params: dict[str, Any]) -> dict[str, Any]:
    from rljax.evaluation.evaluate import FRESH_EPISODES, evaluate
    from rljax.evaluation.policy import load_policy

    policy = load_policy(
        options.run,
        env_steps=options.env_steps,
        member=options.member,
        env_params=env_params,
    )
    seed = FRESH_EPISODES if options.seed is None else options.seed
    result = {"run_dir": options.run, "member": options.member}
    result |= evaluate(
        policy, options.episodes, seed=seed, greedy=options.greedy, stage=options.stage
    )
    if options.video:
        from rljax.evaluation.video import record, write_video

        longest = options.seconds * _FRAMES_PER_SECOND if options.seconds else options.max_frames
        frames = record(
            policy,
            max_frames=longest,
            seed=seed,
            greedy=result["greedy"],
            stage=options.stage,
        )
        write_video(frames, options.video, _FRAMES_PER_SECOND)
        result["video"] = {"file": options.video, "frames": len(frames)}
    return result


def _report(result: dict[str, Any]) -> None:
    total, length = result["return"], result["length"]
    how = "greedy" if result["greedy"] else "sampled"
    played = f"{result['episodes']} episodes, {how}"
    stage = f", stage {result['stage']}" if "stage" in result else ""
    print(f"{result['env']}{stage} after {result['env_steps']:,} env_steps: {played}")
    print(
        f"return  mean {total['mean']:.2f} (sd {total['sd']:.2f})  median {total['median']:.2f}  "
        f"IQM {total['iqm']:.2f} [{total['low']:.2f}, {total['high']:.2f}]"
    )
    print(f"length  mean {length['mean']:.1f}  median {length['median']:.0f}")
    if "success" in result:
        print(f"success {100 * result['success']:.1f} %")
    if result["finished"] < result["episodes"]:
        print(f"cut off {result['episodes'] - result['finished']} episodes, which did not end")
    if "video" in result:
        print(f"video   {result['video']['file']}, {result['video']['frames']} frames")


if __name__ == "__main__":
    sys.exit(main())
