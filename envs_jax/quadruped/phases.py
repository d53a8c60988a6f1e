"""Running a chain of functions many times, with every intermediate result written to memory.

XLA's CPU compiler fuses a long chain of elementwise operations into one loop for each output, and
computes what they share again in each: ten times the arithmetic for a robot's dynamics. There is no
barrier that it respects but control flow, so each link of the chain becomes a branch of a switch in
a loop. (Measured for a quadruped of 18 degrees of freedom; a GPU has no use for it.)
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["repeat"]

Phase = Callable[..., Any]

_ARRAY = object()  # in a template: here belongs an array


def repeat(phases: Sequence[Phase], state: Any, times: int, split: bool) -> Any:
    """Apply a chain of functions `times` times.

    Args:
        phases: the i-th is called with the state, the number of the repetition (int32) and the
            results of those before it in this repetition; the last one returns the next state.
            Results may hold Python floats, which are constants.
        state: arrays.
        times: repetitions.
        split: whether results are kept apart from each other, as is quicker on a CPU.
    """
    if not split:
        return jax.lax.fori_loop(0, times, lambda i, s: _chain(phases, s, i), state)
    kept, templates = _shapes(phases, state)

    def branch(number: int) -> Callable[[Any], Any]:
        def run(loop: tuple[Any, list[Any], jax.Array]) -> tuple[Any, list[Any], jax.Array]:
            state, results, turn = loop
            whole = [
                _whole(*pair) for pair in zip(templates[:number], results[:number], strict=True)
            ]
            result = phases[number](state, turn, *whole)
            if number == len(phases) - 1:
                return _like(result, state), results, turn + 1
            arrays = _like(_arrays(result), results[number])
            return state, [*results[:number], arrays, *results[number + 1 :]], turn

        return run

    branches = [branch(number) for number in range(len(phases))]
    start = (state, [jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), k) for k in kept])
    order = jnp.tile(jnp.arange(len(phases)), times)
    (state, _, _), _ = jax.lax.scan(
        lambda loop, number: (jax.lax.switch(number, branches, loop), None),
        (*start, jnp.int32(0)),
        order,
    )
    return state


def _chain(phases: Sequence[Phase], state: Any, turn: jax.Array) -> Any:
    results: list[Any] = []
    for phase in phases:
        results.append(phase(state, turn, *results))
    return _like(results[-1], state)


def _shapes(phases: Sequence[Phase], state: Any) -> tuple[list[Any], list[Any]]:
    """Shapes of the arrays in each result but the last, and the results with those left out."""
    templates: list[Any] = []

    def trace(state: Any) -> list[Any]:
        results: list[Any] = []
        templates.clear()
        for phase in phases[:-1]:
            result = phase(state, jnp.int32(0), *results)
            results.append(result)
            templates.append(jax.tree.map(lambda x: x if isinstance(x, float) else _ARRAY, result))
        return [_arrays(result) for result in results]

    kept: list[Any] = jax.eval_shape(trace, state)
    return kept, templates


def _arrays(tree: Any) -> list[Any]:
    return [x for x in jax.tree.leaves(tree) if not isinstance(x, float)]


def _whole(template: Any, arrays: list[Any]) -> Any:
    left = iter(arrays)
    return jax.tree.map(lambda x: next(left) if x is _ARRAY else x, template)


def _like(tree: Any, other: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.broadcast_to(x, y.shape).astype(y.dtype), tree, other)
