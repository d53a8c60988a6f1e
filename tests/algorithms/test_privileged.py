"""A part that only the critic sees: what it explains, and that a policy does without it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs_jax
from envs_jax import spaces
from helpers import QUICK, make_loop, make_probe
from probe_envs import _OneStep
from rljax.core.errors import UserError

ENVS, SEEN = 64, "seen"


class Secret(_OneStep):
    """Reward -1 or 1 whatever is done; what is seen is the same, a part tells which it will be.

    Args:
        part: name of that part.
    """

    def __init__(self, part: str = spaces.PRIVILEGED) -> None:
        super().__init__()
        self._part = part

    def reward(self, cue, action):
        return 2.0 * cue - 1.0

    def look(self, cue):
        # Far from zero, to show whether it is normalised.
        return {SEEN: jnp.ones(2), self._part: 100.0 + jax.nn.one_hot(cue, self.cues)}


envs_jax.register("probe/secret", Secret)


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
    return probe, *make_loop(probe, quick=True)(probe.init(ENVS), 40)


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
    act = jax.jit(algorithm.act, compiler_options=QUICK)
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
