"""From a config to what runs: environment, algorithm, program."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax

import envs_jax
from envs_jax.autoreset import AutoReset
from rljax.algorithms import Algorithm, Teacher, make_distil, make_happo, make_ppo
from rljax.core.errors import UserError
from rljax.training.config import Config
from rljax.training.presets import available
from rljax.training.program import Program
from rljax.training.staging import make_stages, staged

_OURS, _LIBRARIES = ("envs_jax.", "rljax."), ("jax", "numpy", "flax", "chex", "gymnax")


def make_env(config: Config, stage: str | None = None) -> tuple[AutoReset, Any]:
    """Return the auto-resetting environment of a config, and its parameters.

    Args:
        config: the run's.
        stage: where a curriculum is configured, the stage that all episodes are of, for instance
            ``config.curriculum.hardest``; None: those of the start of training.

    Raises:
        UserError: for an unknown environment, parameter or stage, a random phase or a curriculum
            in a world without what it needs.
    """
    if config.env.name not in envs_jax.available():
        available()  # another distribution's world is registered by the modules of its presets
    try:
        world, params = envs_jax.make(config.env.name, **config.env.params)
        if config.curriculum is not None:
            world, params = staged(config.curriculum, config.env.name, world, params, stage)
        elif stage is not None:
            raise UserError(f"stage {stage!r}: the run has no curriculum, expected no stage")
        env = AutoReset(world, config.env.reset, config.env.bank_size)
        if config.env.random_phase:  # traced, for it to be refused before anything is made
            key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
            jax.eval_shape(lambda keys: env.init(keys, params, True), key)
        return env, params
    except ValueError as error:
        raise UserError(f"{error}{_place(error)}") from None


def _place(error: Exception) -> str:
    """Where a world's own code failed, to append to a message; "" for what ours says of itself."""
    place, trace = "", error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.startswith(_OURS):
            place = ""
        elif not module.startswith(_LIBRARIES):
            name = Path(trace.tb_frame.f_code.co_filename).name
            place = f" (raised in {name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def hardest_stage(config: Config) -> str | None:
    """Return the stage that policies are judged by; None without a curriculum."""
    return None if config.curriculum is None else config.curriculum.hardest


def total_updates(config: Config) -> int:
    """Return how many updates the step budget takes, rounded up."""
    return math.ceil(config.total_steps / (config.num_envs * config.ppo.rollout_length))


def make_algorithm(config: Config, teacher: Teacher | None = None) -> Algorithm:
    """Return the algorithm of a config, on its environment: by how many agents that has.

    Args:
        config: the run's.
        teacher: of a distillation; None: read from the run folder that the config names.

    Raises:
        UserError: for options that do not fit.
    """
    if config.distil is not None and teacher is None:
        from rljax.training.restore import find_teacher  # which makes the teacher's program

        teacher = find_teacher(config)
    env, params = make_env(config)
    curriculum = None
    if config.curriculum is not None:
        curriculum = make_stages(config.curriculum, config.num_envs, env, params)
    common: dict[str, Any] = {
        "num_envs": config.num_envs,
        "total_updates": total_updates(config),
        "normalise_observations": config.env.normalise_observations,
        "random_phase": config.env.random_phase,
        "curriculum": curriculum,
    }
    if env.num_agents is None:
        common["normalise_rewards"] = config.env.normalise_rewards
        if config.distil is not None and teacher is not None:
            parts = (config.network, config.ppo, config.distil, teacher)
            return make_distil(env, params, *parts, **common)
        return make_ppo(env, params, config.network, config.ppo, **common)
    if config.distil is not None:
        raise UserError(
            f"distil.teacher: {config.env.name} has several agents, expected a world of one"
        )
    if config.env.normalise_rewards:
        raise UserError(
            f"env.normalise_rewards: {config.env.name} has several agents, whose values are scaled "
            "by team.value_norm instead"
        )
    return make_happo(env, params, config.network, config.ppo, config.team, **common)


def make_program(
    config: Config, devices: list[jax.Device], teacher: Teacher | None = None
) -> Program:
    """Return the program of a config on some devices.

    Args:
        config: the run's.
        devices: to run on.
        teacher: see :func:`make_algorithm`.

    Raises:
        UserError: for sizes that do not divide, or members spread over several processes.
    """
    if config.seeds > 1 and config.seeds_mode == "devices":
        processes = len({device.process_index for device in devices})
        if processes > 1:
            raise UserError(
                f"seeds_mode devices spreads members over the devices of one process, not of "
                f"{processes}; choose vmap or map, or run each seed by itself"
            )
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    algorithm = make_algorithm(config, teacher)
    return Program(algorithm, config.num_envs, devices, seeds, config.seeds_mode, config.exact)
