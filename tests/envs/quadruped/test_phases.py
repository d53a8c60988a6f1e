"""The repeated chain of functions, kept apart or fused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.phases import repeat

START = {"x": jnp.arange(3.0), "count": jnp.int32(0)}


def chain():
    """Three links: the second's result holds a constant, the last one uses both of them."""

    def double(state, turn):
        return {"twice": 2.0 * state["x"]}

    def shift(state, turn, doubled):
        return (doubled["twice"] + turn, (0.25, 0.0))

    def finish(state, turn, doubled, shifted):
        moved, (scale, nothing) = shifted
        assert scale == 0.25 and nothing == 0.0  # floats, known while tracing
        return {"x": scale * moved + doubled["twice"] * nothing, "count": state["count"] + turn}

    return [double, shift, finish]


def by_hand(times: int):
    x, count = np.arange(3.0), 0
    for turn in range(times):
        x, count = 0.25 * (2 * x + turn), count + turn
    return x, count


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("times", [0, 1, 2, 7])
def test_a_chain_is_repeated(times, apart):
    end = jax.jit(lambda state: repeat(chain(), state, times, apart))(START)
    x, count = by_hand(times)
    np.testing.assert_allclose(end["x"], x, rtol=1e-6)
    assert end["count"] == count
    assert end["x"].dtype == jnp.float32 and end["count"].dtype == jnp.int32


@pytest.mark.parametrize("apart", [True, False])
def test_a_chain_may_be_one_function(apart):
    end = repeat([lambda x, turn: x * x + turn], jnp.float32(2.0), 3, apart)
    assert end == ((2.0**2 + 0) ** 2 + 1) ** 2 + 2


@pytest.mark.parametrize("apart", [True, False])
def test_a_result_that_is_a_constant_becomes_an_array_of_the_state(apart):
    end = repeat([lambda x, turn: 1.5], jnp.arange(4.0), 2, apart)
    np.testing.assert_array_equal(end, np.full(4, 1.5))


@pytest.mark.parametrize("apart", [True, False])
def test_a_chain_can_be_differentiated_and_batched(apart):
    def last(x):
        state = {"x": x * jnp.ones(3), "count": jnp.int32(0)}
        return repeat(chain(), state, 3, apart)["x"].sum()

    slope = jax.vmap(jax.grad(last))(jnp.arange(2.0))
    np.testing.assert_allclose(slope, 3 * 0.5**3, rtol=1e-6)
