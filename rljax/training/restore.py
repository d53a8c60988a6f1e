"""What an earlier run learnt: to play with, to learn from, to start from."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import jax
import numpy as np

from rljax.algorithms import Teacher
from rljax.algorithms.distil_config import TeacherRecord
from rljax.core.digest import leaf_specs, state_digest
from rljax.core.errors import UserError
from rljax.core.runtime import local_devices
from rljax.core.types import PolicyState, TrainState
from rljax.networks import make_network
from rljax.training.build import make_env, make_program
from rljax.training.checkpoint import Checkpoints
from rljax.training.checkpoint_record import first_difference
from rljax.training.config import Config
from rljax.training.program import Program
from rljax.training.run_folder import RunFolder


class Restored(NamedTuple):
    """A run as it is stored.

    Attributes:
        config: the run's.
        program: its program, on one device.
        env_steps: of the checkpoint.
        policies: each member's, on the host.
    """

    config: Config
    program: Program
    env_steps: int
    policies: list[PolicyState]

    def policy(self, member: int) -> PolicyState:
        """Return one member's policy.

        Raises:
            UserError: if there is no such member.
        """
        if not 0 <= member < len(self.policies):
            raise UserError(f"member {member}: the run has {len(self.policies)}, numbered from 0")
        return self.policies[member]


def restore(run_dir: str | os.PathLike[str], env_steps: int | str | None = None) -> Restored:
    """Read what a run learnt; a student's folder does without its teacher's.

    Nothing else of a checkpoint is read, so the world may have other state than it had then.

    Args:
        run_dir: the run folder.
        env_steps: which checkpoint: a number of env_steps, "best", or None for the newest good.

    Raises:
        UserError: if there is no such run or checkpoint, or nothing good.
    """
    folder = RunFolder.open(run_dir)
    config = folder.read_config()
    teacher = None if config.distil is None else Teacher(folder.read_teacher())
    program = make_program(config, local_devices(1), teacher)
    with Checkpoints(folder.checkpoints_path) as checkpoints:
        wanted = checkpoints.best_step() if env_steps == "best" else env_steps
        if wanted is None and env_steps is not None:
            raise UserError(f"no checkpoint in {folder.checkpoints_path} has an evaluation yet")
        if wanted is not None and not isinstance(wanted, int):
            raise UserError(f"env_steps: got {wanted!r}, expected a number or 'best'")
        learnt = program.algorithm.policy(program.abstract_state())
        steps, policy, _ = checkpoints.restore(learnt, wanted, partial=True)
    return Restored(config, program, steps, program.split(policy))


def find_teacher(config: Config, folder: RunFolder | None = None) -> Teacher | None:
    """Return the teacher of a distillation, None for any other run.

    Args:
        config: the run's.
        folder: the run's own folder if it goes on, for the teacher to be the same as before.

    Raises:
        UserError: if the teacher's run folder is missing or damaged, or has another teacher in it.
    """
    options = config.distil
    if options is None:
        return None
    before = None if folder is None else folder.read_teacher()
    try:
        run = restore(options.teacher, before.env_steps if before else options.env_steps)
        policy = run.policy(options.member)
    except UserError as error:
        raise UserError(f"distil.teacher: {error}") from None
    env, env_params = make_env(run.config)
    if env.num_agents is not None:
        raise UserError(f"distil.teacher: {options.teacher} is a team, expected one agent")
    record = TeacherRecord(
        run=options.teacher,
        env_steps=run.env_steps,
        member=options.member,
        sha256=state_digest(policy),
        network=run.config.network,
    )
    if before and before.sha256 != record.sha256:
        raise UserError(
            f"distil.teacher: the policy in {options.teacher} at {run.env_steps} env_steps is not "
            "the one that this run began with"
        )
    head = make_network(env.action_space(env_params), run.config.network).head
    seen = run.program.abstract_state().actors.observation  # [members, B, ...]
    observation = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), seen)
    return Teacher(record, head, policy, observation)


def find_start(config: Config, program: Program) -> PolicyState | None:
    """Return what the members of a run start from, leaves [members, ...]; None: what is random.

    Raises:
        UserError: if the run folder named is missing or damaged, or what is in it does not fit.
    """
    if config.init_from is None:
        return None
    try:
        policies = restore(config.init_from).policies
    except UserError as error:
        raise UserError(f"init_from: {error}") from None
    if len(policies) not in (1, config.seeds):
        raise UserError(
            f"init_from: {config.init_from} has {len(policies)} members, expected 1 or as many as "
            f"seeds, {config.seeds}"
        )
    policies *= config.seeds // len(policies)
    start: PolicyState = jax.tree.map(lambda *leaves: np.stack(leaves), *policies)
    here = leaf_specs(program.algorithm.policy(program.abstract_state()))
    if difference := first_difference(leaf_specs(start), here):
        raise UserError(f"init_from: what {config.init_from} learnt does not fit: {difference}")
    return start


def begin(program: Program, start: PolicyState | None) -> TrainState:
    """Return the state of a new run, with parameters and moments from :func:`find_start`."""
    state = program.init()
    if start is None:
        return state

    def place(new: np.ndarray, old: jax.Array) -> Any:
        return jax.make_array_from_callback(new.shape, old.sharding, lambda index: new[index])

    replaced = jax.tree.map(place, start, program.algorithm.policy(state))
    return state.replace(params=replaced.params, observation_moments=replaced.observation_moments)
