"""Every term of the reward by hand, and at the level of an untrained policy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import make
from envs_jax.pushing.objects import OBJECTS
from envs_jax.pushing.reward import has_failed, has_succeeded, inward_normal, reward_terms

judge = jax.jit(reward_terms)


def moved(state, x, y=0.0):
    place = state.object.position.replace(x=jnp.float32(x), y=jnp.float32(y))
    return state.replace(object=state.object.replace(position=place))


def test_terms_by_hand(params, scene):
    before = scene([(-1.25, 0, 0), (0, 1.25, 0)], target=(2.5, 0), motion=(0.08, 0.07, 0))
    after = moved(before, 0.01)
    terms = judge(before, after, params)
    assert list(terms) == sorted(terms)  # jit sorts them; the names are these
    assert set(terms) == {"target", "approach", "collision", "push", "ocb", "reach", "exception"}
    assert terms["target"] == pytest.approx(0.65 * 0.01 - 0.00325 * 2.49, rel=1e-4)
    away = np.array([1.26, np.hypot(0.01, 1.25)])
    np.testing.assert_allclose(terms["approach"], -0.00075 * (away + 0.5) ** 2, rtol=1e-5)
    apart = 1.25 * np.sqrt(2)
    np.testing.assert_allclose(terms["collision"], [-0.0025 / (0.02 + apart / 3)] * 2, rtol=1e-5)
    np.testing.assert_allclose(terms["ocb"], [0.004, 0.0], atol=1e-7)
    assert terms["push"] == pytest.approx(0.0015)  # at 0.106 m/s
    assert terms["reach"] == terms["exception"] == 0.0


@pytest.mark.parametrize(("apart", "reward"), [(1.0, -0.0071), (0.5, -0.0134)])
def test_the_originals_examples(params, scene, apart, reward):
    state = scene([(-1.25, 0, 0), (-1.25, apart, 0)])
    terms = judge(state, state, params)
    assert terms["collision"][0] == pytest.approx(reward, abs=5e-5)
    assert terms["approach"][0] == pytest.approx(-0.0023, abs=5e-6)


def test_slow_is_not_pushed(params, scene):
    state = scene([(-1.25, 0, 0), (0, 1.25, 0)], motion=(0.07, -0.07, 3.0))
    assert judge(state, state, params)["push"] == 0.0


def test_nearness_counts_for_each_other_robot(scene):
    params = make("Pushing-v1", object_name="cylinder")[1]
    places = np.array([(-2.2, 0.0, 0.0), (-2.2, 1.0, 0.0), (0.0, 2.2, 0.0)])
    state = scene(places)
    apart = np.linalg.norm(places[:, None, :2] - places[:, :2], axis=-1)
    expected = -0.0015 / (0.02 + apart / 3)
    np.fill_diagonal(expected, 0.0)
    terms = judge(state, state, params)
    np.testing.assert_allclose(terms["collision"], expected.sum(1), rtol=1e-5)


def test_success_and_failure(params, scene):
    for x, threshold, reached in ((0.99, 1.0, False), (1.01, 1.0, True), (1.01, 0.5, False)):
        state = scene([(-1.25, 0, 0), (0, 1.25, 0)], thing=(x, 0.0, 2.0), target=(2, 0))
        changed = params.replace(threshold=threshold)
        assert bool(has_succeeded(state, changed)) == reached
        assert judge(state, state, changed)["reach"] == 10.0 * reached
    for apart, failed in ((0.26, False), (0.24, True)):
        state = scene([(-1.25, 0, 0), (-1.25, apart, 0)])
        assert bool(has_failed(state, params)) == failed
        assert judge(state, state, params)["exception"] == -5.0 * failed
    far_pairs = [(0, 2, 0), (2, 0, 0), (0, 2.2, 0), (-2, 0, 0), (0, -2, 0)]
    assert bool(has_failed(scene(far_pairs), params))  # the first and the third


@pytest.mark.parametrize("name", ["cuboid", "t_block"])
def test_inward_normal_is_that_of_the_nearest_edge(name, scene, outlines):
    params = make("Pushing-v1", object_name=name)[1]
    outline, yaw = outlines[name], 0.8
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (2000, 2))
    points = points[~outline.contains(points)]
    c, s = np.cos(yaw), np.sin(yaw)
    there = points @ np.array([[c, s], [-s, c]]) + (0.4, -0.3)
    state = scene(np.concatenate([there, np.zeros((len(there), 1))], 1), thing=(0.4, -0.3, yaw))
    normal = jax.jit(inward_normal)(state, params)
    found = np.stack([normal.x, normal.y], 1) @ np.array([[c, -s], [s, c]])
    distances = outline.edge_distances(points)
    nearest, second = np.sort(distances, axis=1)[:, :2].T
    clear = second - nearest > 1e-3
    assert 200 < clear.sum() < len(points) - 200
    expected = outline.inward[distances.argmin(1)]
    np.testing.assert_allclose(found[clear], expected[clear], atol=1e-5)
    # In front of a corner it is one of the two, the one that the point is more in front of.
    tied = np.flatnonzero(~clear)
    for i in tied:
        edges = np.flatnonzero(distances[i] - nearest[i] <= 1e-9)
        ahead = [-(points[i] - outline.corners[e]) @ outline.inward[e] for e in edges]
        best = outline.inward[edges[int(np.argmax(ahead))]]
        if np.ptp(ahead) > 5e-3:
            np.testing.assert_allclose(found[i], best, atol=1e-5)


def test_inward_normal_of_a_cylinder_is_radial(scene):
    params = make("Pushing-v1", object_name="cylinder")[1]
    places = np.array([(2.0, 0.5, 0), (-1.0, 1.8, 0), (0.1, -2.0, 0)])
    normal = inward_normal(scene(places, thing=(0, 0, 0.7)), params)
    expected = -places[:, :2] / np.linalg.norm(places[:, :2], axis=1)[:, None]
    np.testing.assert_allclose(np.stack([normal.x, normal.y], 1), expected, atol=1e-5)


def test_untrained_policy_gets_what_the_original_logged(crowd, start, params):
    """Per step and agent -.0073, -.0047 for two, -.0055 (target, approach, collision)."""
    path = crowd((0.0, 1.0), start(params), params)
    batched = jax.vmap(jax.vmap(reward_terms, (0, 0, None)), (0, 0, None))
    before = jax.tree.map(lambda leaf: leaf[:-1], path)
    after = jax.tree.map(lambda leaf: leaf[1:], path)
    terms = jax.device_get(jax.jit(batched)(before, after, params))
    failed = terms["exception"] < 0
    alive = np.cumsum(failed, axis=0) - failed == 0  # up to the step that failed
    mean = {name: term[alive].mean() for name, term in terms.items()}
    assert mean["target"] == pytest.approx(-0.0073, abs=1.5e-4)
    assert 2 * mean["approach"] == pytest.approx(-0.0047, abs=1.5e-4)
    assert mean["collision"] == pytest.approx(-0.0055, abs=3e-4)
    assert abs(mean["ocb"]) < 4e-4 and mean["push"] < 1e-5


def test_scales_of_the_objects():
    for name, kind in OBJECTS.items():
        params = make("Pushing-v1", object_name=name)[1]
        assert params.collision_scale == kind.collision_scale
        assert params.target_scale == 0.00325
    assert make("Pushing-v1", object_name="cylinder")[1].collision_scale == -0.0015
