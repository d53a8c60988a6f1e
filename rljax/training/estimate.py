"""What a run will take, before it is started."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from rljax.core.runtime import all_devices, prepare
from rljax.networks import make_network, make_team
from rljax.training.build import make_env, make_program
from rljax.training.config import Config
from rljax.training.plan import make_plan
from rljax.training.program import Program


@dataclass(frozen=True)
class Estimate:
    """Size of a run; bytes are per device.

    Attributes:
        parameters: of one member's networks.
        env_steps: of one member; the wanted number rounded up to whole updates.
        updates: whole updates.
        steps_per_update: env_steps of one update.
        devices: devices that it was compiled for.
        compile_s: seconds of compiling, little where the compilation cache had it.
        state_bytes: all that training carries from update to update.
        temporary_bytes: what an update needs besides.
        peak_bytes: most that is held at once.
        flops_per_step: floating-point operations of the networks for one env step, a
            multiply-add being two; see :func:`flops_per_step` for what is left out.
        flops: likewise, of the whole run with all its members.
    """

    parameters: int
    env_steps: int
    updates: int
    steps_per_update: int
    devices: int
    compile_s: float
    state_bytes: int
    temporary_bytes: int
    peak_bytes: int
    flops_per_step: float
    flops: float


def estimate(config: Config) -> Estimate:
    """Compile a run's program, and say what it would take; trains and writes nothing.

    Raises:
        UserError: for a config that cannot be run.
    """
    prepare(config.devices)
    program = make_program(config, all_devices(config.devices))
    plan = make_plan(config, program.algorithm.steps_per_update)
    memory = program.compile().memory_analysis()
    per_step = flops_per_step(config, program)
    steps = plan.total * plan.steps_per_update
    return Estimate(
        parameters=parameter_count(program),
        env_steps=steps,
        updates=plan.total,
        steps_per_update=plan.steps_per_update,
        devices=program.mesh.size,
        compile_s=round(program.compile_s, 2),
        state_bytes=memory.argument_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        # The state's buffers are donated, so that most of the outputs alias them.
        peak_bytes=memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes,
        flops_per_step=per_step,
        flops=per_step * steps * config.seeds,
    )


def parameter_count(program: Program) -> int:
    """Return how many numbers one member's networks have."""
    leaves = jax.tree.leaves(program.abstract_state().params)
    return sum(math.prod(leaf.shape[1:]) for leaf in leaves)


def flops_per_step(config: Config, program: Program) -> float:
    """Estimate the floating-point operations that training spends on one env step.

    The compiler's own count is of no use for a whole program: it counts the body of a loop once.
    So one forward pass is counted, and multiplied: once to act, and in every epoch once forward
    and twice its cost backward.  Left out are the environment, the optimiser, a teacher and the
    evaluation of final observations.
    """
    env, env_params = make_env(config)
    space, team = env.action_space(env_params), config.team
    network = (
        make_network(space, config.network)
        if env.num_agents is None
        else make_team(space, config.network, env.num_agents, team.share_parameters, team.critic)
    )

    def member(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree)

    state = member(program.abstract_state())
    observation = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), state.actors.observation
    )
    reset = jax.ShapeDtypeStruct((1, config.num_envs), jnp.bool_)
    carry = jax.eval_shape(lambda: network.initial_carry(config.num_envs))
    forward = jax.jit(network.apply).lower(state.params, carry, observation, reset)
    flops = float((forward.cost_analysis() or {}).get("flops", math.nan)) / config.num_envs
    return flops * (1 + 3 * config.ppo.epochs)
