"""Spaces and what is asked of them."""

import gymnax.environments.spaces
import jax
import numpy as np
import pytest

from envs_jax import spaces


def test_gymnax_classes_are_reexported():
    for name in ("Box", "Dict", "Discrete", "Space", "Tuple"):
        assert getattr(spaces, name) is getattr(gymnax.environments.spaces, name)
    with pytest.raises(AttributeError, match="Sphere"):
        spaces.Sphere  # noqa: B018


def test_multi_discrete():
    space = spaces.MultiDiscrete([2, 5])
    samples = np.asarray(jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 200)))
    assert samples.dtype == np.int32 and samples.shape == (200, *space.shape)
    assert [sorted(set(column)) for column in samples.T.tolist()] == [[0, 1], [0, 1, 2, 3, 4]]
    assert jax.vmap(space.contains)(samples).all()
    assert not space.contains(np.array([2, 0])) and not space.contains(np.array([0, -1]))
    for sizes in ((), (3, 0)):
        with pytest.raises(ValueError, match=">= 1"):
            spaces.MultiDiscrete(sizes)


def test_kinds_and_sizes():
    box, choice = spaces.Box(-1, 1, (2, 3)), spaces.Discrete(4)
    several = spaces.MultiDiscrete((2, 3))
    seen = {"view": box, "last": choice, spaces.ACTION_MASK: spaces.Box(0, 1, (4,), bool)}
    assert [spaces.action_kind(s) for s in (choice, several, box)] == [
        "discrete",
        "multi_discrete",
        "continuous",
    ]
    every = (box, choice, several, spaces.Dict(seen), spaces.Tuple((box, choice)))
    assert [spaces.flat_size(s) for s in every] == [6, 4, 5, 10, 10]
    assert spaces.flat_size(spaces.Box(0, 1, ())) == 1
    with pytest.raises(ValueError, match="expected Discrete, MultiDiscrete or Box"):
        spaces.action_kind(spaces.Dict(seen))
    with pytest.raises(ValueError, match="has no size"):
        spaces.flat_size("Box")


def test_bounds_are_broadcast():
    low, high = spaces.bounds(spaces.Box(-2, np.array([1.0, 3.0]), (2,)))
    np.testing.assert_array_equal(low, np.float32([-2, -2]))
    np.testing.assert_array_equal(high, np.float32([1, 3]))
    assert isinstance(low, np.ndarray) and low.dtype == high.dtype == np.float32
    with pytest.raises(ValueError, match="expected a Box"):
        spaces.bounds(spaces.Discrete(2))
