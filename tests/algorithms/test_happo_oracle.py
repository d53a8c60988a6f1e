"""Whole updates of HAPPO, MAPPO and IPPO against the independent ones of `team_oracle`."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rljax.algorithms.happo_update import _ORDER
from team_groups import make_group
from team_oracle import EPSILON, Case, Reference, weights

ENVS, LENGTH, UPDATES = 16, 16, 2
SHUFFLE = 1
"""Stream of an update's key that learning draws from."""


DATA = {"huber": "huber_delta", "max_norm": "max_grad_norm", "entropy": "entropy_coefficient"}
"""Numbers that are data of the program, and what it calls them."""
HARL = Case(rests=True, harl_truncation=True, reward="sum")
CASES = {
    "harl": HARL,
    "everything bites": replace(HARL, max_norm=0.02, huber=0.4, entropy=0.1),
    "continuous": Case(2, "continuous", critic="own", reward="per_agent"),
    "mean of ratios": Case(
        2, "continuous", aggregation="mean", critic="both", reward="per_agent", max_norm=0.1
    ),
    "one policy in turn": Case(shared=True, critic="own", reward="agent0"),
    "mappo": Case(rests=True, sequential=False, shared=True),
    "ippo": Case(rests=True, sequential=False, critic="own", reward="per_agent"),
}


@functools.cache
def group(case):
    return make_group(
        "team/squad",
        ENVS,
        {
            "sequential": case.sequential,
            "share_parameters": case.shared,
            "action_aggregation": case.aggregation,
            "critic": case.critic,
            "reward": case.reward,
            "value_norm": True,
            "critic_epochs": case.critic_epochs,
            "critic_learning_rate": case.critic_rate,
            "harl_truncation": case.harl_truncation,
        },
        {"policy_scale": 1.0, "std": "capped", "initial_std": 0.3655},
        world_options={"num_agents": case.agents, "actions": case.actions, "rests": case.rests},
        rollout_length=LENGTH,
        epochs=case.epochs,
        minibatches=1,
        learning_rate=case.rate,
        adam_epsilon=EPSILON,
        clip_epsilon=case.clip,
        value_clip=case.value_clip,
        huber_delta=case.huber,
        max_grad_norm=case.max_norm,
        entropy_coefficient=case.entropy,
        value_coefficient=1.0,
        gamma=case.gamma,
        gae_lambda=case.lam,
        normalise_advantages="batch",
    )


def assert_close(expected, got, **tolerance):
    assert set(expected) == set(got)
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], err_msg=name, **tolerance)


def order_of(state: Any, agents: int) -> np.ndarray:
    key = jax.random.fold_in(jax.random.fold_in(state.key, state.updates), SHUFFLE)
    return np.asarray(jax.random.permutation(jax.random.fold_in(key, _ORDER), agents))


@pytest.mark.parametrize(
    "name", [n if n != "ippo" else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_against_an_independent_update(name):
    case = CASES[name]
    made = group(replace(case, **{number: getattr(Case, number) for number in DATA}))
    state, orders, clipped = made.init(seed=1), [], []
    numbers = {name: jnp.float32(getattr(case, number)) for number, name in DATA.items()}
    state, reference = state.replace(hypers=state.hypers.replace(**numbers)), Reference(case)
    for _ in range(UPDATES):
        before = state
        state, metrics, rollout, _ = made.recorded(before)
        order = order_of(before, case.agents) if case.sequential else np.arange(case.agents)
        orders.append(tuple(order))
        host = jax.tree.map(np.asarray, (before.params, rollout))
        actors, critic, by_agent, of_critic = reference.update(*host, order)

        # The rollout is the policy's and the critic's own.
        stored = reference.by_agent(host[1].transitions.log_prob)
        np.testing.assert_allclose(stored, reference.log_probs, atol=1e-5)
        assert reference.value_error < 1e-5
        for row, expected in enumerate(actors):
            got = jax.tree.map(lambda x, row=row: x[row], state.params["actor"])
            assert_close(expected, weights(got, "actor", "policy_head"), atol=1e-5)
        assert_close(critic, weights(state.params["critic"], "critic", "value_head"), atol=1e-5)
        norm = reference.norm
        np.testing.assert_allclose(
            jax.tree.leaves(state.value_norm), [norm.mean, norm.square, norm.weight], rtol=1e-4
        )
        for agent, numbers in by_agent.items():
            got = {short: metrics[f"{agent}/{short}"] for short in numbers}
            assert_close(numbers, got, atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(metrics["critic/value_loss"], of_critic[0], rtol=1e-4)
        np.testing.assert_allclose(metrics["critic/critic_grad_norm"], of_critic[1], rtol=1e-4)
        # What is compared did happen: ratios and values were clipped, the agents had moved.
        clipped.append([of_critic[3], *(m["clip_fraction"] for m in by_agent.values())])
        if case.sequential:
            assert np.abs(reference.factor - 1).max() > 0.05
        norms = [numbers["actor_grad_norm"] for numbers in by_agent.values()]
        assert (min(*norms, of_critic[1]) > case.max_norm) == (case.max_norm < 1)
        assert (of_critic[2] > 0) == (case.huber < 1)
    assert (np.max(clipped, 0) > 0).all()
    if case.sequential and case.agents > 2:
        assert tuple(range(case.agents)) not in orders and len(set(orders)) == UPDATES
