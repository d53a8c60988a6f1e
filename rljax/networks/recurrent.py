"""Recurrent cores over time-major sequences, with resets inside them.

The input's share of every gate is one matrix product over all steps at once; only the recurrent
share is inside the loop.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rljax.networks.torsos import Dense

Carry = Any

_GATES = {"gru": 3, "lstm": 4}


def initial_carry(kind: str, size: int, batch: tuple[int, ...]) -> Carry:
    """Return a zero carry: () for "none", [*batch, size] for a GRU, a pair of them for an LSTM."""
    if kind == "none":
        return ()
    zeros = jnp.zeros((*batch, size), jnp.float32)
    return zeros if kind == "gru" else (zeros, zeros)


class Core(nn.Module):
    """A GRU (Cho et al. 2014, reset applied after the product) or LSTM over [T, B, n].

    The carry is zeroed *before* the step at which ``reset`` is set, so that an episode's first
    observation never meets the memory of the one before.
    """

    kind: str
    size: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, carry: Carry, x: jax.Array, reset: jax.Array) -> tuple[Carry, jax.Array]:
        """Run over time.

        Args:
            carry: float32 [B, size] (a pair of them for an LSTM).
            x: [T, B, n].
            reset: bool [T, B], whether the step begins an episode.

        Returns:
            The carry after the last step and the outputs [T, B, size].
        """
        width = _GATES[self.kind] * self.size
        inputs = Dense(width, 1.0, self.dtype, name="input")(x).astype(jnp.float32)
        kernel = self.param("recurrent", nn.initializers.orthogonal(1.0), (self.size, width))
        bias: Any = None
        if self.kind == "gru":
            bias = self.param("candidate_bias", nn.initializers.zeros_init(), (self.size,))

        def product(hidden: jax.Array) -> jax.Array:
            result = hidden.astype(self.dtype) @ kernel.astype(self.dtype)
            return result.astype(jnp.float32)

        def gru(hidden: jax.Array, gates: jax.Array) -> tuple[jax.Array, jax.Array]:
            r_in, z_in, n_in = jnp.split(gates, 3, -1)
            r_rec, z_rec, n_rec = jnp.split(product(hidden), 3, -1)
            forget, keep = nn.sigmoid(r_in + r_rec), nn.sigmoid(z_in + z_rec)
            candidate = nn.tanh(n_in + forget * (n_rec + bias))
            hidden = (1 - keep) * candidate + keep * hidden
            return hidden, hidden

        def lstm(carry: Carry, gates: jax.Array) -> tuple[Carry, jax.Array]:
            cell, hidden = carry
            i, f, g, o = jnp.split(gates + product(hidden), 4, -1)
            # The added one keeps memory at the start of training (Jozefowicz et al. 2015).
            cell = nn.sigmoid(f + 1.0) * cell + nn.sigmoid(i) * nn.tanh(g)
            hidden = nn.sigmoid(o) * nn.tanh(cell)
            return (cell, hidden), hidden

        cell = gru if self.kind == "gru" else lstm

        def step(carry: Carry, inputs: tuple[jax.Array, jax.Array]) -> tuple[Carry, jax.Array]:
            gates, begins = inputs
            carry = jax.tree.map(lambda c: jnp.where(begins[:, None], 0.0, c), carry)
            return cell(carry, gates)

        if x.shape[0] == 1:  # a rollout's step: no loop to set up
            carry, output = step(carry, (inputs[0], reset[0]))
            return carry, output[None]
        return jax.lax.scan(step, carry, (inputs, reset))
