"""The program that runs on devices: a loop of updates over members, sharded over a mesh."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from rljax.algorithms.base import Algorithm
from rljax.core.config import FrozenDict
from rljax.core.errors import UserError
from rljax.core.mesh import DATA, POPULATION, Shards, make_mesh
from rljax.core.types import PolicyState, TrainState

MAX_CHUNK = 512
"""Most updates in one call of the program: rows of its metrics buffer."""


class Program:
    """``init`` and ``chunk`` of a number of members, compiled once each.

    The state has a leading axis of members.  Members and environments are the two axes of a mesh
    over all devices; everything but the environments' state is replicated along the second.

    Args:
        algorithm: what to run.
        num_envs: environments of each member.
        devices: devices to run on.
        seeds: seed of each member.
        seeds_mode: vmap, map or devices, see :class:`rljax.training.config.Config`.
        exact: same bits on any number of devices.

    Raises:
        UserError: for sizes that do not divide.
    """

    compiler_options: Mapping[str, Any] = FrozenDict()
    """What XLA is told when ``chunk`` is compiled."""

    def __init__(
        self,
        algorithm: Algorithm,
        num_envs: int,
        devices: list[jax.Device],
        seeds: tuple[int, ...] = (0,),
        seeds_mode: str = "vmap",
        exact: bool = False,
    ) -> None:
        members, count = len(seeds), len(devices)
        rows = math.gcd(members, count) if seeds_mode == "devices" else 1
        if seeds_mode == "devices" and rows == 1 < min(members, count):
            fitting = [n for n in range(2, members + count) if math.gcd(n, count) > 1]
            near = min(fitting, key=lambda n: abs(n - members))
            raise UserError(
                f"seeds_mode devices: {members} seeds do not divide over {count} devices; nearest "
                f"is {near} seeds; or choose seeds_mode vmap or map"
            )
        columns = count // rows
        _check_divisible(num_envs, columns, algorithm.blocks, exact)
        self.algorithm, self.seeds, self.mode = algorithm, seeds, seeds_mode
        self.num_envs = num_envs
        self.mesh = make_mesh(devices, rows)
        self.shards = Shards(DATA if columns > 1 else None, columns, algorithm.blocks, exact)
        self._local_members = members // rows
        self.traces = 0
        self.metric_names: tuple[str, ...] = ()
        self.compile_s = 0.0
        self._chunk: Any = None
        self._abstract: TrainState | None = None
        specs: dict[str, Any] = dict.fromkeys(TrainState.__dataclass_fields__, P(POPULATION))
        specs["actors"] = P(POPULATION, DATA)
        self.specs = TrainState(**specs)

    def _over_members(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Run a function of one member (and shared arguments) over the local members."""

        def run(member: Any, *shared: Any) -> Any:
            if self._local_members == 1:
                result = function(jax.tree.map(lambda x: x[0], member), *shared)
                return jax.tree.map(lambda x: x[None], result)
            if self.mode == "map":
                return jax.lax.map(lambda m: function(m, *shared), member)
            return jax.vmap(function, in_axes=(0, *(None for _ in shared)))(member, *shared)

        return run

    def _sharded(self, function: Callable[..., Any], in_specs: Any, out_specs: Any) -> Any:
        return jax.shard_map(
            function, mesh=self.mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
        )

    def _init(self) -> Any:
        def init(seed: jax.Array, env_ids: jax.Array) -> TrainState:
            return self.algorithm.init(jax.random.key(seed), env_ids)

        run = self._over_members(init)
        return self._sharded(run, (P(POPULATION), P(DATA)), self.specs)

    def _inputs(self) -> tuple[Any, Any]:
        return jnp.asarray(self.seeds, jnp.uint32), jnp.arange(self.num_envs, dtype=jnp.int32)

    def init(self) -> TrainState:
        """Return the members' states before training, leaves [members, ...]."""
        shardings = jax.tree.map(
            lambda spec: NamedSharding(self.mesh, spec),
            self.specs,
            is_leaf=lambda x: isinstance(x, P),
        )
        run = self._init()

        def make() -> TrainState:
            return run(*self._inputs())

        # It runs once, so optimising it would take longer than it saves.
        quickly = {"xla_backend_optimization_level": 0}
        start = jax.jit(make, out_shardings=shardings, compiler_options=quickly)
        state: TrainState = start()
        return state

    def abstract_state(self) -> TrainState:
        """Return shapes, dtypes and shardings of the state, without computing it; traced once."""
        if self._abstract is None:
            self._abstract = self._trace_init()
        return self._abstract

    def _trace_init(self) -> TrainState:
        shapes = jax.eval_shape(lambda: self._init()(*self._inputs()))

        def place(spec: P, tree: Any) -> Any:
            sharding = NamedSharding(self.mesh, spec)
            return jax.tree.map(
                lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), tree
            )

        state: TrainState = jax.tree.map(
            place, self.specs, shapes, is_leaf=lambda x: isinstance(x, P)
        )
        return state

    def compile(self) -> Any:
        """Compile ``chunk`` ahead of its first call; returns JAX's compiled object."""
        if self._chunk is None:
            start = time.perf_counter()
            number = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(self.mesh, P()))
            lowered = self._jitted().lower(self.abstract_state(), number)
            self._chunk = lowered.compile(dict(self.compiler_options))
            self.compile_s = time.perf_counter() - start
        return self._chunk

    def _jitted(self) -> Any:
        # A jitted update is traced once, though its outputs are asked for before it is called.
        update = jax.jit(lambda state: self.algorithm.update(state, self.shards))

        def member(state: TrainState, updates: jax.Array) -> tuple[TrainState, jax.Array]:
            names = tuple(sorted(jax.eval_shape(update, state)[1]))
            self.metric_names = names

            def body(i: jax.Array, loop: tuple[TrainState, jax.Array]) -> Any:
                state, rows = loop
                state, metrics = update(state)
                return state, rows.at[i].set(jnp.stack([metrics[name] for name in names]))

            rows = jnp.zeros((MAX_CHUNK, len(names)), jnp.float32)
            return jax.lax.fori_loop(0, updates, body, (state, rows))

        def chunk(state: TrainState, updates: jax.Array) -> tuple[TrainState, jax.Array]:
            self.traces += 1
            return self._over_members(member)(state, updates)

        sharded = self._sharded(chunk, (self.specs, P()), (self.specs, P(POPULATION)))
        return jax.jit(sharded, donate_argnums=0)

    def chunk(self, state: TrainState, updates: int) -> tuple[TrainState, jax.Array]:
        """Do ``updates`` updates, 1 to MAX_CHUNK.

        The number is data: every chunk of a run is the same compiled program.

        Args:
            state: donated; must not be used again.
            updates: how many.

        Returns:
            The new state, and metrics float32 [members, MAX_CHUNK, names], of which the first
            ``updates`` rows are valid; the names are in ``metric_names``.
        """
        if not 1 <= updates <= MAX_CHUNK:
            raise ValueError(f"chunk of {updates} updates: expected 1 to {MAX_CHUNK}")
        compiled = self.compile()
        number = jax.device_put(np.int32(updates), NamedSharding(self.mesh, P()))
        # On a CPU, parts of a collective program that are queued for their inputs can wait for each
        # other in the thread pool for ever (rljax.core.runtime): there must be no queue.
        jax.block_until_ready((state, number))
        result: tuple[TrainState, jax.Array] = compiled(state, number)
        return result

    def policies(self, state: TrainState) -> list[PolicyState]:
        """Return each member's policy, on the host."""
        return self.split(self.algorithm.policy(state))

    def split(self, policy: PolicyState) -> list[PolicyState]:
        """Return each member's part of what has leaves [members, ...], on the host."""
        policy = jax.tree.map(np.asarray, policy)
        return [jax.tree.map(lambda x, i=i: x[i], policy) for i in range(len(self.seeds))]


def _check_divisible(num_envs: int, devices: int, blocks: int, exact: bool) -> None:
    def fits(count: int) -> bool:
        # In the exact setting a device loops over its blocks, and XLA compiles a loop over a
        # single one into other arithmetic.
        return blocks % count == 0 and not (exact and count > 1 and blocks // count < 2)

    if not fits(devices):
        working = ", ".join(str(count) for count in range(1, blocks + 1) if fits(count))
        raise UserError(
            f"num_envs {num_envs} forms {blocks} equal blocks, which do not divide over {devices} "
            f"devices{', at least two on each (exact)' if exact else ''}. Devices that work: "
            f"{working}."
        )
