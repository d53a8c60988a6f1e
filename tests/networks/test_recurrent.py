"""Recurrent cores against loops in NumPy, and what a reset must cut."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.networks.recurrent import Core, initial_carry

TIME, BATCH, INPUTS, SIZE = 9, 3, 4, 5
KINDS = ("gru", "lstm")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(params, hidden, x):
    w, b, u = params["input"]["kernel"], params["input"]["bias"], params["recurrent"]
    r_x, z_x, n_x = np.split(x @ w + b, 3, -1)
    r_h, z_h, n_h = np.split(hidden @ u, 3, -1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * (n_h + params["candidate_bias"]))
    hidden = (1 - z) * n + z * hidden
    return hidden, hidden


def lstm(params, carry, x):
    cell, hidden = carry
    w, b, u = params["input"]["kernel"], params["input"]["bias"], params["recurrent"]
    i, f, g, o = np.split(x @ w + b + hidden @ u, 4, -1)
    cell = sigmoid(f + 1) * cell + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(cell)
    return (cell, hidden), hidden


@functools.cache
def setting(kind):
    core = Core(kind, SIZE)
    keys = jax.random.split(jax.random.key(1), 4)
    x = jax.random.normal(keys[0], (TIME, BATCH, INPUTS))
    reset = jax.random.bernoulli(keys[1], 0.3, (TIME, BATCH))
    carry = jax.tree.map(
        lambda c: jax.random.normal(keys[2], c.shape), initial_carry(kind, SIZE, (BATCH,))
    )
    params = jax.jit(core.init)(keys[3], carry, x, reset)
    params = jax.tree.map(lambda p: p + 0.05, params)  # biases that show
    return core, params, carry, x, reset, jax.jit(core.apply)


@pytest.mark.parametrize("kind", KINDS)
def test_matches_a_loop(kind):
    _, params, carry, x, reset, apply = setting(kind)
    final, outputs = apply(params, carry, x, reset)

    cell = {"gru": gru, "lstm": lstm}[kind]
    weights = jax.tree.map(np.asarray, params["params"])
    carry, expected = jax.tree.map(np.asarray, carry), []
    for t in range(TIME):
        keep = 1.0 - np.asarray(reset[t], np.float32)[:, None]
        carry = jax.tree.map(lambda c, keep=keep: c * keep, carry)
        carry, output = cell(weights, carry, np.asarray(x[t]))
        expected.append(output)
    np.testing.assert_allclose(outputs, np.stack(expected), atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), final, carry)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_is_a_fresh_start(kind):
    _, params, carry, x, _, apply = setting(kind)
    for k in (0, 4, TIME - 1):
        reset = jnp.zeros((TIME, BATCH), bool).at[k].set(True)
        _, outputs = apply(params, carry, x, reset)
        fresh = initial_carry(kind, SIZE, (BATCH,))
        shifted = jnp.concatenate([x[k:], x[:k]])
        _, expected = apply(params, fresh, shifted, jnp.zeros((TIME, BATCH), bool))
        np.testing.assert_array_equal(outputs[k:], expected[: TIME - k])


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_crosses_a_reset(kind):
    core, params, carry, x, _, _ = setting(kind)
    k = 4

    @jax.jit
    def gradients(reset):
        def later(carry, x):
            return core.apply(params, carry, x, reset)[1][k:].sum()

        return jax.grad(later, argnums=(0, 1))(carry, x)

    to_carry, to_x = gradients(jnp.zeros((TIME, BATCH), bool).at[k].set(True))
    assert all(not leaf.any() for leaf in jax.tree.leaves(to_carry))
    assert not to_x[:k].any() and to_x[k:].all()
    to_carry, to_x = gradients(jnp.zeros((TIME, BATCH), bool))
    assert all(leaf.all() for leaf in jax.tree.leaves(to_carry)) and to_x[:k].all()


@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_the_sequence(kind):
    _, params, carry, x, reset, apply = setting(kind)
    final, outputs = apply(params, carry, x, reset)
    for t in range(TIME):
        carry, output = apply(params, carry, x[t : t + 1], reset[t : t + 1])
        np.testing.assert_allclose(output[0], outputs[t], atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), carry, final)


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_weights_are_orthogonal(kind):
    core = Core(kind, SIZE)
    carry = initial_carry(kind, SIZE, (1,))
    params = core.init(jax.random.key(0), carry, jnp.zeros((1, 1, 2)), jnp.zeros((1, 1), bool))
    kernel = np.asarray(params["params"]["recurrent"])
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(SIZE), atol=1e-6)


def test_initial_carry():
    assert initial_carry("none", SIZE, (2,)) == ()
    assert initial_carry("gru", SIZE, (2,)).shape == (2, SIZE)
    cell, hidden = initial_carry("lstm", SIZE, (2, 3))
    assert cell.shape == hidden.shape == (2, 3, SIZE)
    assert not cell.any() and not hidden.any() and cell.dtype == jnp.float32
