"""Several agents in the one program: devices, chunks and members are the same run."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers import EXACT
from rljax.training.program import Program
from team_groups import make_group

ENVS, AGENTS = 16, 3
SEEDS = (3, 5)
# All that is reduced over devices: moments, targets' statistics, advantages of active agents.
KINDS = {
    "happo": {"value_norm": True, "critic_epochs": 1},
    "mappo": {
        "value_norm": True,
        "critic": "both",
        "reward": "per_agent",
        "sequential": False,
        "share_parameters": True,
    },
}


@functools.cache
def group(kind, core):
    return make_group(
        "team/squad",
        ENVS,
        KINDS[kind],
        {"core": core, "policy_scale": 1.0},
        # Agents with one actor may not have moments of their own.
        {"normalise_observations": not KINDS[kind].get("share_parameters", False)},
        {"num_agents": AGENTS, "actions": "masked", "rests": True},
        rollout_length=8,
        bptt_length=4,
        epochs=2,
        minibatches=2,
        learning_rate=1e-2,
        normalise_advantages="batch",
    )


@functools.cache
def _program(kind, core, devices, members, exact):
    made = group(kind, core).algorithm
    program = Program(made, ENVS, jax.devices()[:devices], range(members), "vmap", exact)
    program.compiler_options = EXACT if exact else {}
    return program


def program(kind, core="gru", devices=1, members=1, exact=False):
    return _program(kind, core, devices, members, exact)


def on_host(state):
    """A copy of the state in NumPy; keys as their data."""

    def convert(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.array(jax.random.key_data(x) if is_key else x)

    return jax.tree.map(convert, state)


@functools.cache
def start(kind, core="gru", seeds=(0,)):
    """The state of some members before training, on the host."""
    members = [on_host(group(kind, core).init(seed)) for seed in seeds]
    return jax.tree.map(lambda *x: np.stack(x), *members)


@functools.cache
def trained(chunks, kind="happo", core="gru", seeds=(0,), devices=1, exact=False):
    """State (on the host) and metrics after chunks of these lengths."""
    made = program(kind, core, devices, len(seeds), exact)

    def put(like, x):
        is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key)
        return jax.device_put(jax.random.wrap_key_data(x) if is_key else x, like.sharding)

    state, rows = jax.tree.map(put, made.abstract_state(), start(kind, core, seeds)), []
    for length in chunks:
        state, metrics = made.chunk(state, length)
        rows.append(np.asarray(metrics)[:, :length])
    return on_host(state), np.concatenate(rows, 1)


def assert_moved(state, kind):
    params = start(kind).params
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, params)
    assert min(jax.tree.leaves(moved)) > 1e-4


def rows_close(one, other):
    np.testing.assert_allclose(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["happo", pytest.param("mappo", marks=pytest.mark.slow)])
def test_same_run_on_eight_devices(kind):
    for length in (1, 2):
        one, rows = trained((length,), kind)
        many, rows_of_many = trained((length,), kind, devices=8)
        np.testing.assert_array_equal(one.actors.reset, many.actors.reset)
        chex.assert_trees_all_close(one, many, atol=2e-4, rtol=1e-4)
        rows_close(rows, rows_of_many)
    assert_moved(many, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_exact_is_the_same_bits(kind):
    one, rows = trained((3,), kind, "none", exact=True)
    many, rows_of_many = trained((3,), kind, "none", exact=True, devices=8)
    chex.assert_trees_all_equal(one, many)
    np.testing.assert_array_equal(rows, rows_of_many)
    # And those are of the same run.
    exact, normal = (trained((1,), kind, "none", exact=exact)[0] for exact in (True, False))
    chex.assert_trees_all_close(exact, normal, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["happo", pytest.param("mappo", marks=pytest.mark.slow)])
def test_going_on_is_the_same_run(kind):
    whole, rows = trained((4,), kind)
    parts, rows_of_parts = trained((2, 2), kind)
    chex.assert_trees_all_equal(whole, parts)
    np.testing.assert_array_equal(rows, rows_of_parts)
    assert whole.updates.tolist() == [4] and program(kind).traces == 1
    assert_moved(whole, kind)


@pytest.mark.slow
def test_members_are_each_alone():
    together, rows = trained((2,), seeds=SEEDS)
    for i, seed in enumerate(SEEDS):
        alone, its_rows = trained((2,), seeds=(seed,))
        member = jax.tree.map(lambda x, i=i: x[i : i + 1], together)
        chex.assert_trees_all_close(member, alone, atol=2e-4, rtol=1e-4)
        rows_close(rows[i : i + 1], its_rows)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_every_agent_is_in_the_metrics():
    _, rows = trained((2,))
    made = program("happo")
    named = dict(zip(made.metric_names, rows[0].T, strict=True))
    shorts = ("policy_loss", "dist_entropy", "approximate_kl", "clip_fraction", "actor_grad_norm")
    for short in shorts:
        each = np.stack([named[f"agent{i}/{short}"] for i in range(AGENTS)])
        assert np.isfinite(each).all() and (each[0] != each[1]).any()
    for name, short in (("loss/policy", "policy_loss"), ("update/grad_norm", "actor_grad_norm")):
        each = np.stack([named[f"agent{i}/{short}"] for i in range(AGENTS)])
        np.testing.assert_allclose(named[name], each.mean(0), rtol=1e-4, atol=1e-7)
    assert f"agent{AGENTS}/policy_loss" not in named
    assert {"critic/value_loss", "critic/critic_grad_norm"} <= set(named)
    assert (named["update/steps_taken"] == 1).all() and (named["update/skipped"] == 0).all()
