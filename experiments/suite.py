"""Play every level of a bank once: ``python experiments/suite.py RUN --levels test``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs_jax.registry import change
from experiments.cli import OK, Parser, command, print_table
from rljax.core.errors import UserError

if TYPE_CHECKING:
    from rljax.evaluation.policy import Policy

_WORLD = "Platformer-v1"
# What a policy was trained with.
_ARGUMENTS = ("observation", "frame_skip", "precision", "masked", "mirrored", "mines")
_SHOWN = ("success", "efficiency", "path_optimality", "safety", "timeout", "mine", "impact")

_HELP = """Play every level of a bank of the platformer once, and say how well.

  suite.py RUN --levels test --out report     the newest checkpoint, with pictures of failures
  suite.py greedy --levels test               without training: random, greedy
  suite.py RUN greedy random --levels starter --category simple --json

Measures are defined in docs/platformer.md.  A bank that is not there yet is made first.
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("players", metavar="PLAYER", nargs="+", help="run folder, or random, or greedy")
    add("--levels", default="test", metavar="BANK", help="name or file of a bank (default: test)")
    add("--category", default="all", metavar="NAME", help="only these levels, as in the world")
    add("--sample", action="store_true", help="draw from the policy (default: take its mode)")
    parser.add_policy_options()
    add("--seed", type=int, default=0, metavar="S", help="of random players")
    add("--out", metavar="DIR", help="also write suite.json, report.md and pictures")
    add("--json", action="store_true", help="print the result as one line of JSON")
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(argv)
    from envs_jax.platformer.report import judge

    results, plays = {}, []
    for player in options.players:
        env, play = _play(player, options)
        results[player] = judge(play, env.course)
        plays.append((env, play))
    if options.out:
        _write(Path(options.out), results, *plays[0])
    if options.json:
        print(json.dumps(results))
    else:
        _show(results)
    return OK


def _play(player: str, options: Namespace) -> tuple[Any, Any]:
    """The world, and what came of its levels."""
    from rljax.core.runtime import prepare

    prepare()
    from envs_jax.platformer.assessment import play_levels
    from envs_jax.platformer.baselines import BASELINES
    from envs_jax.platformer.course import load_course
    from envs_jax.platformer.env import Platformer

    try:
        course = load_course(options.levels).only(options.category)
    except ValueError as error:
        raise UserError(str(error)) from None
    if player in BASELINES:
        choose = BASELINES[player]
        env = Platformer(course)

        def decide(carry: None, seen: Any, reset: Any, key: Any) -> tuple[None, Any]:
            return None, choose(seen, key)

        return env, play_levels(env, env.default_params, decide, None, options.seed)
    policy = _load(player, options)
    changes = {
        name: value
        for name, value in policy.config.env.params.items()
        if name not in ("levels", "category", "group_probabilities")
    }
    arguments = {name: changes.pop(name) for name in _ARGUMENTS if name in changes}
    try:
        env = Platformer(course, **arguments)
        params = change(_WORLD, env, env.default_params, changes)
    except ValueError as error:
        raise UserError(str(error)) from None

    def act(carry: Any, seen: Any, reset: Any, key: Any) -> tuple[Any, Any]:
        key = key if options.sample else None
        return policy.algorithm.act(policy.state, carry, seen, reset, key)

    carry = policy.initial_carry(len(course.frames))
    return env, play_levels(env, params, act, carry, options.seed)


def _load(run: str, options: Namespace) -> Policy:
    from rljax.evaluation.policy import load_policy

    policy = load_policy(run, env_steps=options.env_steps, member=options.member)
    if policy.config.env.name != _WORLD:
        raise UserError(f"{run}: trained in {policy.config.env.name}, expected {_WORLD}")
    return policy


def _write(folder: Path, results: dict[str, Any], env: Any, play: Any) -> None:
    import jax

    from envs_jax.platformer.render import draw_level
    from envs_jax.platformer.report import write_report

    def picture(level: int) -> Any:
        world = jax.tree.map(lambda leaf: leaf[level], play.worlds)
        trail = play.trail[: play.steps[level] + 1, level]
        return draw_level(env.course.levels, level, world, trail)

    write_report(folder, results, play, picture)


def _show(results: dict[str, Any]) -> None:
    for player, result in results.items():
        print(f"{player}: {result['levels']} levels, robustness {result['robustness']:.3f}")
        rows = {"overall": result["overall"], **result["categories"]}
        print_table(
            ["", *_SHOWN],
            [
                [name, *("-" if row[key] is None else f"{row[key]:.3f}" for key in _SHOWN)]
                for name, row in rows.items()
            ],
        )


if __name__ == "__main__":
    sys.exit(main())
