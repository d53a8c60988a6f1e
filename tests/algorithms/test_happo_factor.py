"""What each agent of a team learns from, on a batch made up for it: the factor, rests, padding."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from envs_jax import spaces
from envs_jax.spaces import ACTION_MASK, GLOBAL_STATE
from helpers import EXACT
from rljax.algorithms import PPOConfig, TeamConfig
from rljax.algorithms.fit import Batch, make_optimiser
from rljax.algorithms.happo_config import make_team_hypers
from rljax.algorithms.happo_update import _ORDER, OptimiseTeam, TeamBatch
from rljax.core.mesh import Shards
from rljax.networks import NetworkConfig, make_team

ENVS, AGENTS, CHUNKS, BLOCKS = 16, 3, 4, 8
ITEMS = ENVS * CHUNKS
SPACE, NETWORK = spaces.Discrete(3), NetworkConfig(hidden_sizes=(8,), policy_scale=1.0)
PADDED = 0
"""The agent that has fewer actions and sees less than the others."""
IN_TURN = {"sequential": True, "fixed_order": True}
AT_ONCE = {"sequential": False}


@functools.cache
def inputs():
    """Parameters, and a batch from a policy a little off them."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(AGENTS, ITEMS, 1, 4)).astype(np.float32)
    allowed = rng.random((AGENTS, ITEMS, 1, 3)) < 0.7
    action = rng.integers(0, 3, (AGENTS, ITEMS, 1)).astype(np.int32)
    seen[PADDED, ..., 3], action[PADDED] = 0, action[PADDED] % 2
    np.put_along_axis(allowed, action[..., None], True, -1)
    allowed[PADDED, ..., 2] = False
    state = rng.normal(size=(ITEMS, 1, 2)).astype(np.float32)
    reset = np.zeros((ITEMS, 1), bool)
    values, returns = rng.normal(size=(2, ITEMS, 1)).astype(np.float32)
    numbers = {
        "log_prob": np.log(rng.uniform(0.2, 0.6, size=action.shape)),
        "advantage": rng.normal(loc=0.5, size=action.shape),
    }
    numbers = {name: x.astype(np.float32) for name, x in numbers.items()}
    common = {"carry": (), "block_ids": ()}
    actors = Batch(
        observation={"observation": seen, ACTION_MASK: allowed},
        reset=np.broadcast_to(reset, action.shape),
        action=action,
        value=(),
        returns=(),
        **numbers,
        **common,
    )
    critic = Batch(
        observation=state,
        reset=reset,
        action=(),
        log_prob=(),
        value=values,
        advantage=(),
        returns=returns,
        **common,
    ).replace(block_ids=np.arange(BLOCKS, dtype=np.int32))
    batch = TeamBatch(actors, critic, rng.random(action.shape) < 0.7)
    team = make_team(SPACE, NETWORK, AGENTS, False, "global")
    whole = {
        "observation": np.ones((1, 1, AGENTS, 4)),
        ACTION_MASK: np.ones((1, 1, AGENTS, 3), bool),
        GLOBAL_STATE: np.ones((1, 1, 2)),
    }
    init = jax.jit(team.init)
    params = init(jax.random.key(0), team.initial_carry(1), whole, reset[:1])
    return params, jax.tree.map(jnp.asarray, batch)


@functools.cache
def compiled(options, config, compiler):
    team = make_team(SPACE, NETWORK, AGENTS, False, "global")
    optimiser = make_optimiser(config)
    optimise = OptimiseTeam(team, config, options, optimiser, 10, CHUNKS)

    @functools.partial(jax.jit, compiler_options=dict(compiler))
    def run(params, hypers, batch, key):
        states = {
            "actor": jax.vmap(lambda p: optimiser.init(ravel_pytree(p)[0]))(params["actor"]),
            "critic": optimiser.init(ravel_pytree(params["critic"])[0]),
        }
        return optimise(
            params, states, None, hypers, jnp.int32(0), batch, key, Shards(blocks=BLOCKS)
        )

    return run


def optimised(batch=None, params=None, key=1, normalise="off", entropy=0.01, **team):
    """New parameters of the actors, leaves [n, ...]."""
    made, made_batch = inputs()
    options = TeamConfig(**team)
    config = PPOConfig(epochs=2, minibatches=2, normalise_advantages=normalise)
    rates = {"learning_rate": 1e-2, "entropy_coefficient": entropy}
    hypers = make_team_hypers(config, options)
    hypers = hypers.replace(**{name: jnp.float32(x) for name, x in rates.items()})
    params = {**made, "actor": made["actor"] if params is None else params}
    batch = made_batch if batch is None else batch
    exactly = team in (IN_TURN, AT_ONCE) and normalise == "off"
    run = compiled(options, config, tuple((EXACT if exactly else {}).items()))
    learnt = run(params, hypers, batch, jax.random.key(key))
    assert learnt.skipped == 0
    return learnt.params["actor"]


def with_actors(**fields):
    batch = inputs()[1]
    return batch._replace(actors=batch.actors.replace(**fields))


