"""A part that only the critic sees: what it explains, and that a policy does without it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs_jax
from envs_jax import spaces
from helpers import make_loop, make_probe
from probe_envs import SEEN
from rljax.core.errors import UserError
from team_groups import make_group
from team_worlds import Squad

ENVS = 64


class Confidants(Squad):
    """Agents of which each has a part for its critic."""

    def observe(self, key, state, action, params):
        seen = super().observe(key, state, action, params)
        return {"observation": seen[:, 1:], spaces.PRIVILEGED: seen[:, :1]}


envs_jax.register("team/confidants", Confidants)


@functools.cache
def learnt(core, part, normalise=True):
    probe = make_probe(
        "probe/secret",
        ENVS,
        {"hidden_sizes": (16,), "core": core, "policy_scale": 1.0},
        {"normalise_observations": normalise},
        {"part": part},
        rollout_length=8,
        bptt_length=8,
        minibatches=2,
        learning_rate=1e-2,
    )
    return probe, *make_loop(probe)(probe.init(ENVS), 40)


@pytest.mark.parametrize("core", ["none", "gru"])
def test_what_only_the_critic_sees_explains_returns(core):
    _, _, metrics = learnt(core, spaces.PRIVILEGED)
    assert metrics["value/explained_variance"] > 0.95
    # Under another reserved name nobody sees it.
    _, _, metrics = learnt(core, spaces.ACTIVE)
    assert abs(metrics["value/explained_variance"]) < 0.1


@pytest.mark.parametrize("normalise", [True, False])
def test_a_policy_acts_with_the_part_and_without(normalise):
    probe, state, _ = learnt("gru", spaces.PRIVILEGED, normalise)
    algorithm = probe.algorithm
    act = jax.jit(algorithm.act)
    policy, carry = algorithm.policy(state), algorithm.initial_carry(ENVS)
    observation, reset = state.actors.observation, jnp.zeros(ENVS, bool)
    assert set(observation) == {SEEN, spaces.PRIVILEGED}
    key = jax.random.key(0)
    after, action = act(policy, carry, observation, reset, key)
    alone, again = act(policy, carry, {SEEN: observation[SEEN]}, reset, key)
    np.testing.assert_array_equal(action, again)
    np.testing.assert_array_equal(after["actor"], alone["actor"])


def test_a_shared_tower_is_refused():
    probe = make_probe("probe/secret", ENVS, {"separate_value": False}, rollout_length=8)
    with pytest.raises(UserError, match="network.separate_value False: .*privileged.*") as caught:
        probe.init(ENVS)
    assert len(str(caught.value).splitlines()) == 1


def test_a_team_in_its_first_minibatch():
    group = make_group(
        "team/confidants",
        16,
        {"critic": "own", "reward": "per_agent"},
        {"core": "gru", "policy_scale": 1.0},
        {"normalise_observations": True},
        rollout_length=16,
        bptt_length=8,
        epochs=1,
        minibatches=1,
    )
    state = group.init()
    assert state.params["critic"]["params"]["critic"]["MLP_0"]["Dense_0"]["kernel"].shape[0] == 3
    assert state.params["actor"]["params"]["actor"]["MLP_0"]["Dense_0"]["kernel"].shape[1] == 2
    state = state.replace(hypers=state.hypers.replace(clip_epsilon=jnp.float32(1e-6)))
    for _ in range(2):
        state, metrics, _, batch = group.recorded(state)
        assert metrics["policy/clip_fraction"] == 0 and metrics["policy/approximate_kl"] <= 1e-10
        error = np.square(batch.critic.value - batch.critic.returns).mean() / 2
        np.testing.assert_allclose(metrics["loss/value"], error, rtol=1e-5)
    changed = jnp.full_like(state.actors.observation[spaces.PRIVILEGED], jnp.nan)
    blind = group.act(state, **{spaces.PRIVILEGED: changed})
    np.testing.assert_array_equal(group.act(state), blind)
