"""The actor-critic as a whole, in every kind."""

from __future__ import annotations

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import spaces
from rljax.core.errors import UserError
from rljax.networks import NetworkConfig, make_network
from rljax.networks.recurrent import Core

T, B, ACTIONS = 4, 3, 3
KINDS = list(itertools.product(("none", "gru", "lstm"), (True, False)))


def make(space=None, **config):
    """A small network, its parameters, and an input for it."""
    config = {"hidden_sizes": (8,), "core_size": 6, **config}
    network = make_network(space or spaces.Discrete(ACTIONS), NetworkConfig(**config))
    observation = jax.random.normal(jax.random.key(0), (T, B, 5))
    reset = jnp.zeros((T, B), bool).at[2, 1].set(True)
    inputs = (network.initial_carry(B), observation, reset)
    params = jax.jit(network.init)(jax.random.key(1), *inputs)
    return network, params, inputs


def apply(network, method="__call__"):
    return jax.jit(functools.partial(network.apply, method=method))


def box():
    return spaces.Box(-1.0, 1.0, (2,))


@pytest.mark.parametrize(("core", "separate"), KINDS)
def test_shapes_and_agreement_of_the_methods(core, separate):
    network, params, (carry, *rest) = make(core=core, separate_value=separate)
    carry = jax.tree.map(lambda c: c + 0.3, carry)
    after, distribution, value = apply(network)(params, carry, *rest)

    assert distribution.logits.shape == (T, B, ACTIONS)
    assert value.shape == (T, B)
    assert set(after) == ({"actor", "critic"} if separate else {"actor"})
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, carry)
    assert bool(jax.tree.leaves(carry)) == (core != "none")

    acted, again = apply(network, "act")(params, carry, *rest)
    np.testing.assert_allclose(again.logits, distribution.logits, atol=1e-6)
    chex.assert_trees_all_close(acted["actor"], after["actor"], atol=1e-6)
    if separate:  # left as it was
        chex.assert_trees_all_equal(acted["critic"], carry["critic"])
    alone = apply(network, "value")(params, carry, *rest)
    np.testing.assert_allclose(alone, value, atol=1e-6)


@pytest.mark.parametrize("separate", [True, False])
def test_towers_are_separate_or_shared(separate):
    network, params, inputs = make(separate_value=separate)

    def total_value(params):
        return network.apply(params, *inputs)[2].sum()

    gradient = jax.jit(jax.grad(total_value))(params)["params"]
    moved = {name: any(leaf.any() for leaf in jax.tree.leaves(g)) for name, g in gradient.items()}
    if separate:
        assert moved == {"actor": False, "critic": True, "policy_head": False, "value_head": True}
    else:
        assert moved == {"actor": True, "policy_head": False, "value_head": True}


def test_initialisation_of_the_heads():
    _, params, _ = make(hidden_sizes=(8,), policy_scale=0.01)
    policy, value = (
        np.asarray(params["params"][f"{name}_head"]["kernel"]) for name in ("policy", "value")
    )
    np.testing.assert_allclose(policy.T @ policy, 1e-4 * np.eye(ACTIONS), atol=1e-9)
    np.testing.assert_allclose(value.T @ value, [[1.0]], rtol=1e-5)


@pytest.mark.parametrize(
    ("core", "options"),
    [
        ("none", {"layer_norm": "before"}),
        ("gru", {}),
        ("lstm", {"skip_core": True, "head_sizes": (7,)}),
        ("none", {"distribution": "beta"}),
    ],
)
def test_bfloat16_stays_inside(core, options):
    space = box() if "distribution" in options else None
    full, params, inputs = make(space, core=core, **options)
    half, half_params, _ = make(space, core=core, compute_dtype="bfloat16", **options)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(half_params))
    chex.assert_trees_all_equal(params, half_params)

    outputs = apply(half)(params, *inputs)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(outputs))
    reference = apply(full)(params, *inputs)
    np.testing.assert_allclose(outputs[2], reference[2], atol=0.05)
    assert (outputs[2] != reference[2]).any()  # it did compute in fewer bits

    def total_value(params):
        return half.apply(params, *inputs)[2].sum()

    gradient = jax.jit(jax.grad(total_value))(params)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(gradient))


def test_the_standard_deviation():
    network, params, inputs = make(box(), std="learned", initial_std=0.5)
    assert params["params"]["log_std"].shape == (2,)
    np.testing.assert_allclose(jnp.exp(network.apply(params, *inputs)[1].log_std), 0.5, rtol=1e-6)
    network, params, inputs = make(box(), std="fixed", initial_std=0.5)
    assert "log_std" not in params["params"]
    np.testing.assert_allclose(jnp.exp(network.apply(params, *inputs)[1].log_std), 0.5, rtol=1e-6)
    network, params, inputs = make(box(), std="state", initial_std=0.5)
    log_std = network.apply(params, *inputs)[1].log_std
    assert log_std.shape == (T, B, 2) and (log_std[0, 0] != log_std[0, 1]).all()
    np.testing.assert_allclose(jnp.exp(log_std), 0.5, rtol=0.1)  # the last layer starts small


