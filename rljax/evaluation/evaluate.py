"""How good a trained policy is: many episodes of it, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np

from rljax.evaluation.policy import Policy
from rljax.evaluation.rollouts import make_evaluation
from rljax.evaluation.statistics import summarise
from rljax.training.build import hardest_stage, make_env

FRESH_EPISODES = 1_000_000
"""Seed of episodes that no evaluation during training has seen: the best checkpoint was chosen by
those, so it looks better on them than it is."""


def evaluate(
    policy: Policy,
    episodes: int | None = None,
    *,
    seed: int = FRESH_EPISODES,
    greedy: bool | None = None,
    stage: str | None = None,
) -> dict[str, Any]:
    """Play episodes in parallel and summarise them.

    Only the first episode of each environment counts, as in evaluations during training.  With a
    curriculum all of them are of one stage.

    Args:
        policy: from :func:`rljax.load_policy`.
        episodes: how many; None: as many as evaluations of its run had.
        seed: of the episodes.
        greedy: whether to take the policy's mode rather than a sample; None: as in its run.
        stage: of the run's curriculum; None: the hardest.

    Returns:
        JSON types: what was played, ``finished`` episodes (others were cut off), ``return`` and
        ``length`` as :func:`summarise` gives them over *episodes* (so their intervals speak of
        this policy, not of its algorithm), and ``success``, the share of episodes that succeeded,
        in worlds with the notion; ``stage`` with a curriculum.

    Raises:
        UserError: for an unknown stage.
    """
    options = policy.config.evaluation
    episodes = options.episodes if episodes is None else episodes
    greedy = options.greedy if greedy is None else greedy
    stage = stage or hardest_stage(policy.config)
    env, env_params = make_env(policy.config, stage)
    play = make_evaluation(policy.algorithm, env, env_params, episodes, greedy, options.max_steps)
    played = play(policy.state, seed)
    result: dict[str, Any] = {
        "env": policy.config.env.name,
        "env_steps": policy.env_steps,
        "episodes": episodes,
        "seed": seed,
        "greedy": greedy,
        "finished": int(np.sum(played.finished)),
        "return": summarise(played.total),
        "length": summarise(played.length),
    }
    if stage is not None:
        result["stage"] = stage
    if played.success is not None:
        result["success"] = float(np.mean(played.success))
    return result
