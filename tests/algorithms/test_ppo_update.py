"""PPO's optimisation phase on a batch made up for it, option by option."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import spaces
from rljax.algorithms.fit import Batch, make_optimiser
from rljax.algorithms.ppo_config import Hypers, PPOConfig, make_hypers
from rljax.algorithms.ppo_update import make_optimise
from rljax.core.mesh import Shards
from rljax.networks import NetworkConfig, make_network

ENVS, CHUNKS, BLOCKS, TOTAL = 16, 4, 8, 10
ITEMS = ENVS * CHUNKS
_HYPERS = tuple(Hypers.__dataclass_fields__)
NETWORK = make_network(spaces.Discrete(3), NetworkConfig(hidden_sizes=(8,)))


@functools.cache
def inputs():
    """Parameters and a batch from a policy and critic a little off them."""
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(ITEMS, 1, 4)).astype(np.float32)
    reset = np.zeros((ITEMS, 1), bool)
    carry = {"actor": (), "critic": ()}
    init = jax.jit(NETWORK.init)
    params = init(jax.random.key(0), carry, observation, reset)
    _, distribution, value = NETWORK.apply(params, carry, observation, reset)
    action = rng.integers(0, 3, (ITEMS, 1)).astype(np.int32)
    old_value = np.asarray(value) + rng.normal(size=(ITEMS, 1)).astype(np.float32)
    batch = Batch(
        observation=observation,
        reset=reset,
        action=action,
        log_prob=distribution.log_prob(action) + 0.3 * rng.normal(size=(ITEMS, 1)),
        value=old_value,
        advantage=rng.normal(loc=0.5, scale=2.0, size=(ITEMS, 1)).astype(np.float32),
        returns=old_value + rng.normal(size=(ITEMS, 1)).astype(np.float32),
        carry=carry,
        block_ids=jnp.arange(BLOCKS),
    )
    return params, jax.tree.map(jnp.asarray, batch)


def on_policy(params, batch):
    """The batch as if these parameters had just acted."""
    _, distribution, _ = NETWORK.apply(params, batch.carry, batch.observation, batch.reset)
    return batch.replace(log_prob=distribution.log_prob(batch.action))


@functools.cache
def compiled(config):
    """One program for each config: hyperparameters are its data."""
    optimiser = make_optimiser(config)
    optimise = make_optimise(NETWORK, config, optimiser, TOTAL, CHUNKS)

    @jax.jit
    def run(params, hypers, updates, batch):
        vector, _ = jax.flatten_util.ravel_pytree(params)
        key = jax.random.key(1)
        return optimise(
            params, optimiser.init(vector), hypers, updates, batch, key, Shards(blocks=BLOCKS)
        )

    return run


def optimised(batch=None, updates=0, **settings):
    """New parameters, skipped steps and metrics; hyperparameters are given as data."""
    params, made = inputs()
    settings = {"epochs": 1, "minibatches": 1, "learning_rate": 1e-2, **settings}
    numbers = {name: settings.pop(name) for name in _HYPERS if name in settings}
    for name in ("value_clip", "target_kl", "weight_decay"):  # there at all, or not
        if numbers.get(name):
            settings[name] = 1.0
    config = PPOConfig(**settings)
    hypers = make_hypers(config).replace(
        **{name: jnp.float32(value) for name, value in numbers.items() if value is not None}
    )
    batch = made if batch is None else batch
    after, _, skipped, metrics = compiled(config)(params, hypers, jnp.int32(updates), batch)
    return after, int(skipped), metrics


def vector(params):
    return np.asarray(jax.flatten_util.ravel_pytree(params)[0])


STILL = 0.0
"""A learning rate with which every minibatch sees the same parameters."""


@pytest.mark.parametrize("minibatches", [1, 2])
def test_accumulation_is_one_big_minibatch(minibatches):
    settings = {"minibatches": minibatches, "epochs": 2}
    whole, _, metrics = optimised(**settings)
    parts, _, metrics_of_parts = optimised(accumulation=4, **settings)
    np.testing.assert_allclose(vector(whole), vector(parts), atol=2e-6)
    chex.assert_trees_all_close(metrics, metrics_of_parts, rtol=1e-4, atol=1e-6)
    assert np.abs(vector(whole) - vector(inputs()[0])).max() > 1e-3


def clipped_policy_loss(batch, advantage, epsilon=0.2):
    params, _ = inputs()
    _, distribution, _ = NETWORK.apply(params, batch.carry, batch.observation, batch.reset)
    ratio = np.exp(np.asarray(distribution.log_prob(batch.action) - batch.log_prob))
    return -np.minimum(ratio * advantage, np.clip(ratio, 1 - epsilon, 1 + epsilon) * advantage)


def test_normalisation_of_advantages():
    _, batch = inputs()
    advantage = np.asarray(batch.advantage)
    standard = (advantage - advantage.mean()) / (advantage.std() + 1e-8)

    def loss(mode, minibatches):
        config = {"normalise_advantages": mode, "minibatches": minibatches}
        return optimised(learning_rate=STILL, **config)[2]["loss/policy"]

    for mode, values in (("off", advantage), ("batch", standard)):
        expected = clipped_policy_loss(batch, values).mean()
        np.testing.assert_allclose(loss(mode, 1), expected, atol=1e-5)
        np.testing.assert_allclose(loss(mode, 8), expected, atol=1e-5)
    # Over one minibatch or over all is the same only where there is one.
    expected = clipped_policy_loss(batch, standard).mean()
    np.testing.assert_allclose(loss("minibatch", 1), expected, atol=1e-5)
    assert abs(loss("minibatch", 8) - expected) > 1e-3


def test_minibatches_of_equal_advantages_give_numbers():
    batch = inputs()[1]
    batch = batch.replace(advantage=jnp.full_like(batch.advantage, 3.0))
    after, skipped, metrics = optimised(batch, normalise_advantages="minibatch")
    assert skipped == 0 and np.isfinite(vector(after)).all()
    np.testing.assert_allclose(metrics["loss/policy"], 0, atol=1e-6)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_value_loss_and_metrics(clip):
    params, batch = inputs()
    _, distribution, value = NETWORK.apply(params, batch.carry, batch.observation, batch.reset)
    value, old, returns = (np.asarray(x) for x in (value, batch.value, batch.returns))
    expected = np.square(value - returns) / 2
    if clip is not None:
        near = old + np.clip(value - old, -clip, clip)
        expected = np.maximum(expected, np.square(near - returns) / 2)
    _, _, metrics = optimised(
        learning_rate=STILL, value_coefficient=0.7, entropy_coefficient=0.1, value_clip=clip
    )
    entropy = np.asarray(distribution.entropy()).mean()
    ratio = np.exp(np.asarray(distribution.log_prob(batch.action) - batch.log_prob))
    np.testing.assert_allclose(metrics["loss/value"], expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["policy/entropy"], entropy, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["loss/total"],
        metrics["loss/policy"] + 0.7 * expected.mean() - 0.1 * entropy,
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        metrics["policy/clip_fraction"], (np.abs(ratio - 1) > 0.2).mean(), rtol=1e-5
    )
    np.testing.assert_allclose(
        metrics["policy/approximate_kl"], (ratio - 1 - np.log(ratio)).mean(), rtol=1e-4
    )


def test_target_kl_stops_before_the_first_step():
    after, skipped, metrics = optimised(target_kl=1e-4, epochs=3)  # the batch is off-policy
    np.testing.assert_array_equal(vector(after), vector(inputs()[0]))
    assert metrics["update/steps_taken"] == 0 and skipped == 0


def test_target_kl_stops_on_the_way():
    params, batch = inputs()
    batch = on_policy(params, batch)
    stopped, skipped, metrics = optimised(batch, target_kl=1e-4, epochs=4)
    one_step, *_ = optimised(batch, epochs=1)
    np.testing.assert_allclose(vector(stopped), vector(one_step), atol=1e-7)
    assert metrics["update/steps_taken"] == 0.25 and skipped == 0

    # An option that is on but never reached changes nothing.
    far, _, metrics = optimised(batch, target_kl=1e4, epochs=4)
    without, *_ = optimised(batch, epochs=4)
    np.testing.assert_allclose(vector(far), vector(without), atol=1e-6)
    assert metrics["update/steps_taken"] == 1


def test_target_kl_stops_for_good():
    # One item is far off-policy: nothing goes on behind it, in its epoch or in the next.
    batch = on_policy(*inputs())
    batch = batch.replace(log_prob=batch.log_prob.at[7].add(3.0))
    settings = {"minibatches": 4, "epochs": 2, "learning_rate": STILL}
    _, _, metrics = optimised(batch, target_kl=1e-4, **settings)
    assert metrics["update/steps_taken"] < 0.5


def test_every_epoch_deals_anew():
    # Two items spoil one minibatch or two, according to whether they meet.
    _, batch = inputs()
    batch = batch.replace(advantage=batch.advantage.at[jnp.array([7, 8])].set(jnp.nan))
    epochs = 20
    _, skipped, _ = optimised(batch, epochs=epochs, minibatches=2, normalise_advantages="off")
    assert epochs < skipped < 2 * epochs


@pytest.mark.parametrize("where", ["advantage", "returns", "observation"])
def test_steps_that_are_not_finite_are_skipped(where):
    params, batch = inputs()
    batch = on_policy(params, batch)
    broken = getattr(batch, where).at[7, 0].set(jnp.nan)
    settings = {"minibatches": 4, "epochs": 3, "normalise_advantages": "off"}
    after, skipped, metrics = optimised(batch.replace(**{where: broken}), **settings)
    assert skipped == 3  # the one minibatch of each epoch that has the item
    assert metrics["update/steps_taken"] == 0.75
    assert np.isfinite(vector(after)).all()
    assert np.abs(vector(after) - vector(params)).max() > 1e-3
    assert all(np.isfinite(value) for value in metrics.values())


def test_infinite_gradients_are_skipped_and_leave_no_trace():
    params, batch = inputs()
    broken = batch.replace(returns=batch.returns.at[:].set(jnp.inf))
    after, skipped, _ = optimised(broken, epochs=3)
    assert skipped == 3
    np.testing.assert_array_equal(vector(after), vector(params))


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [("constant", (1, 1, 1, 1)), ("linear", (1, 0.55, 0.1, 0.1)), ("cosine", (1, 0.55, 0.1, 0.1))],
)
def test_schedules_reach_the_learning_rate(schedule, factors):
    start = vector(inputs()[0])
    moved = []
    for updates, factor in zip((0, TOTAL // 2, TOTAL, 2 * TOTAL), factors, strict=True):
        after, _, metrics = optimised(updates=updates, schedule=schedule, final_fraction=0.1)
        np.testing.assert_allclose(metrics["update/learning_rate"], 0.01 * factor, rtol=1e-5)
        moved.append(vector(after) - start)
    for step, factor in zip(moved, factors, strict=True):
        np.testing.assert_allclose(step, moved[0] * factor, atol=1e-7)


@pytest.mark.parametrize(("schedule", "factor"), [("constant", 1.0), ("cosine", 0.55)])
def test_decay_is_decoupled_and_scheduled(schedule, factor):
    start = vector(inputs()[0])
    fraction = 0.1 if schedule == "cosine" else 0.0
    settings = {"schedule": schedule, "final_fraction": fraction, "updates": TOTAL // 2}
    without, with_decay = (
        vector(optimised(weight_decay=decay, **settings)[0]) for decay in (0.0, 0.1)
    )
    np.testing.assert_allclose(with_decay - without, -0.01 * factor * 0.1 * start, atol=1e-7)


def test_gradients_are_clipped_by_their_global_norm():
    norm = float(optimised(max_grad_norm=1e6)[2]["update/grad_norm"])
    assert norm > 0.1
    # Far below Adam's epsilon the step is the gradient itself, times rate / epsilon.
    tiny = {"adam_epsilon": 1e3, "learning_rate": 1e3}
    start = vector(inputs()[0])
    full, half = (
        vector(optimised(max_grad_norm=limit, **tiny)[0]) - start for limit in (1e6, norm / 2)
    )
    np.testing.assert_allclose(np.linalg.norm(full), norm, rtol=1e-2)
    np.testing.assert_allclose(half, full / 2, rtol=1e-2, atol=1e-5)
    assert optimised(max_grad_norm=norm / 2)[2]["update/grad_norm"] == norm  # before clipping
