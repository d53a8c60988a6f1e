"""See how well a quadruped walks: ``python experiments/locomotion.py RUN``."""

from __future__ import annotations

import json
import statistics
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.cli import OK, Parser, command, print_table
from rljax.core.errors import UserError

_WORLD = "Quadruped-v1"
_SETTLE = 2.0  # s from standing to walking
_LEAST = 2.02  # s of an episode

_HELP = """Play episodes of a quadruped, and say how well it follows commands.

  locomotion.py RUN                 errors, tracking and falls in 10 s, at any level
  locomotion.py RUN --levels        also who gets through what terrain, level by level
  locomotion.py RUN --mujoco 20     also in MuJoCo, on flat ground
  locomotion.py RUN --forget        with the recurrent state zeroed in every step
  locomotion.py RUN --hide scan     with this part of the observation zeroed
  locomotion.py RUN RUN RUN         each, and their median, lowest and highest

No noise is taken away: the policy meets what it was trained with, pushes included.
"""


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("runs", metavar="RUN", nargs="+", help="run folder")
    add("--episodes", type=int, default=256, metavar="N", help="for each figure (default: 256)")
    add("--seconds", type=float, default=10.0, metavar="S", help="of an episode (default: 10)")
    add("--levels", action="store_true", help="play every level of the terrain for 20 s")
    add("--mujoco", type=int, default=0, metavar="N", help="episodes in MuJoCo")
    add("--forget", action="store_true", help="zero the recurrent state in every step")
    add("--hide", metavar="PART", help="zero this part of the observation")
    parser.add_policy_options()
    add("--seed", type=int, default=0, metavar="S", help="of the episodes")
    add("--json", action="store_true", help="print the result as one line of JSON")
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(argv)
    least = {"episodes": 1, "seconds": _LEAST, "mujoco": 0}
    for name, value in least.items():
        if not getattr(options, name) >= value:
            raise UserError(f"--{name} {getattr(options, name)}: expected at least {value}")
    results = {run: _assess(run, options) for run in options.runs}
    if options.json:
        print(json.dumps(results, allow_nan=False))
    else:
        _show(results)
    return OK


def _assess(run: str, options: Namespace) -> dict[str, Any]:
    from rljax.evaluation.policy import load_policy
    from rljax.training.run_folder import RunFolder

    trained = RunFolder.open(run).read_config().env
    if trained.name != _WORLD:
        raise UserError(f"{run}: trained in {trained.name}, expected {_WORLD}")
    flat = trained.params.get("ground", "flat") == "flat"
    if options.levels and flat:
        raise UserError(f"{run}: trained on flat ground, which has no levels")
    if options.mujoco and not flat:
        raise UserError(f"{run}: trained on terrain; expected a run on flat ground for --mujoco")
    policy = load_policy(run, env_steps=options.env_steps, member=options.member)
    import jax
    import jax.numpy as jnp

    import envs_jax
    from envs_jax.quadruped.assessment import tracking, traversal, walk
    from envs_jax.quadruped.env import SUBSTEPS

    env, params = envs_jax.make(_WORLD, **trained.params)
    if options.hide is not None:
        _check_seen(options.hide, env.observation_space(params), policy.config.network.inputs)

    def decide(carry: Any, seen: Any, reset: Any, key: Any) -> tuple[Any, Any]:
        forgets = jnp.ones_like(reset) if options.forget else reset
        if options.hide is not None:
            seen = {**seen, options.hide: jnp.zeros_like(seen[options.hide])}
        return policy.algorithm.act(policy.state, carry, seen, forgets, None)

    carry = policy.initial_carry(options.episodes)
    control = float(params.dt) * SUBSTEPS
    settle = round(_SETTLE / control)
    steps = max(round(options.seconds / control), settle + 1)
    play = walk(env, decide, carry, options.episodes, steps=steps, settle=settle)
    result: dict[str, Any] = {"flat or any level": tracking(play(params, options.seed))}
    if options.levels:
        whole = int(params.max_steps_in_episode)
        through = walk(env, decide, carry, options.episodes, steps=whole)
        levels = np.shape(params.terrain.starts)[0]
        table = traversal(through, params, levels, options.seed)
        every = [_mean(list(shares)) for shares in zip(*table.values(), strict=True)]
        result["levels"] = table | {"all kinds": every}
    if options.mujoco:
        from envs_jax.quadruped.mjcf import walk_in_mujoco

        def act(carry: Any, seen: Any, reset: Any) -> tuple[Any, Any]:
            return decide(carry, seen, reset, None)

        alone = policy.initial_carry(1)
        try:
            walks = walk_in_mujoco(env, params, jax.jit(act), alone, options.mujoco, steps, settle)
        except ValueError as error:
            raise UserError(f"--mujoco: {error}") from None
        result["MuJoCo"] = tracking(walks)
    return result


def _check_seen(part: str, space: Any, inputs: tuple[str, ...]) -> None:
    from envs_jax.spaces import PRIVILEGED

    seen = [name for name in inputs or space.spaces if name != PRIVILEGED]
    if part not in seen:
        raise UserError(f"--hide {part}: expected what the policy sees: {', '.join(seen)}")


def _show(results: dict[str, Any]) -> None:
    for run, result in results.items():
        print(run)
        _print(result, _text)
    kept = [_layout(result) for result in results.values()]
    if len(results) > 1 and kept.count(kept[0]) == len(kept):
        print(f"median of {len(results)} runs [lowest, highest]")
        _print(_together(*results.values()), _median)


def _layout(result: Any) -> Any:
    """What rows and columns there are."""
    if isinstance(result, dict):
        return {name: _layout(values) for name, values in result.items()}
    return len(result) if isinstance(result, list) else None


def _together(*results: Any) -> Any:
    """Results of one layout as one: each number is a tuple of those of all."""
    first = results[0]
    if isinstance(first, dict):
        return {name: _together(*(result[name] for result in results)) for name in first}
    if isinstance(first, list):
        return [_together(*values) for values in zip(*results, strict=True)]
    return results


def _print(result: dict[str, Any], text: Callable[[Any, int], str]) -> None:
    names = [name for name in result if name != "levels"]
    columns = list(result[names[0]])
    rows = [[name, *(text(result[name][c], 3) for c in columns)] for name in names]
    print_table(["", *columns], rows)
    if "levels" in result:
        table = result["levels"]
        levels = range(len(next(iter(table.values()))))
        print()
        print_table(
            ["gets through", *(f"level {level}" for level in levels), "mean"],
            [
                [kind, *(text(share, 2) for share in (*row, _mean(row)))]
                for kind, row in table.items()
            ],
        )


def _mean(row: list[Any]) -> Any:
    """Of what is known; one for each run, where the cells are of several."""
    if isinstance(row[0], tuple):
        return tuple(_mean(list(cells)) for cells in zip(*row, strict=True))
    known = [share for share in row if share is not None]
    return statistics.fmean(known) if known else None


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _median(values: tuple[float | None, ...], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    low, middle, high = (_text(f(known), digits) for f in (min, statistics.median, max))
    return f"{middle} [{low}, {high}]"


if __name__ == "__main__":
    raise SystemExit(main())
