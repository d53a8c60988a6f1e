"""Running a chain of functions many times, with every intermediate result written to memory.

XLA's CPU compiler fuses a long chain of elementwise operations into one loop for each output, and
computes what they share again in each: ten times the arithmetic for a robot's dynamics. It respects
no barrier but control flow, so each link of the chain becomes the branch of a condition that always
holds and that the compiler does not see through: four times as fast for a quadruped. (One switch in
a loop over all links keeps them apart as well, but copies all results in every turn, which costs
what it gains.)
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["repeat"]

Phase = Callable[..., Any]


def repeat(phases: Sequence[Phase], state: Any, times: int, apart: bool) -> Any:
    """Apply a chain of functions `times` times.

    Args:
        phases: the i-th is called with the state, the number of the repetition (int32) and the
            results of those before it in this repetition; the last one returns the next state.
            Results may hold Python floats, which are constants.
        state: arrays.
        times: repetitions.
        apart: whether to keep results apart from each other, as is quicker on a CPU, or to leave
            all to the compiler.
    """

    def once(turn: jax.Array, state: Any) -> Any:
        results: list[Any] = []
        for phase in phases:
            run = functools.partial(_apart, phase, turn >= 0) if apart else phase
            results.append(run(state, turn, *results))
        return jax.tree.map(
            lambda new, old: jnp.broadcast_to(new, old.shape).astype(old.dtype), results[-1], state
        )

    return jax.lax.fori_loop(0, times, once, state)


def _apart(phase: Phase, holds: jax.Array, *arguments: Any) -> Any:
    """The result of a phase, computed by itself."""
    arrays, whole = _parted(arguments)
    template: list[Any] = []

    def run(arrays: list[Any]) -> list[Any]:
        result, build = _parted(phase(*whole(arrays)))
        template[:] = [build]
        return result

    shapes = jax.eval_shape(run, arrays)
    nothing = lambda _: [jnp.zeros(s.shape, s.dtype) for s in shapes]  # noqa: E731
    return template[0](jax.lax.cond(holds, run, nothing, arrays))


def _parted(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The arrays of a tree, and what puts them back between its Python floats."""
    leaves, structure = jax.tree.flatten(tree)
    is_array = [not isinstance(leaf, float) for leaf in leaves]

    def whole(arrays: list[Any]) -> Any:
        left = iter(arrays)
        filled = [
            next(left) if wanted else leaf for leaf, wanted in zip(leaves, is_array, strict=True)
        ]
        return jax.tree.unflatten(structure, filled)

    kept = [jnp.asarray(leaf) for leaf, wanted in zip(leaves, is_array, strict=True) if wanted]
    leaves = [None if wanted else leaf for leaf, wanted in zip(leaves, is_array, strict=True)]
    return kept, whole
