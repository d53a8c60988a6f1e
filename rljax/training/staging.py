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
    config: CurriculumConfig, name: str, world: Any, params: Any
) -> tuple[WithStages, StageParams]:
    """Return a world with the stages of a curriculum, and its parameters with the first one only.

    Args:
        config: the stages.
        name: the world's name, for messages.
        world: the world.
        params: its parameters, where a stage does not say otherwise.

    Raises:
        UserError: for a parameter that the world lacks or a value that does not fit.
    """
    from envs_jax.stages import GROUPS, WithStages

    stages = []
    own_words = getattr(world, "stage_params", dict)
    for stage in config.stages:
        try:
            changes = change(name, params, own_words(stage.params))
        except ValueError as error:
            raise UserError(f"curriculum stage {stage.name!r}: {error}") from None
        if config.stratify and hasattr(params, GROUPS):
            weights = np.asarray(changes.get(GROUPS, getattr(params, GROUPS)), np.float32)
            _check_weights(stage.name, weights)
            changes |= {GROUPS: weights}
        stages.append(changes)
    made = WithStages(world, params, stages)
    return made, only_stage(config, made.default_params, config.names[config.first])


def only_stage(config: CurriculumConfig | None, params: Any, stage: str) -> StageParams:
    """Return parameters of a staged world in which all episodes are of one stage.

    Raises:
        UserError: for an unknown stage, or a run without stages.
    """
    if config is None:
        raise UserError(f"stage {stage!r}: the run has no curriculum, expected no stage")
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
    return make_curriculum(config, num_envs, weights)


def _check_weights(stage: str, weights: np.ndarray) -> None:
    if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise UserError(
            f"curriculum stage {stage!r}: group_probabilities {weights.tolist()}; expected numbers "
            ">= 0 that are not all 0, one for each group"
        )
