"""A trained policy, from a run folder alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rljax.algorithms.base import Algorithm
from rljax.core.config import merge
from rljax.core.errors import UserError
from rljax.core.runtime import prepare
from rljax.core.types import PolicyState
from rljax.training.build import make_env
from rljax.training.config import Config
from rljax.training.restore import restore


class Policy:
    """Acts for a batch of environments; jitted.

    Attributes:
        config: the run's config.
        env_steps: how long the policy was trained.
        state: parameters and observation statistics, on the host.
        algorithm: the pure functions behind it.
    """

    def __init__(
        self, config: Config, algorithm: Algorithm, state: PolicyState, env_steps: int
    ) -> None:
        self.config, self.algorithm = config, algorithm
        self.state, self.env_steps = state, env_steps
        self._act = jax.jit(algorithm.act)

    def initial_carry(self, batch: int) -> Any:
        """Return the recurrent state at the start of an episode; empty for feed-forward nets."""
        return self.algorithm.initial_carry(batch)

    def act(
        self,
        observation: Any,
        carry: Any = None,
        reset: jax.Array | None = None,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Choose actions.

        Args:
            observation: leaves [B, ...], as the environment gives them.
            carry: from the previous call; None at the start of an episode.
            reset: bool [B], whether an observation begins an episode; None: none does.
            key: PRNG key to sample with; None takes the mode.

        Returns:
            The environment's actions [B, ...], and the carry for the next call.
        """
        batch = jax.tree.leaves(observation)[0].shape[0]
        if carry is None:
            carry = self.initial_carry(batch)
        if reset is None:
            reset = jnp.zeros(batch, bool)
        carry, action = self._act(self.state, carry, observation, reset, key)
        return action, carry


def load_policy(
    run_dir: str | os.PathLike[str],
    *,
    env_steps: int | str | None = None,
    member: int = 0,
    env_params: Mapping[str, Any] | None = None,
) -> Policy:
    """Load a policy from a run folder.

    Args:
        run_dir: the run folder.
        env_steps: which checkpoint: a number of env_steps, "best", or None for the newest good.
        member: which of the seeds that were trained together.
        env_params: how the world to play in differs from the one it was trained in.

    Raises:
        UserError: if there is no such run, checkpoint, member or world, if the world looks
            different to the policy, or if stages of its curriculum have that parameter.
    """
    prepare()
    run = restore(run_dir, env_steps)
    policy = run.policy(member)
    config = run.config
    if env_params:
        stages = config.curriculum.stages if config.curriculum else ()
        shadowed = [n for n in env_params if stages and all(n in stage.params for stage in stages)]
        if shadowed:
            raise UserError(
                f"env.params.{shadowed[0]}: every stage of the run's curriculum has its own; "
                f"expected a stage: {', '.join(stage.name for stage in stages)}"
            )
        config = merge(config, {"env": {"params": env_params}})
        if _seen(config) != _seen(run.config):
            raise UserError(
                f"env.params {', '.join(env_params)}: changes observations or actions; "
                "expected a world that looks to the policy like its own"
            )
    return Policy(config, run.program.algorithm, policy, run.env_steps)


def _seen(config: Config) -> Any:
    """Shapes and dtypes of a world's observation, and its actions."""
    env, params = make_env(config)
    observation, _ = jax.eval_shape(env.env.reset_env, jax.random.key(0), params)
    leaves, structure = jax.tree.flatten(observation)
    return [(x.shape, x.dtype) for x in leaves], structure, str(env.env.action_space(params))
