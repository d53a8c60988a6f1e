"""The networks of several agents: whose parameters act on what, and what the critic sees."""

from __future__ import annotations

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax import spaces
from envs_jax.spaces import ACTION_MASK, ACTIVE, GLOBAL_STATE, PRIVILEGED
from rljax.core.errors import UserError
from rljax.networks import NetworkConfig, make_team, own_parts

T, B, N, ACTIONS, SEEN, STATE, UNITS = 3, 2, 3, 4, 5, 6, 7
VIEWS = ("global", "own", "both")


def observe(privileged=False):
    rng = np.random.default_rng(0)
    mask = rng.random((T, B, N, ACTIONS)) < 0.5
    mask[..., 0] = True
    numbers = {
        "observation": rng.normal(size=(T, B, N, SEEN)),
        GLOBAL_STATE: rng.normal(size=(T, B, STATE)),
    }
    if privileged:
        numbers[PRIVILEGED] = rng.normal(size=(T, B, N, 2))
    numbers = {name: jnp.float32(x) for name, x in numbers.items()}
    return {**numbers, ACTION_MASK: jnp.asarray(mask), ACTIVE: jnp.ones((T, B, N), bool)}


@functools.cache
def made(core="none", shared=False, view="global", continuous=False, privileged=False):
    """A team, its parameters, and ``apply(observation, method)`` from carries that are not zero."""
    space = spaces.Box(-1.0, 1.0, (2,)) if continuous else spaces.Discrete(ACTIONS)
    config = NetworkConfig(
        hidden_sizes=(8,), core=core, core_size=UNITS, policy_scale=1.0, initial_std=0.5
    )
    team = make_team(space, config, N, shared, view)
    reset = jnp.zeros((T, B), bool).at[1, 0].set(True)
    carry = jax.tree.map(lambda c: c + 0.3, team.initial_carry(B))
    first = jax.tree.map(lambda x: x[:1, :1], observe(privileged))
    init = jax.jit(team.init)
    params = init(jax.random.key(1), team.initial_carry(1), first, reset[:1, :1])
    apply = jax.jit(team.apply, static_argnames="method")

    def run(observation, method="all", params=params, carry=carry):
        return apply(params, carry, observation, reset, method=method)

    return team, params, run, carry


@pytest.mark.parametrize(
    ("core", "shared", "view"),
    [("none", False, "global"), ("gru", True, "own"), ("lstm", False, "both")],
)
def test_shapes_and_agreement_of_the_methods(core, shared, view):
    team, params, run, carry = made(core, shared, view)
    rows = {leaf.shape[0] for leaf in jax.tree.leaves(params["actor"])}
    assert rows == {1 if shared else N}
    after, distribution, value = run(observe())
    assert distribution.logits.shape == (T, B, N, ACTIONS)
    assert value.shape == ((T, B) if view == "global" else (T, B, N))
    assert team.valued_agents == (view != "global")
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, carry)
    assert {leaf.shape for leaf in jax.tree.leaves(carry["actor"])} == (
        set() if core == "none" else {(B, N, UNITS)}
    )

    acted, again = run(observe(), "act")
    np.testing.assert_allclose(again.logits, distribution.logits, atol=1e-6)
    chex.assert_trees_all_close(acted["actor"], after["actor"], atol=1e-6)
    chex.assert_trees_all_equal(acted["critic"], carry["critic"])
    np.testing.assert_allclose(run(observe(), "value"), value, atol=1e-6)
    # Who only acts does not need the global state.
    np.testing.assert_array_equal(run(own_parts(observe()), "act")[1].logits, again.logits)


@pytest.mark.parametrize(("core", "shared"), [("gru", True), ("lstm", False)])
def test_each_agent_acts_by_its_own_row(core, shared):
    view = "own" if shared else "both"
    team, params, run, carry = made(core, shared, view)
    after, distribution, value = run(observe())
    reset = jnp.zeros((T, B), bool).at[1, 0].set(True)

    @jax.jit
    def alone(row, carry, own, seen):
        _, worth = team.critic.apply(params["critic"], carry["critic"], seen, reset)
        return *team.actor.apply(row, carry, own, reset, method="act"), worth

    for agent in range(N):
        row = jax.tree.map(lambda x, i=agent: x[0 if shared else i], params["actor"])
        start, end = jax.tree.map(lambda x, i=agent: x[:, i], (carry, after))
        own, seen = jax.tree.map(
            lambda x, i=agent: x[:, :, i], (own_parts(observe()), team.seen_by_critic(observe()))
        )
        left, chances, worth = alone(row, start, own, seen)
        np.testing.assert_allclose(chances.logits, distribution.logits[:, :, agent], atol=1e-5)
        chex.assert_trees_all_close(left["actor"], end["actor"], atol=1e-5)
        np.testing.assert_allclose(worth, value[:, :, agent], atol=1e-5)


