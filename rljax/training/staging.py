"""From a curriculum's config to a staged world and what steers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envs_jax.autoreset import AutoReset
from envs_jax.registry import change
from rljax.control.config import CurriculumConfig
from rljax.control.curriculum import Curriculum, make_curriculum
from rljax.core.errors import UserError

if TYPE_CHECKING:
    from envs_jax.stages import StageParams, WithStages


def staged(
    config: CurriculumConfig, name: str, world: Any, params: Any, stage: str | None = None
) -> tuple[WithStages, StageParams]:
    """Return a world with the stages of a curriculum, and its parameters with a single stage.

    Args:
        config: the stages.
        name: the world's name, for messages.
        world: the world.
        params: its parameters, where a stage does not say otherwise.
        stage: name of the one that all episodes are of; None: the one that training starts in, and
            that environments leave by themselves if this is how the config has it.

    Raises:
        UserError: for an unknown stage, a parameter that the world lacks or a value that does not
            fit.
        ValueError: for a world in which environments cannot move by themselves.
    """
    from envs_jax.stages import GROUPS, WithStages

    stages = []
    own_words = getattr(world, "stage_params", dict)
    for each in config.stages:
        own = own_words(each.params)
        try:
            changed = change(name, world, params, own)
        except ValueError as error:
            raise UserError(f"curriculum stage {each.name!r}: {error}") from None
        changes = {field: getattr(changed, field) for field in own}
        if config.stratify and hasattr(params, GROUPS):
            weights = np.asarray(changes.get(GROUPS, getattr(params, GROUPS)), np.float32)
            _check_weights(each.name, weights)
            changes |= {GROUPS: weights}
        stages.append(changes)
    moving = config.scope == "environment" and config.fixed is None and stage is None
    made = WithStages(world, params, stages, "own" if moving else "drawn")
    return made, _only_stage(config, made.default_params, stage or config.names[config.first])


def _only_stage(config: CurriculumConfig, params: StageParams, stage: str) -> StageParams:
    try:
        number = config.index(stage)
    except ValueError as error:
        raise UserError(str(error)) from None
    chances = np.zeros(len(config.stages), np.float32)
    chances[number] = 1.0
    chosen: StageParams = params.replace(probabilities=chances)
    return chosen


def make_stages(
    config: CurriculumConfig, num_envs: int, env: AutoReset, params: StageParams
) -> Curriculum:
    """Return what steers a staged world, if that tells what is needed for it.

    Raises:
        UserError: for a world whose episodes tell no success, or that has groups of levels and
            does not tell an episode's.
    """
    from envs_jax.stages import GROUPS

    told, name = env.told(params), env.env.name
    if told.success is None:
        raise UserError(
            f"curriculum: {name} gives no info['success'], by which stages are entered and left; "
            "expected a world that does, or no curriculum"
        )
    weights = params.stages.get(GROUPS) if config.stratify else None
    if weights is not None and told.group is None:
        raise UserError(
            f"curriculum.stratify: {name} has the parameter {GROUPS} and gives no info['group']; "
            "expected both, or curriculum.stratify false"
        )
    names = group_names(env, params)
    count = 0 if told.group is None else len(names) or _number_of_groups(params)
    return make_curriculum(config, num_envs, count, names, weights)


def group_names(env: AutoReset, params: StageParams) -> tuple[str, ...]:
    """Return what a staged world's groups of levels are called; empty, if it does not say.

    Raises:
        UserError: for another number of names than of groups.
    """
    world, count = env.env, _number_of_groups(params)
    while hasattr(world, "world"):  # beneath what wraps it
        world = world.world
    names = tuple(getattr(world, "group_names", ()))
    if names and count not in (0, len(names)):
        raise UserError(f"{env.env.name} has {count} groups and {len(names)} group_names for them")
    return names


def _number_of_groups(params: StageParams) -> int:
    """By the parameter that says how likely each is; 0 without."""
    from envs_jax.stages import GROUPS

    shares = params.stages.get(GROUPS, getattr(params.base, GROUPS, ()))
    return int(np.shape(shares)[-1])


def _check_weights(stage: str, weights: np.ndarray) -> None:
    if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise UserError(
            f"curriculum stage {stage!r}: group_probabilities {weights.tolist()}; expected numbers "
            ">= 0 that are not all 0, one for each group"
        )
