"""How well a robot walks, told from policies of which that is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.quadruped.assessment import Walks, tracking, traversal, walk
from envs_jax.quadruped.env import Quadruped
from quadruped_worlds import CALM, SMALL, strong

STEPS, SETTLE = 40, 25
FALLS = 4  # of the eight, the others stand

# Legs turned up: nothing holds the trunk.
FOLDED = np.tile([0.0, 4.0, 4.0], 4).astype(np.float32)


def decide(carry, observation, reset, key):
    """Half of the robots stand, half pull up their legs; the carry counts the steps."""
    count = jnp.where(reset, 0, carry) + 1
    falls = jnp.arange(len(count)) < FALLS
    return count, jnp.where(falls[:, None], FOLDED, 0.0)


@pytest.fixture(scope="module")
def played():
    """One world, one program: its parameters, and what plays."""
    env = Quadruped(**SMALL, whole_body=False)
    params = env.default_params.replace(**CALM, command_x=(0.2, 0.2), command_y=(0.0, 0.0))
    params = strong(params.replace(level=np.int32(-1)))
    play = walk(env, decide, jnp.zeros(8, jnp.int32), 8, steps=STEPS, settle=SETTLE)
    return params, play


@pytest.fixture(scope="module")
def walks(played):
    params, play = played
    flat = np.eye(10, dtype=np.float32)[0]
    return play(params.replace(group_probabilities=flat), 0)


def test_who_falls_and_who_stands(walks):
    np.testing.assert_array_equal(walks.fell, np.arange(8) < FALLS)
    assert (walks.steps[FALLS:] == STEPS).all()
    assert (walks.steps[:FALLS] < SETTLE).all() and (walks.steps[:FALLS] > 3).all()
    assert not walks.through.any() and (walks.kind == 0).all()


def test_means_are_of_steps_after_settling(walks):
    for values in walks.means.values():
        assert np.isnan(values[:FALLS]).all() and np.isfinite(values[FALLS:]).all()
    # Who stands is slower by what was asked for.
    np.testing.assert_allclose(walks.means["velocity_error"][FALLS:], 0.2, atol=0.03)
    np.testing.assert_allclose(
        walks.means["track_velocity"][FALLS:], np.exp(-(0.2**2) / 0.25), atol=0.06
    )


def test_tracking_is_of_those_that_walked(walks):
    result = tracking(walks)
    assert result["falls"] == 0.5 and result["episodes"] == 8
    expected = walks.means["velocity_error"][FALLS:].mean()
    assert result["velocity_error"] == pytest.approx(float(expected), rel=1e-5)


def test_of_those_that_fell_at_once_there_is_nothing_to_tell(walks):
    fallen = Walks(*jax.tree.map(lambda x: x[:FALLS], walks))
    with np.errstate(all="raise"):
        result = tracking(fallen)
    assert result["falls"] == 1.0
    assert result["velocity_error"] is None and result["track_yaw"] is None


def test_the_same_seed_is_the_same_walk(played, walks):
    params, play = played
    flat = np.eye(10, dtype=np.float32)[0]
    params = params.replace(group_probabilities=flat)
    jax.tree.map(np.testing.assert_array_equal, play(params, 0), walks)
    assert (play(params, 1).means["yaw_rate_error"] != walks.means["yaw_rate_error"]).any()


def test_means_end_with_the_episode(played):
    """An episode that is over after 30 steps counts five; what comes then is of another."""
    params, play = played
    flat = np.eye(10, dtype=np.float32)[0]
    params = params.replace(group_probabilities=flat, max_steps_in_episode=np.int32(30))
    walks = play(params, 0)
    assert (walks.steps[FALLS:] == 30).all() and not walks.fell[FALLS:].any()
    assert np.isfinite(walks.means["velocity_error"][FALLS:]).all()


def by_hand(*levels):
    """What plays: kinds and who gets through, level by level."""
    called = []

    def play(params, seed):
        called.append((int(params.level), seed))
        kind, through = levels[len(called) - 1]
        kind, through = np.array(kind), np.array(through, bool)
        return Walks({}, ~through, through, np.full(len(kind), 9), kind)

    return play, called


def test_traversal_is_a_row_for_each_kind(played):
    params, _ = played
    play, called = by_hand(([3, 3, 3, 3], [1, 1, 1, 0]), ([3, 6], [0, 1]), ([6, 6], [1, 0]))
    table = traversal(play, params, 3, seed=7)
    assert table == {"stairs_up": [0.75, 0.0, None], "gaps": [None, 1.0, 0.5]}
    assert called == [(0, 7), (1, 8), (2, 9)]


def test_traversal_of_a_world(played):
    """Standing one gets nowhere, but a course that is over at the start is got through."""
    params, play = played
    two = np.zeros(10, np.float32)
    two[[3, 6]] = 1.0  # stairs_up and gaps
    finish = np.where(params.terrain.directed, np.float32(-1), np.float32(4))
    terrain = params.terrain.replace(finish=finish)
    params = params.replace(group_probabilities=two, terrain=terrain)
    table = traversal(play, params, 2)
    assert set(table) == {"stairs_up", "gaps"}
    assert all(share in (0.0, None) for share in table["stairs_up"])
    assert all(share in (1.0, None) for share in table["gaps"])
