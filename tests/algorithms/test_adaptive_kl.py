"""A learning rate that follows the KL divergence: the rule, and that it is carried along."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from envs_jax import spaces
from helpers import EXACT, make_probe
from rljax.algorithms.fit import AdaptiveState, Batch, adapted, make_optimiser
from rljax.algorithms.ppo_config import PPOConfig, make_hypers
from rljax.algorithms.ppo_update import make_optimise
from rljax.core.errors import UserError
from rljax.core.mesh import Shards
from rljax.networks import NetworkConfig, make_network
from rljax.training.program import Program
from rljax.training.train import train
from team_groups import make_group
from tiny_runs import digest, plain, rows, train_until

ITEMS, SEEN, ACTIONS, BLOCKS, ENVS = 64, 4, 2, 4, 16
ADAPTIVE = {"schedule": "adaptive_kl", "minibatches": 1}


@pytest.mark.parametrize(
    ("kl", "factor"),
    [
        (0.0, 1.5),
        (0.0049, 1.5),
        (0.0051, 1.0),
        (0.0199, 1.0),
        (0.0201, 1 / 1.5),
        (np.inf, 1 / 1.5),
        (np.nan, 1.0),
    ],
)
def test_rule(kl, factor):
    hypers = make_hypers(PPOConfig(learning_rate=1e-3, **ADAPTIVE))
    np.testing.assert_allclose(adapted(jnp.float32(2.0), kl, hypers), 2 * factor, rtol=1e-6)
    wider = hypers.replace(desired_kl=jnp.float32(kl / 1.1))
    assert adapted(jnp.float32(2.0), kl, wider) == 2.0 or kl == np.inf


@pytest.mark.parametrize(("kl", "rate", "limit"), [(1.0, 1.2e-5, 1e-5), (0.0, 9e-3, 1e-2)])
def test_limits(kl, rate, limit):
    hypers = make_hypers(PPOConfig(learning_rate=1e-3, **ADAPTIVE))
    share = adapted(jnp.float32(rate / 1e-3), kl, hypers)
    np.testing.assert_allclose(share * 1e-3, limit, rtol=1e-6)


# A batch that is one minibatch, whose updates are done again by hand.

NETWORK = make_network(
    spaces.Box(-1.0, 1.0, (ACTIONS,)), NetworkConfig(hidden_sizes=(8,), policy_scale=1.0)
)
CARRY = {"actor": (), "critic": ()}
QUIET = {"normalise_advantages": "off", "max_grad_norm": 1e6, "value_coefficient": 0.0}


@functools.cache
def inputs():
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(ITEMS, 1, SEEN)).astype(np.float32)
    reset = np.zeros((ITEMS, 1), bool)
    params = NETWORK.init(jax.random.key(0), CARRY, observation, reset)
    _, distribution, value = NETWORK.apply(params, CARRY, observation, reset)
    action = np.asarray(distribution.mean + rng.normal(size=(ITEMS, 1, ACTIONS)), np.float32)
    batch = Batch(
        observation=observation,
        reset=reset,
        action=action,
        log_prob=distribution.log_prob(action),
        value=value,
        advantage=rng.normal(size=(ITEMS, 1)).astype(np.float32),
        returns=value,
        carry=CARRY,
        block_ids=jnp.arange(BLOCKS),
    )
    return params, jax.tree.map(jnp.asarray, batch)


def optimised(batch, opt_state=None, **settings):
    """New parameters, optimiser's state, and metrics."""
    config = PPOConfig(**{**ADAPTIVE, **QUIET, **settings})
    params, optimiser = inputs()[0], make_optimiser(config)
    optimise = make_optimise(NETWORK, config, optimiser, 10, ITEMS // ENVS)
    if opt_state is None:
        opt_state = optimiser.init(jax.flatten_util.ravel_pytree(params)[0])

    @jax.jit
    def run(params, opt_state, hypers, batch):
        key, shards = jax.random.key(1), Shards(blocks=BLOCKS)
        return optimise(params, opt_state, hypers, jnp.int32(0), batch, key, shards)

    after, opt_state, _, metrics = run(params, opt_state, make_hypers(config), batch)
    return after, opt_state, metrics


def by_hand(params, batch, rate, epochs, decay):
    """The same steps, and the learning rate and KL of each."""

    def terms(params):
        _, new, _ = NETWORK.apply(params, CARRY, batch.observation, batch.reset)
        ratio = jnp.exp(new.log_prob(batch.action) - batch.log_prob)
        clipped = jnp.clip(ratio, 0.8, 1.2)
        gain = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)
        return -gain.mean(), (new.mean, jnp.exp(new.log_std))

    mean, std = (np.asarray(x, np.float64) for x in terms(params)[1])
    adam = optax.scale_by_adam(eps=1e-5)
    state, rates, divergences = adam.init(params), [], []
    gradient_of = jax.jit(jax.grad(terms, has_aux=True))
    for _ in range(epochs):
        gradient, (new_mean, new_std) = gradient_of(params)
        new_mean, new_std = np.asarray(new_mean, np.float64), np.asarray(new_std, np.float64)
        # As rsl_rl writes it.
        each = np.log(new_std / std) + (std**2 + (mean - new_mean) ** 2) / (2 * new_std**2) - 0.5
        kl = each.sum(-1).mean()
        if kl > 0.02:
            rate = max(1e-5, rate / 1.5)
        elif kl < 0.005:
            rate = min(1e-2, rate * 1.5)
        direction, state = adam.update(gradient, state)
        step = functools.partial(lambda rate, p, d: p - rate * (d + decay * p), rate)
        params = jax.tree.map(step, params, direction)
        rates.append(rate)
        divergences.append(kl)
    return params, rates, divergences


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_against_steps_by_hand(decay):
    params, batch = inputs()
    epochs = 12
    after, state, metrics = optimised(batch, epochs=epochs, learning_rate=8e-3, weight_decay=decay)
    expected, rates, divergences = by_hand(params, batch, 8e-3, epochs, decay)
    # It did rise to the limit and fall.
    assert max(rates) == 1e-2 and min(rates) < 5e-3
    assert min(divergences) < 1e-9 and max(divergences) > 0.02
    np.testing.assert_allclose(metrics["update/learning_rate"], rates[-1], rtol=1e-5)
    np.testing.assert_allclose(state.share * 8e-3, rates[-1], rtol=1e-5)
    np.testing.assert_allclose(metrics["policy/kl"], np.mean(divergences), rtol=1e-3)
    chex.assert_trees_all_close(after, expected, atol=2e-5)