def row(params, agent):
    """One agent's parameters as a vector."""
    return np.asarray(ravel_pytree(jax.tree.map(lambda x: x[agent], params))[0])


def log_probs(params, agent):
    """Of the batch's actions, [items, L]."""
    actors = jax.tree.map(lambda x: x[agent], inputs()[1].actors)
    team = make_team(SPACE, NETWORK, AGENTS, False, "global")
    params = jax.tree.map(lambda x: x[agent], params)
    _, distribution = team.actor.apply(
        params, {"actor": ()}, actors.observation, actors.reset, method="act"
    )
    return distribution.log_prob(actors.action)


def test_the_factor_is_what_those_before_have_done():
    start, batch = inputs()
    in_turn, at_once = optimised(**IN_TURN), optimised(**AT_ONCE)
    np.testing.assert_array_equal(row(in_turn, 0), row(at_once, 0))
    factor = jnp.ones(batch.active.shape[1:])
    for agent in (1, 2):
        ratio = jnp.exp(log_probs(in_turn, agent - 1) - log_probs(start["actor"], agent - 1))
        factor *= jnp.where(batch.active[agent - 1], ratio, 1.0)
        assert jnp.abs(factor - 1).max() > 0.02
        weighted = with_actors(advantage=batch.actors.advantage * factor)
        expected = row(optimised(weighted, **AT_ONCE), agent)
        np.testing.assert_allclose(row(in_turn, agent), expected, atol=1e-6)
        assert np.abs(row(at_once, agent) - expected).max() > 1e-5


def test_an_agent_that_stands_still_has_a_factor_of_one():
    advantage = inputs()[1].actors.advantage.at[0].set(0.0)
    batch, still = with_actors(advantage=advantage), {"entropy": 0.0}
    in_turn, at_once = optimised(batch, **still, **IN_TURN), optimised(batch, **still, **AT_ONCE)
    np.testing.assert_array_equal(row(in_turn, 0), row(inputs()[0]["actor"], 0))
    np.testing.assert_array_equal(row(in_turn, 1), row(at_once, 1))
    assert np.abs(row(in_turn, 2) - row(at_once, 2)).max() > 1e-5  # the second did move


def test_agents_are_alike_but_for_their_order():
    params, batch = inputs()
    keys = [jax.random.fold_in(jax.random.key(key), _ORDER) for key in range(20)]
    orders = [tuple(map(int, jax.random.permutation(key, AGENTS))) for key in keys]
    assert len(set(orders)) > 3
    key = orders.index((2, 0, 1))
    drawn = optimised(key=key)
    order = jnp.array(orders[key])
    actors, active = jax.tree.map(lambda x: x[order], (batch.actors, batch.active))
    permuted = optimised(
        batch._replace(actors=actors, active=active),
        jax.tree.map(lambda x: x[order], params["actor"]),
        key=key,
        **IN_TURN,
    )
    for place, agent in enumerate(orders[key]):
        np.testing.assert_allclose(row(permuted, place), row(drawn, agent), atol=1e-7)
    other = optimised(key=key, **IN_TURN)
    assert np.abs(row(other, 0) - row(drawn, 0)).max() > 1e-5


@pytest.mark.parametrize("normalise", ["batch", pytest.param("minibatch", marks=pytest.mark.slow)])
def test_what_is_done_while_inactive_is_not_learnt_from(normalise):
    params, batch = inputs()
    noise = np.random.default_rng(1).normal(size=batch.active.shape)
    actors, first = batch.actors, batch.actors.observation[ACTION_MASK].argmax(-1)

    def nonsense(where):
        mask = actors.observation[ACTION_MASK]
        change = {
            "action": jnp.where(where, first, actors.action),
            "log_prob": jnp.where(where, actors.log_prob + noise, actors.log_prob),
            "advantage": jnp.where(where, 9 * noise, actors.advantage),
            "observation": {
                "observation": jnp.where(
                    where[..., None], noise[..., None], actors.observation["observation"]
                ),
                ACTION_MASK: mask,
            },
        }
        return with_actors(**change)

    settings = {"normalise": normalise, **IN_TURN}
    expected = optimised(**settings)
    got = optimised(nonsense(~batch.active), **settings)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    one_active = jnp.zeros_like(batch.active).at[0, 5].set(True) & batch.active
    assert one_active.any()
    other = optimised(nonsense(one_active), **settings)
    assert all(np.abs(row(other, i) - row(expected, i)).max() > 1e-6 for i in range(AGENTS))


def test_padding_is_not_learnt():
    def padded(params):
        """What belongs to the input and the action that one agent lacks."""
        params = params["params"]
        first, head = params["actor"]["MLP_0"]["Dense_0"], params["policy_head"]
        return [first["kernel"][:, 3], head["kernel"][..., 2], head["bias"][:, 2]]

    for before, after in zip(padded(inputs()[0]["actor"]), padded(optimised()), strict=True):
        moved = np.asarray(before != after).reshape(AGENTS, -1)
        assert not moved[PADDED].any() and moved[PADDED + 1 :].all()
