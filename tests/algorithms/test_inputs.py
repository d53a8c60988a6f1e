"""Actors that see some parts of an observation only, beside critics that see all of them."""

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
from rljax.networks import NetworkConfig
from team_groups import make_group
from team_worlds import Squad

ENVS, FAR = 64, "far"
OPTIONS = {"rollout_length": 8, "bptt_length": 8, "minibatches": 2, "learning_rate": 1e-2}


class Crew(Squad):
    """Agents that see two parts."""

    def observe(self, key, state, action, params):
        seen = super().observe(key, state, action, params)
        return {"near": seen[:, 1:], FAR: seen[:, :1]}


envs_jax.register("team/crew", Crew)


@functools.cache
def learnt(core="none", normalise=True):
    """A run of a world whose reward the part FAR tells; the actor does not see it."""
    network = {"inputs": (SEEN,), "core": core, "policy_scale": 1.0, "encoders": {FAR: (8,)}}
    env = {"normalise_observations": normalise}
    probe = make_probe("probe/secret", ENVS, network, env, {"part": FAR}, **OPTIONS)
    return probe, *make_loop(probe)(probe.init(ENVS), 40)


def width(params, tower):
    return params["params"][tower]["MLP_0"]["Dense_0"]["kernel"].shape[0]


def test_the_critic_sees_what_the_actor_does_not():
    _, state, metrics = learnt()
    assert metrics["value/explained_variance"] > 0.95
    assert width(state.params, "actor") == 2 and width(state.params, "critic") == 2 + 8


@pytest.mark.parametrize(("core", "normalise"), [("none", True), ("gru", False)])
def test_a_policy_acts_with_other_parts_and_without(core, normalise):
    probe, state, _ = learnt(core, normalise)
    algorithm = probe.algorithm
    act = jax.jit(algorithm.act)
    policy, carry = algorithm.policy(state), algorithm.initial_carry(ENVS)
    reset, key = jnp.zeros(ENVS, bool), jax.random.key(0)
    seen = {SEEN: jnp.linspace(0, 1, 2 * ENVS).reshape(ENVS, 2)}
    nan = jnp.full((ENVS, 2), jnp.nan)
    _, alone = act(policy, carry, seen, reset, key)
    for others in ({FAR: nan}, {FAR: nan, spaces.PRIVILEGED: nan}):
        np.testing.assert_array_equal(act(policy, carry, seen | others, reset, key)[1], alone)
    _, changed = act(policy, carry, {SEEN: 50 - 100 * seen[SEEN]}, reset, key)
    assert (changed != alone).any()
    with pytest.raises(UserError, match=f"no part '{SEEN}', only {FAR}"):
        act(policy, carry, {FAR: nan}, reset, key)


def test_without_inputs_all_parts_are_seen():
    probe = make_probe("probe/secret", ENVS, {}, {}, {"part": FAR}, **OPTIONS)
    assert width(probe.init(ENVS).params, "actor") == 4


@pytest.mark.parametrize("inputs", [("faar",), ("far", "faar"), (spaces.PRIVILEGED,)])
def test_a_part_that_there_is_not(inputs):
    probe = make_probe("probe/secret", ENVS, {"inputs": inputs}, {}, {"part": FAR}, **OPTIONS)
    told = f"network.inputs: .*no part '{inputs[-1]}', only far, seen"
    with pytest.raises(UserError, match=told):
        probe.init(ENVS)


def test_an_encoder_of_no_part_is_told_all_the_same():
    network = {"inputs": (SEEN,), "encoders": {"faar": (3,)}}
    probe = make_probe("probe/secret", ENVS, network, {}, {"part": FAR}, **OPTIONS)
    with pytest.raises(UserError, match=r"network.encoders: .*'faar'.*Did you mean 'far'\?"):
        probe.init(ENVS)


@pytest.mark.parametrize("option", ["inputs", "critic_inputs"])
def test_a_shared_tower_is_refused(option):
    with pytest.raises(UserError, match=f"{option} seen needs separate_value true") as caught:
        NetworkConfig(**{option: (SEEN,)}, separate_value=False)
    assert len(str(caught.value).splitlines()) == 1


def test_a_critic_sees_what_it_is_to_see():
    network = {"inputs": (SEEN,), "critic_inputs": (FAR,)}
    probe = make_probe("probe/secret", ENVS, network, {}, {"part": FAR}, **OPTIONS)
    state = probe.init(ENVS)
    everything = make_probe("probe/secret", ENVS, {"inputs": (SEEN,)}, {}, {"part": FAR}, **OPTIONS)
    assert width(state.params, "actor") == 2
    assert width(state.params, "critic") == width(everything.init(ENVS).params, "critic") - 2
    network = {"critic_inputs": ("faar",)}
    probe = make_probe("probe/secret", ENVS, network, {}, {"part": FAR}, **OPTIONS)
    with pytest.raises(UserError, match=r"network.critic_inputs: a critic .*Did you mean 'far'\?"):
        probe.init(ENVS)


def test_a_team_in_its_first_minibatch():
    group = make_group(
        "team/crew",
        16,
        {"critic": "own", "reward": "per_agent"},
        {"core": "gru", "policy_scale": 1.0, "inputs": ("near",)},
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
        assert set(batch.actors.observation) == {"near"}
    blind = group.act(state, **{FAR: jnp.full_like(state.actors.observation[FAR], jnp.nan)})
    np.testing.assert_array_equal(group.act(state), blind)
