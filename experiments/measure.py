"""Measure the speed of one configuration: what `benchmark.py` runs in a process of its own.

The number of host devices, the thread pool and the peak of memory belong to a process, so that
configurations cannot share one.  Reads a JSON object from stdin, prints one as its last line.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from rljax.core.config import from_dict
from rljax.core.errors import UserError
from rljax.core.mesh import DATA, make_mesh
from rljax.core.prng import fold_each
from rljax.core.runtime import local_devices, prepare
from rljax.training.build import make_env, make_program
from rljax.training.config import Config
from rljax.training.program import MAX_CHUNK
from rljax.training.run_folder import describe_environment

# Runs n iterations on from where it is; returns when the device is done.
Run = Callable[[int], None]


def training(config: Config) -> tuple[Run, int, float]:
    """Return what trains n updates, the env_steps of one, and seconds of compiling."""
    program = make_program(config, local_devices(config.devices))
    program.compile()
    state = program.init()

    def run(updates: int) -> None:
        nonlocal state
        while updates:
            count = min(updates, MAX_CHUNK)
            state, metrics = program.chunk(state, count)
            updates -= count
        jax.block_until_ready((state, metrics))

    return run, program.algorithm.steps_per_update * config.seeds, program.compile_s


def environment(config: Config) -> tuple[Run, int, float]:
    """Return what steps n rollouts with random actions, env_steps of one, seconds of compiling."""
    env, params = make_env(config)
    length, devices = config.ppo.rollout_length, local_devices(config.devices)
    if config.num_envs % len(devices):
        raise UserError(f"num_envs {config.num_envs} does not divide over {len(devices)} devices")

    def rollout(number: jax.Array, loop: Any) -> Any:
        state, ids, total = loop
        keys = fold_each(jax.random.fold_in(jax.random.key(0), number), ids)
        # All randomness in bulk and starts from a bank, as in training.
        step_keys = jax.vmap(lambda key: jax.random.split(key, length), out_axes=1)(keys)
        actions = jax.vmap(lambda keys: env.sample_actions(keys, params))(step_keys)
        bank = env.make_bank(keys, params)

        def step(state: Any, inputs: Any) -> Any:
            key, action = inputs
            state, result = env.step(key, state, action, params, bank)
            # Whatever nobody reads the compiler would not compute.
            read = (result.observation, result.reward)
            return state, sum(x.astype(jnp.float32).sum() for x in jax.tree.leaves(read))

        state, sums = jax.lax.scan(step, state, (step_keys, actions))
        return state, ids, total + sums.sum()

    def start(ids: jax.Array) -> Any:
        return env.init(fold_each(jax.random.key(1), ids), params)[0], ids, jnp.zeros(1)

    def rollouts(loop: Any, n: jax.Array) -> Any:
        return jax.lax.fori_loop(0, n, rollout, loop)

    def sharded(function: Callable[..., Any], specs: Any) -> Any:
        mesh = make_mesh(devices)
        return jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=P(DATA), check_vma=False
        )

    loop = jax.jit(sharded(start, P(DATA)))(jnp.arange(config.num_envs))
    began = time.perf_counter()
    compiled = jax.jit(sharded(rollouts, (P(DATA), P()))).lower(loop, jnp.int32(1)).compile()
    compile_s = time.perf_counter() - began

    def run(n: int) -> None:
        nonlocal loop
        loop = jax.block_until_ready(compiled(loop, jnp.int32(n)))

    return run, config.num_envs * length, compile_s


def measure(run: Run, steps: int, repeat: int, seconds: float) -> dict[str, Any]:
    """Return the steady speed: the median of ``repeat`` times about ``seconds`` each."""
    run(1)
    began = time.perf_counter()
    run(1)
    count = max(1, int(seconds / (time.perf_counter() - began)))
    run(count)
    speeds, costs = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        run(count)
        speeds.append(count * steps / (time.perf_counter() - wall))
        costs.append((time.process_time() - cpu) / (count * steps) * 1e6)
    return {
        "steps_per_s": round(statistics.median(speeds), 1),
        "cpu_us_per_step": round(statistics.median(costs), 4),
        "steps_per_s_of_each": [round(speed, 1) for speed in speeds],
    }


def main() -> int:
    """Measure what stdin asks for."""
    request = json.load(sys.stdin)
    config = from_dict(Config, request["config"])
    try:
        prepare(config.devices, cache_dir="")  # compiling is measured, too
        make = environment if request["what"] == "env" else training
        run, steps, compile_s = make(config)
        result = measure(run, steps, request["repeat"], request["seconds"])
    except UserError as error:
        print(json.dumps({"error": str(error)}))
        return 0
    stats = local_devices(1)[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    result |= {
        "compile_s": round(compile_s, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "device_peak_mb": None if peak is None else round(peak / 2**20, 1),
    }
    print(json.dumps(result | {"environment": describe_environment() | {"cores": os.cpu_count()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
