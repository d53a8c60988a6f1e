"""Physics by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.particles.dynamics import contact_forces, integrate, lengths, steer


def test_steer():
    moves = steer(jnp.eye(5))
    np.testing.assert_array_equal(moves, [[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
    np.testing.assert_allclose(steer(jnp.array([[9, 0.2, 0.5, 1.0, 0.0]])), [[0.3, -1.0]])


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_contact_is_the_sum_over_pairs(number):
    position = np.random.default_rng(number).uniform(-0.15, 0.15, (number, 2))
    expected = np.zeros((number, 2))
    for i in range(number):
        for j in range(number):
            if i != j:
                apart = position[i] - position[j]
                d = np.hypot(*apart)
                expected[i] += 100 * apart / d * 1e-3 * np.logaddexp(0, (0.3 - d) / 1e-3)
    force = contact_forces(jnp.asarray(position, jnp.float32), 0.15, 100.0, 1e-3)
    np.testing.assert_allclose(force, expected, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(force.sum(0), 0.0, atol=1e-4)
    assert number == 1 or np.abs(expected).max() > 1


def test_contact_of_two_that_just_touch_and_of_two_apart():
    touching = jnp.array([[0.0, 0.0], [0.0, 0.3]])
    force = contact_forces(touching, 0.15, 100.0, 1e-3)
    # At a depth of nought: 100 * 1e-3 * log 2. A distance of 0.3 in float32 is good to 3e-8.
    np.testing.assert_allclose(force, [[0, -0.0693147], [0, 0.0693147]], atol=1e-5)
    assert not contact_forces(2 * touching, 0.15, 100.0, 1e-3).any()


def test_coincidence_is_no_catastrophe():
    def pushed(position):
        return contact_forces(position, 0.15, 100.0, 1e-3)

    heap = jnp.zeros((3, 2))
    np.testing.assert_array_equal(pushed(heap), 0.0)
    assert np.isfinite(jax.jacobian(pushed)(heap)).all()
    assert np.isfinite(jax.jacobian(lengths)(heap)).all()


def test_integration_uses_every_constant():
    position, velocity = jnp.array([[1.0, 2.0]]), jnp.array([[1.0, -2.0]])
    force = jnp.array([[4.0, 0.0]])
    constants = {"mass": 2.0, "damping": 0.5, "dt": 0.25}
    moved, faster = integrate(position, velocity, force, **constants, velocity_first=False)
    np.testing.assert_allclose(faster, [[1.0, -1.0]])
    np.testing.assert_allclose(moved, [[1.25, 1.5]])
    moved, _ = integrate(position, velocity, force, **constants, velocity_first=True)
    np.testing.assert_allclose(moved, [[1.25, 1.75]])
