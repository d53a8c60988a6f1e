"""Schedules at their ends, between and beyond."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.ops import schedules


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0, 2.0])
def test_ends_are_exact_and_progress_is_clipped(kind, final):
    factor = schedules.schedule(kind)
    assert factor(0.0, final) == 1.0 == factor(-3.0, final)
    assert factor(1.0, final) == np.float32(final) == factor(7.0, final)
    assert factor(0.5, final) == pytest.approx((1.0 + final) / 2.0)


def test_shapes_between():
    progress = np.linspace(0, 1, 23)
    np.testing.assert_allclose(schedules.constant(progress, 0.3), np.ones(23))
    np.testing.assert_allclose(schedules.linear(progress, 0.3), 1 - 0.7 * progress, rtol=1e-6)
    expected = 0.3 + 0.7 * (1 + np.cos(np.pi * progress)) / 2
    np.testing.assert_allclose(schedules.cosine(progress, 0.3), expected, rtol=1e-5)


def test_traced_arguments():
    for kind in ("constant", "linear", "cosine"):
        factor = schedules.schedule(kind)
        assert jax.jit(factor)(0.25, 0.5) == pytest.approx(float(factor(0.25, 0.5)))
        assert factor(jnp.int32(0), 0.5).dtype == jnp.float32


def test_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match=r"'linaer'.*constant, linear, cosine.*'linear'"):
        schedules.schedule("linaer")
    assert schedules.schedule("cosine") is schedules.cosine
