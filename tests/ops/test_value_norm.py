"""Statistics of value targets against a class that keeps them as HARL's ValueNorm does."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers import optimised
from rljax.ops import value_norm


class Reference:
    """Exponential averages, corrected for their start at zero; float64."""

    decay, smallest_weight, smallest_variance = 0.99999, 1e-5, 1e-2

    def __init__(self):
        self.mean = self.square = self.weight = 0.0

    def update(self, batch):
        for name, new in (("mean", batch.mean()), ("square", (batch**2).mean()), ("weight", 1.0)):
            old = getattr(self, name)
            setattr(self, name, old * self.decay + new * (1 - self.decay))

    def statistics(self):
        weight = max(self.weight, self.smallest_weight)
        mean, square = self.mean / weight, self.square / weight
        return mean, max(square - mean**2, self.smallest_variance) ** 0.5


def batches(count, spread=3.0, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 1))
    return centres + spread * rng.normal(size=(count, 50))


def add(norm, targets):
    return value_norm.update(norm, jnp.mean(targets), jnp.mean(jnp.square(targets)))


def after(targets):
    """Statistics after each of the batches [k, n]."""

    def step(norm, batch):
        norm = add(norm, batch)
        return norm, (norm, value_norm.statistics(norm))

    return jax.jit(lambda x: jax.lax.scan(step, value_norm.init(), x))(jnp.float32(targets))[1]


@pytest.mark.parametrize("spread", [3.0, 0.01])
def test_against_the_reference(spread):
    targets, reference = batches(200, spread), Reference()
    norms, (means, stds) = after(targets)
    for i, batch in enumerate(targets):
        reference.update(batch)
        mean, std = reference.statistics()
        np.testing.assert_allclose((means[i], stds[i]), (mean, std), rtol=1e-3, atol=1e-5)
    for name in ("mean", "square", "weight"):
        np.testing.assert_allclose(getattr(norms, name)[-1], getattr(reference, name), rtol=1e-4)


def test_one_batch_is_described_as_it_is():
    targets = batches(1)
    _, (mean, std) = after(targets)
    np.testing.assert_allclose((mean[0], std[0]), (targets.mean(), targets.std()), rtol=1e-4)


def test_all_batches_weigh_almost_alike():
    targets = batches(1000)
    _, (mean, std) = after(targets)
    np.testing.assert_allclose(mean[-1], targets.mean(), atol=0.02)
    np.testing.assert_allclose(std[-1], targets.std(), rtol=0.01)


def test_before_the_first_batch():
    mean, std = value_norm.statistics(value_norm.init())
    np.testing.assert_allclose((mean, std), (0.0, 0.1), rtol=1e-6)
    values = jnp.array([-2.0, 0.5])
    np.testing.assert_allclose(
        value_norm.denormalise(value_norm.init(), values), values / 10, rtol=1e-6
    )


def test_the_smallest_spread():
    _, (mean, std) = after(np.full((3, 50), 7.0))
    np.testing.assert_allclose((mean[-1], std[-1]), (7.0, 0.1), rtol=1e-3)


def test_there_and_back():
    norm = add(value_norm.init(), jnp.float32(batches(1)[0]))
    mean, std = value_norm.statistics(norm)
    values = jnp.linspace(-4.0, 9.0, 7)
    there = value_norm.normalise(norm, values)
    np.testing.assert_allclose(there, (values - mean) / std, rtol=1e-5)
    np.testing.assert_allclose(value_norm.denormalise(norm, there), values, rtol=1e-5)


def test_nothing_drifts():
    # The weights of float32 add up to less than one: the correction must go on for ever.
    norm = add(value_norm.init(), jnp.array([1.0, 5.0]))
    mean, square = jnp.float32(3.0), jnp.float32(13.0)
    step = lambda _, norm: value_norm.update(norm, mean, square)
    many = optimised(lambda norm: jax.lax.fori_loop(0, 500_000, step, norm))(norm)
    assert 0.99 < many.weight < 1
    np.testing.assert_allclose(value_norm.statistics(many), (3.0, 2.0), rtol=1e-2)