def test_the_rate_survives_an_update():
    _, batch = inputs()
    settings = {"epochs": 2, "learning_rate": 1e-3}
    _, state, metrics = optimised(batch, **settings)
    np.testing.assert_allclose(metrics["update/learning_rate"], 1e-3 * 1.5**2, rtol=1e-5)
    _, _, metrics = optimised(batch, state, **settings)
    np.testing.assert_allclose(metrics["update/learning_rate"], 1e-3 * 1.5**4, rtol=1e-5)


def test_a_step_that_is_not_taken():
    _, batch = inputs()
    broken = batch.replace(advantage=batch.advantage.at[0].set(jnp.nan))
    _, state, _ = optimised(broken, epochs=3)
    assert state.share == 1.0
    # What stops an update lowers the rate, but only once.
    settings = {"learning_rate": 1e-2, "epochs": 30, "desired_kl": 1e-6}
    _, state, metrics = optimised(batch, target_kl=1e-5, **settings)
    np.testing.assert_allclose(metrics["update/steps_taken"], 1 / 30, rtol=1e-5)
    np.testing.assert_allclose(state.share, 1 / 1.5, rtol=1e-5)


def test_others_carry_nothing():
    config = PPOConfig()
    state = make_optimiser(config).init(jnp.zeros(3))
    assert not isinstance(state, AdaptiveState) and len(jax.tree.leaves(state)) == 3
    assert make_hypers(config).desired_kl is None


# In whole programs.

RATE = "update/learning_rate"


@functools.cache
def program(devices, exact, actions="continuous", seeds=(0,)):
    probe = make_probe(
        "probe/ticking",
        ENVS,
        {"policy_scale": 1.0},
        world_options={"actions": actions},
        rollout_length=16,
        epochs=3,
        minibatches=2,
        learning_rate=5e-3,
        schedule="adaptive_kl",
        desired_kl=2e-3,
    )
    made = Program(probe.algorithm, ENVS, jax.devices()[:devices], seeds, "vmap", exact)
    made.compiler_options = EXACT if exact else {}
    return made


@functools.cache
def rates(devices, exact, **settings):
    """Parameters, shares on each device, and the learning rates after each update."""
    made = program(devices, exact, **settings)
    state, metrics = made.chunk(made.init(), 5)
    shares = [np.asarray(shard.data) for shard in state.opt_state.share.addressable_shards]
    rates = np.asarray(metrics)[:, :5, made.metric_names.index(RATE)]
    return jax.tree.map(np.asarray, state.params), shares, rates


@pytest.mark.parametrize("actions", ["continuous", "multi_discrete"])
def test_devices_decide_together(actions):
    _, shares, many = rates(4, False, actions=actions)
    assert len(shares) == 4 and all((share == shares[0]).all() for share in shares)
    assert len(np.unique(many)) > 1


def test_exact_is_the_same_bits():
    (one, _, rate), (four, _, rate_of_four) = rates(1, True), rates(4, True)
    np.testing.assert_array_equal(rate, rate_of_four)
    chex.assert_trees_all_equal(one, four)


def test_each_member_has_its_own():
    _, _, both = rates(1, False, seeds=(0, 1))
    assert both.shape == (2, 5) and (both[0] != both[1]).any()


def test_a_resumed_run_goes_on_with_the_rate(tmp_path, monkeypatch):
    ppo = {"schedule": "adaptive_kl", "learning_rate": 5e-3, "desired_kl": 1e-4}
    config = plain(ppo=ppo)
    whole = train(config, tmp_path / "whole", console="silent")
    train_until(monkeypatch, 7, config, tmp_path / "stopped")
    resumed = train(config, tmp_path / "stopped", resume=True, console="silent")
    assert digest(resumed) == digest(whole)
    assert rows(resumed.run_dir) == rows(whole.run_dir)
    assert len({row[RATE] for row in rows(whole.run_dir) if RATE in row}) > 3


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ("learning_rate from 1e-05 to 0.01, got 0.02", {"learning_rate": 0.02}),
        ("epochs or minibatches above 1", {"epochs": 1}),
        ("final_fraction needs schedule linear or cosine", {"final_fraction": 0.1}),
    ],
)
def test_bad_options_are_told_in_one_line(message, settings):
    with pytest.raises(UserError, match=message) as caught:
        PPOConfig(**{**ADAPTIVE, **settings})
    assert "\n" not in str(caught.value)


def test_teams_have_none():
    with pytest.raises(UserError, match="adaptive_kl: the critic of a team.*linear or cosine"):
        make_group("team/squad", 8, rollout_length=8, **ADAPTIVE)
