"""HARL's own HAPPO on our worlds of particles: ``python experiments/harl_peer.py HARL``."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from experiments.cli import OK, Parser, command
from rljax.core.errors import UserError

_HELP = """Train HARL's HAPPO (Zhong et al. 2024), its code and its settings, on a world of ours.

  git clone https://github.com/PKU-MARL/HARL
  pip install torch setproctitle
  harl_peer.py HARL --continuous --total-steps 2e6

Each line of JSON is over the episodes since the last: their mean return, and how far from the
middle of the world each agent is when they end, m; entropies are of the last rollout, in the order
in which agents learnt from it. Return and distances of a run of ours, beside them:

  harl_peer.py --ours runs/spread_continuous_happo-s0-20260101
"""
_ENVS, _LENGTH, _EPISODE = 20, 200, 25  # HARL's environments and steps of a rollout; the time limit
_EVERY = 25  # rollouts between rows


def _parser() -> Parser:
    parser = Parser(_HELP)
    add = parser.add_argument
    add("harl", metavar="HARL", nargs="?", help="checkout of HARL")
    add("--ours", metavar="RUN", help="play 512 episodes of a run of ours (its mode) instead")
    add("--world", default="Spread", choices=("Spread", "Reference"), help="default: Spread")
    add("--continuous", action="store_true", help="continuous actions")
    add("--seed", type=int, default=0, metavar="S")
    add("--total-steps", type=float, default=1e6, metavar="N", help="default: 1e6")
    return parser


@command
def main(argv: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args(argv)
    if options.ours:
        print(json.dumps(distances_of_run(options.ours)))
        return OK
    if options.harl is None:
        raise UserError("nothing to do: give a checkout of HARL, or --ours RUN")
    world = World(options.world, options.continuous, options.seed)
    start, out = time.process_time(), sys.stdout

    def report(row: dict[str, Any]) -> None:
        row["cpu_s"] = round(time.process_time() - start, 1)
        print(json.dumps(row), file=out, flush=True)

    with contextlib.redirect_stdout(sys.stderr):  # HARL talks
        train(options.harl, world, options.seed, int(options.total_steps), report)
    return OK


class World:
    """Twenty copies of a world behind the interface of HARL's vectorised environments.

    Args:
        name: "Spread" or "Reference".
        continuous: whether actions are.
        seed: of the episodes, each of which starts anew.
    """

    def __init__(self, name: str, continuous: bool, seed: int) -> None:
        import jax
        import jax.numpy as jnp

        import envs_jax
        from envs_jax import spaces

        chosen = {"continuous": True} if continuous else {}
        env, params = envs_jax.make(f"{name}-particles", pettingzoo_1_22=True, **chosen)
        self.continuous, self.n_agents = continuous, env.num_agents
        self.places: list[np.ndarray] = []
        self._key = jax.random.key(seed)

        @jax.jit
        def reset(key: jax.Array) -> Any:
            keys = jax.random.split(key, _ENVS)
            seen, state = jax.vmap(env.reset_env, (0, None))(keys, params)
            return seen, state, jax.vmap(env.global_state, (0, None))(state, params)

        @jax.jit
        def step(key: jax.Array, state: Any, action: jax.Array) -> Any:
            own, other = jax.random.split(key)
            keys = jax.random.split(own, _ENVS)
            seen, after, reward, _, _ = jax.vmap(env.step_env, (0, 0, 0, None))(
                keys, state, action, params
            )
            ended = after.time[0] >= _EPISODE  # all at once
            place = jnp.linalg.norm(after.position, axis=-1)
            whole = jax.vmap(env.global_state, (0, None))(after, params)
            now, new = (seen, after, whole), reset(other)
            seen, after, whole = jax.tree.map(lambda a, b: jnp.where(ended, b, a), now, new)
            return seen, after, whole, reward, ended, place

        self._split: Callable[..., Any] = jax.jit(jax.random.split)
        self._reset, self._step = reset, step
        seen, self._state, whole = reset(self._key)
        shapes = (seen.shape[-1:], whole.shape[-1:])
        own, shared = (spaces.Box(-np.inf, np.inf, shape) for shape in shapes)
        self.observation_space = [own] * self.n_agents
        self.share_observation_space = [shared] * self.n_agents
        # HARL asks spaces for their class and shape or size, which ours have as well.
        self.action_space = [env.action_space(params)] * self.n_agents

    def reset(self) -> Any:
        """Observations, global states, masks."""
        self._key, key = self._split(self._key)
        seen, self._state, whole = self._reset(key)
        return self._told(seen, whole)

    def step(self, actions: np.ndarray) -> Any:
        """As HARL's environments: time limits are marked as bad transitions."""
        self._key, key = self._split(self._key)
        chosen = np.clip(actions, 0, 1) if self.continuous else actions[..., 0].astype(np.int32)
        seen, self._state, whole, reward, ended, place = self._step(key, self._state, chosen)
        if ended:
            self.places.append(np.asarray(place))
        dones = np.full((_ENVS, self.n_agents), bool(ended))
        info: Any = {"bad_transition": True} if ended else {}
        rewards = np.asarray(reward).reshape(_ENVS, self.n_agents, 1)
        seen, whole, masks = self._told(seen, whole)
        return seen, whole, rewards, dones, [[info] * self.n_agents] * _ENVS, masks

    def close(self) -> None:
        """Nothing to do."""

    def _told(self, seen: Any, whole: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        masks: np.ndarray = np.array([None] * _ENVS)
        if not self.continuous:
            masks = np.ones((_ENVS, self.n_agents, 5), np.float32)
        return np.asarray(seen), np.repeat(np.asarray(whole)[:, None], self.n_agents, 1), masks


def make_runner(
    harl: str | os.PathLike[str],
    world: World,
    seed: int,
    total_steps: int,
    logger: type | None = None,
    **algorithm: Any,
) -> Any:
    """HARL's runner of HAPPO with the settings that it was tuned to, on one thread.

    Args:
        harl: checkout of HARL.
        world: to act in.
        seed: of the networks and actions.
        total_steps: env_steps.
        logger: HARL's of the run; None for its own.
        algorithm: what differs from its settings of the algorithm.

    Raises:
        UserError: there is no such checkout, or a package that it needs is missing.
    """
    folder = Path(harl).absolute()
    kind = "continuous" if world.continuous else "discrete"
    file = folder / f"tuned_configs/pettingzoo_mpe/simple_spread_v2-{kind}/happo/config.json"
    if not file.is_file():
        raise UserError(f"{harl}: expected a checkout of https://github.com/PKU-MARL/HARL")
    sys.path.insert(0, str(folder))
    # Its registry of loggers would import every simulator that HARL knows.
    registry: Any = ModuleType("harl.envs")
    registry.__path__ = [str(folder / "harl" / "envs")]
    sys.modules["harl.envs"] = registry
    try:
        own = importlib.import_module("harl.envs.pettingzoo_mpe.pettingzoo_mpe_logger")
        registry.LOGGER_REGISTRY = {"pettingzoo_mpe": logger or own.PettingZooMPELogger}
        base = importlib.import_module("harl.runners.on_policy_base_runner")
        runner = importlib.import_module("harl.runners.on_policy_ha_runner").OnPolicyHARunner
    except ImportError as error:
        raise UserError(f"HARL needs {error.name}: pip install {error.name}") from None
    base.make_train_env = lambda *_: world  # type: ignore[attr-defined]
    base.get_num_agents = lambda *_: world.n_agents  # type: ignore[attr-defined]
    config = json.loads(file.read_text())
    settings = config["algo_args"]
    settings["algo"] |= algorithm
    settings["seed"]["seed"] = seed
    settings["train"] |= {
        "num_env_steps": total_steps,
        "log_interval": 1,
        "eval_interval": total_steps,
    }
    settings["eval"]["use_eval"] = False
    settings["device"] = {"cuda": False, "torch_threads": 1, "cuda_deterministic": False}
    settings["logger"]["log_dir"] = tempfile.mkdtemp(prefix="harl-")
    main_args = {"algo": "happo", "env": "pettingzoo_mpe", "exp_name": "peer"}
    return runner(main_args, settings, config["env_args"])


def train(
    harl: str | os.PathLike[str],
    world: World,
    seed: int,
    total_steps: int,
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Train HARL's HAPPO and report every 100,000 steps.

    Raises:
        UserError: as :func:`make_runner`.
    """
    returns: list[float] = []

    class Logger:
        """What HARL's runner tells."""

        def __init__(self, *_: Any) -> None:
            self._total, self._rollout = np.zeros(_ENVS), 0

        def init(self, episodes: int) -> None: ...

        def close(self) -> None: ...

        def episode_init(self, episode: int) -> None:
            self._rollout = episode

        def per_step(self, data: Any) -> None:
            rewards, dones = data[2], data[3]
            self._total += rewards.mean((1, 2))
            if dones.all():
                returns.extend(self._total)
                self._total = np.zeros(_ENVS)

        def episode_log(self, actors: Any, *_: Any) -> None:
            if self._rollout % _EVERY == 0:
                away = np.concatenate(world.places).mean(0)
                row: dict[str, Any] = {"env_steps": self._rollout * _ENVS * _LENGTH}
                row["return"] = round(float(np.mean(returns)), 1)
                row |= {f"away{i}": round(float(x), 2) for i, x in enumerate(away)}
                report(row | {"entropies": [round(told["dist_entropy"], 2) for told in actors]})
                returns.clear()
                world.places.clear()

    make_runner(harl, world, seed, total_steps, Logger).run()


def distances_of_run(run_dir: str) -> dict[str, Any]:
    """Mean return of 512 episodes of a run of ours, and where its agents are at their ends."""
    import jax

    import rljax
    from rljax.training.build import make_env

    policy = rljax.load_policy(run_dir)
    world, params = make_env(policy.config)
    env = world.env
    keys = jax.random.split(jax.random.key(0), 512)
    seen, state = jax.jit(jax.vmap(env.reset_env, (0, None)))(keys, params)
    step = jax.jit(jax.vmap(env.step_env, (0, 0, 0, None)))
    total: Any = 0.0
    for _ in range(_EPISODE):
        action, _ = policy.act(seen)
        seen, state, reward, _, _ = step(keys, state, action, params)
        total = total + np.asarray(reward).reshape(512, -1).mean(-1)
    away = np.linalg.norm(np.asarray(state.position), axis=-1).mean(0)
    row = {"env_steps": policy.env_steps, "return": round(float(np.mean(total)), 1)}
    return row | {f"away{i}": round(float(x), 2) for i, x in enumerate(away)}


if __name__ == "__main__":
    sys.exit(main())