CHANGES = {
    "own": lambda seen: {**seen, "observation": seen["observation"].at[:, :, 1].add(1.0)},
    "state": lambda seen: {**seen, GLOBAL_STATE: seen[GLOBAL_STATE] + 1.0},
    "reserved": lambda seen: {**seen, ACTIVE: ~seen[ACTIVE]},
    "mask": lambda seen: {**seen, ACTION_MASK: jnp.ones_like(seen[ACTION_MASK])},
}
# Whether actors see it, and whether the critic of each view does.
SIGHT = {
    "own": (True, {"global": False, "own": True, "both": True}),
    "state": (False, {"global": True, "own": False, "both": True}),
    "reserved": (False, dict.fromkeys(VIEWS, False)),
    "mask": (None, dict.fromkeys(VIEWS, False)),
}


@pytest.mark.parametrize(("change", "view"), list(itertools.product(CHANGES, VIEWS)))
def test_who_sees_what(change, view):
    _, _, run, _ = made(view=view)
    (_, before, value), (_, after, other) = run(observe()), run(CHANGES[change](observe()))
    actors, critics = SIGHT[change]
    if actors is not None:  # a mask is not seen, but obeyed
        moved = np.asarray(before.logits != after.logits).any((0, 1, 3))
        assert moved.tolist() == [False, actors, False]
    changed = np.asarray(value != other)
    if critics[view] and change == "own":
        assert changed.any((0, 1)).tolist() == [False, True, False]
    else:
        assert changed.all() == changed.any() == critics[view]


@pytest.mark.parametrize("view", ["own", "both"])
def test_a_privileged_part_is_for_the_value_of_its_agent(view):
    _, _, run, _ = made(view=view, privileged=True)
    seen = observe(privileged=True)
    changed = {**seen, PRIVILEGED: seen[PRIVILEGED].at[:, :, 1].add(1.0)}
    (_, before, value), (_, after, other) = run(seen), run(changed)
    np.testing.assert_array_equal(before.logits, after.logits)
    assert np.asarray(value != other).all((0, 1)).tolist() == [False, True, False]
    np.testing.assert_array_equal(run(own_parts(seen), "act")[1].logits, before.logits)


def test_a_value_of_the_team_has_no_privileged_part():
    with pytest.raises(UserError, match="critic global.*'privileged'.*expected own or both"):
        made(privileged=True)


def test_masks_are_obeyed():
    seen = observe()
    _, distribution, _ = made()[2](seen)
    np.testing.assert_array_equal(jax.nn.softmax(distribution.logits) > 0, seen[ACTION_MASK])


def test_agents_are_individuals_unless_they_share():
    seen = observe()
    seen = {**seen, "observation": jnp.broadcast_to(seen["observation"][:, :, :1], (T, B, N, SEEN))}
    seen[ACTION_MASK] = jnp.ones_like(seen[ACTION_MASK])
    for shared in (True, False):
        logits = np.asarray(made(shared=shared)[2](seen, "act")[1].logits)
        same = np.abs(logits - logits[:, :, :1]).max((0, 1, 3)) < 1e-6
        assert same.tolist() == [True, shared, shared]


def test_a_standard_deviation_that_is_a_parameter():
    team, params, run, _ = made(continuous=True)
    assert params["actor"]["params"]["log_std"].shape == (N, 2)
    rows = jnp.arange(2.0 * N).reshape(N, 2)
    changed = jax.tree.map(lambda x: x, params)
    changed["actor"]["params"]["log_std"] = rows
    _, distribution = run(own_parts(observe()), "act", params=changed)
    np.testing.assert_array_equal(distribution.log_std, jnp.broadcast_to(rows, (T, B, N, 2)))
    noise = team.draw_noise(jax.random.key(0), (T, B))
    assert noise.shape == (T, B, N, 2)
    action = team.to_environment(distribution, distribution.sample(noise))
    assert action.shape == (T, B, N, 2) and (np.abs(action) <= 1).all()


def test_one_agent_draws_what_it_draws_alone():
    team = make_team(spaces.Discrete(ACTIONS), NetworkConfig(), 1, False, "global")
    key = jax.random.key(3)
    noise = team.draw_noise(key, (T,))
    np.testing.assert_array_equal(noise[:, 0], team.actor.draw_noise(key, (T,)))


def test_a_plain_observation_has_no_global_state():
    seen = jnp.ones((T, B, N, SEEN))
    assert own_parts(seen) is seen
    assert set(own_parts(observe(privileged=True))) == {"observation", ACTION_MASK, ACTIVE}


def test_a_part_that_is_called_state():
    team, *_ = made(view="both")
    own = jnp.ones((T, B, N, SEEN))
    seen = team.seen_by_critic({"state": own, GLOBAL_STATE: jnp.zeros((T, B, STATE))})
    assert sum(part.shape[-1] for part in seen.values()) == SEEN + STATE