@pytest.mark.parametrize("separate", [True, False])
def test_layers_behind_the_core(separate):
    shape = {"core": "gru", "head_sizes": (7, 4), "skip_core": True, "separate_value": separate}
    network, params, inputs = make(**shape, policy_scale=1.0)
    layers = params["params"]
    for name in ("policy", "value"):
        assert layers[f"{name}_layers"]["Dense_0"]["kernel"].shape == (6 + 8, 7)
        assert layers[f"{name}_head"]["kernel"].shape[0] == 4
    # What the core remembers, then what it was given, by hand.
    (carry, observation, reset), tower = inputs, layers["actor"]
    x = jnp.tanh(dense(observation, tower["MLP_0"]["Dense_0"]))
    _, memory = Core("gru", 6).apply({"params": tower["Core_0"]}, carry["actor"], x, reset)
    features = jnp.concatenate([memory, x], -1)
    for layer in layers["policy_layers"].values():
        features = jnp.tanh(dense(features, layer))
    _, distribution, value = apply(network)(params, *inputs)
    expected = dense(features, layers["policy_head"])
    np.testing.assert_allclose(distribution.logits, expected, atol=1e-5)
    if not separate:  # the tower is shared, the layers are not
        features = jnp.concatenate([memory, x], -1)
        for layer in layers["value_layers"].values():
            features = jnp.tanh(dense(features, layer))
        np.testing.assert_allclose(value, dense(features, layers["value_head"])[..., 0], atol=1e-5)


def dense(x, layer):
    return x @ layer["kernel"] + layer["bias"]


@pytest.mark.parametrize(("core", "separate"), [("gru", True), ("lstm", True), ("gru", False)])
def test_no_gradient_crosses_an_episodes_end(core, separate):
    options = {"skip_core": True, "head_sizes": (7,), "separate_value": separate}
    network, params, (carry, observation, _) = make(box(), core=core, policy_scale=1.0, **options)
    action = jax.random.normal(jax.random.key(2), (T, B, 2))
    start = jax.tree.map(lambda c: c + 0.3, carry)
    begins = 2

    @jax.jit
    def gradients(reset):
        def later(carry, observation):
            """A loss of the steps from ``begins`` on."""
            _, distribution, value = network.apply(params, carry, observation, reset)
            terms = distribution.log_prob(action) + jnp.square(value - 1.0)
            return terms[begins:].sum()

        return jax.grad(later, argnums=(0, 1))(start, observation)

    # In environment 1 an episode begins there, in the others it goes on.
    to_carry, to_seen = gradients(jnp.zeros((T, B), bool).at[begins, 1].set(True))
    others = jnp.array([0, 2])
    for leaf in jax.tree.leaves(to_carry):
        assert not leaf[1].any() and leaf[others].all()
    assert not to_seen[:begins, 1].any()
    assert to_seen[:begins, others].all() and to_seen[begins:].all()


def test_skipping_no_core():
    with pytest.raises(UserError, match="skip_core needs core gru or lstm, got none"):
        NetworkConfig(skip_core=True)


def test_the_action_mask_is_obeyed_and_not_seen():
    network = make_network(spaces.Discrete(ACTIONS), NetworkConfig(hidden_sizes=(8,)))
    seen = jax.random.normal(jax.random.key(0), (T, B, 5))
    mask = jax.random.bernoulli(jax.random.key(1), 0.5, (T, B, ACTIONS)).at[..., 0].set(True)
    reset = jnp.zeros((T, B), bool)
    carry = network.initial_carry(B)
    observation = {"seen": seen, spaces.ACTION_MASK: mask}
    params = network.init(jax.random.key(1), carry, observation, reset)
    _, distribution, value = network.apply(params, carry, observation, reset)
    np.testing.assert_array_equal(jax.nn.softmax(distribution.logits) > 0, mask)
    other = {"seen": seen, spaces.ACTION_MASK: jnp.ones_like(mask)}
    np.testing.assert_array_equal(network.apply(params, carry, other, reset)[2], value)


def with_privileged(core="none", **config):
    """A network, its parameters, inputs with a privileged part, and those without it."""
    config = {"hidden_sizes": (8,), "core": core, "core_size": 6, "policy_scale": 1.0, **config}
    network = make_network(spaces.Discrete(ACTIONS), NetworkConfig(**config))
    keys = jax.random.split(jax.random.key(0), 2)
    seen = {"seen": jax.random.normal(keys[0], (T, B, 5))}
    whole = {**seen, spaces.PRIVILEGED: jax.random.normal(keys[1], (T, B, 2))}
    reset = jnp.zeros((T, B), bool).at[2, 1].set(True)
    carry = network.initial_carry(B)
    init = jax.jit(network.init)
    return network, init(jax.random.key(1), carry, whole, reset), (carry, whole, reset), seen


@pytest.mark.parametrize("core", ["none", "gru"])
def test_only_the_critic_sees_the_privileged_part(core):
    network, params, (carry, whole, reset), seen = with_privileged(core)

    def outputs(privileged):
        observation = {**whole, spaces.PRIVILEGED: privileged}
        _, distribution, value = network.apply(params, carry, observation, reset)
        return distribution.logits, value

    privileged = whole[spaces.PRIVILEGED]
    (logits, value), (same, other) = outputs(privileged), outputs(privileged + 1.0)
    np.testing.assert_array_equal(logits, same)
    assert (value != other).all()

    def slopes(pick):
        return jax.jit(jax.grad(lambda x: outputs(x)[pick].sum()))

    assert not slopes(0)(privileged).any() and slopes(1)(privileged).all()
    # A robot does not have it.
    _, acted = apply(network, "act")(params, carry, seen, reset)
    np.testing.assert_allclose(acted.logits, logits, atol=1e-6)


def test_a_shared_tower_has_no_place_for_a_privileged_part():
    with pytest.raises(UserError, match="separate_value False.*'privileged'.*expected True"):
        with_privileged(separate_value=False)
