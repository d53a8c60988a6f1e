"""One program on any number of devices, for any number of members, in chunks of any length."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from helpers import EXACT, make_probe
from rljax.core.errors import UserError
from rljax.core.mesh import DATA, Shards
from rljax.core.types import TrainState
from rljax.training.program import MAX_CHUNK, Program

ENVS = 16
# All that is reduced over devices or kept apart on each: carries, both kinds of moments, episodes.
RICH = {"normalise_observations": True, "normalise_rewards": True, "random_phase": True}


@functools.cache
def algorithm(core):
    env = {} if core == "none" else RICH
    return make_probe(
        "CartPole-v1",
        ENVS,
        {"core": core},
        env,
        rollout_length=16,
        bptt_length=8,
        epochs=2,
        minibatches=2,
        learning_rate=1e-2,
        schedule="linear",
    ).algorithm


@functools.cache
def _program(core, devices, seeds, mode, exact, same_bits):
    made = Program(algorithm(core), ENVS, jax.devices()[:devices], seeds, mode, exact)
    made.compiler_options = EXACT if exact or same_bits else {}
    return made


def program(core="none", devices=1, seeds=(0,), mode="vmap", exact=False, same_bits=False):
    return _program(core, devices, seeds, mode, exact, same_bits)


def on_host(state):
    """A copy of the state in NumPy; keys as their data."""

    def convert(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.array(jax.random.key_data(x) if is_key else x)

    return jax.tree.map(convert, state)


@functools.cache
def started(core="none", **settings):
    """The state before training, on the host."""
    return on_host(program(core, **settings).init())


@functools.cache
def trained(chunks, core="none", seed=None, **settings):
    """State (on the host) and metrics after chunks of these lengths.

    With a seed, a program for one member starts from that member's state.
    """
    made = program(core, **settings)
    start = made if seed is None else program(core, **settings, seeds=(seed,))
    state, rows = start.init(), []
    for length in chunks:
        state, metrics = made.chunk(state, length)
        rows.append(np.asarray(metrics)[:, :length])
    return on_host(state), np.concatenate(rows, 1)


def member(state, index):
    return jax.tree.map(lambda x: x[index], state)


def assert_moved(state, core):
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, started(core).params)
    assert min(jax.tree.leaves(moved)) > 1e-3


# Devices.


def test_same_run_on_eight_devices():
    for length in (1, 2):
        one, rows = trained((length,), "gru")
        many, rows_of_many = trained((length,), "gru", devices=8)
        np.testing.assert_allclose(one.actors.observation, many.actors.observation, atol=1e-6)
        chex.assert_trees_all_close(one, many, atol=2e-4, rtol=1e-4)
        np.testing.assert_allclose(rows, rows_of_many, atol=1e-3, rtol=1e-3)
    assert_moved(many, "gru")
    # Every environment is an individual.
    assert len(np.unique(many.actors.observation[0, :, 0])) == ENVS


@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.slow), 8])
def test_exact_is_the_same_bits(devices):
    one, rows = trained((5,), "gru", exact=True)
    many, rows_of_many = trained((5,), "gru", devices=devices, exact=True)
    chex.assert_trees_all_equal(one, many)
    np.testing.assert_array_equal(rows, rows_of_many)
    assert_moved(many, "gru")


def test_exact_is_the_same_run():
    exact, _ = trained((1,), "gru", exact=True)
    normal, _ = trained((1,), "gru")
    chex.assert_trees_all_close(exact, normal, atol=1e-4, rtol=1e-4)


def test_parameters_are_equal_on_every_device():
    made = program("gru", devices=8)
    state, _ = made.chunk(made.init(), 3)
    for leaf in jax.tree.leaves((state.params, state.opt_state, state.observation_moments)):
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == 8
        for copy in copies:
            np.testing.assert_array_equal(copy, copies[0])
    observation = state.actors.observation
    assert [shard.data.shape for shard in observation.addressable_shards] == [(1, 2, 4)] * 8


def test_pmap_of_the_same_update():
    devices = 8
    made = algorithm("none")
    shards = Shards(DATA, devices, made.blocks)
    state = jax.jit(made.init)(jax.random.key(0), jnp.arange(ENVS))
    actors = jax.tree.map(lambda x: x.reshape((devices, -1) + x.shape[1:]), state.actors)
    state = jax.tree.map(lambda x: jnp.stack([x] * devices), state).replace(actors=actors)
    update = jax.pmap(lambda s: made.update(s, shards)[0], axis_name=DATA)
    for _ in range(3):
        state = update(state)
    state = on_host(state)
    for leaf in jax.tree.leaves(state.params):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[0], leaf.shape))
    expected, _ = trained((3,), devices=devices)
    chex.assert_trees_all_close(member(state.params, 0), member(expected.params, 0), atol=1e-5)
    np.testing.assert_allclose(
        state.actors.observation.reshape(ENVS, -1), expected.actors.observation[0], atol=1e-5
    )


def test_gradients_are_right_under_checked_replication():
    # With check_vma the gradient of a replicated value is summed over devices by itself.
    made = algorithm("none")
    mesh = jax.make_mesh((8,), (DATA,), (AxisType.Auto,), devices=jax.devices()[:8])
    shards = Shards(DATA, 8, made.blocks)
    specs = TrainState(**{**dict.fromkeys(TrainState.__dataclass_fields__, P()), "actors": P(DATA)})
    update = jax.shard_map(
        lambda s: made.update(s, shards),
        mesh=mesh,
        in_specs=(specs,),
        out_specs=(specs, P()),
        check_vma=True,
    )
    state = jax.jit(made.init)(jax.random.key(0), jnp.arange(ENVS))
    state, _ = jax.jit(update)(state)
    expected, _ = trained((1,), devices=8)
    chex.assert_trees_all_close(on_host(state.params), member(expected.params, 0), atol=1e-6)


# Members.

SEEDS = (3, 5)


def alone(seed, chunks, **settings):
    state, rows = trained(chunks, "gru", seed, **settings)
    return member(state, 0), rows[0]


def test_members_in_turn_are_each_alone():
    together, rows = trained((3,), "gru", seeds=SEEDS, mode="map", same_bits=True)
    for i, seed in enumerate(SEEDS):
        state, its_rows = alone(seed, (3,), same_bits=True)
        chex.assert_trees_all_equal(member(together, i), state)
        np.testing.assert_array_equal(rows[i], its_rows)
    assert (rows[0] != rows[1]).any()


def test_members_in_one_batch_are_close_to_each_alone():
    together, rows = trained((2,), "gru", seeds=SEEDS, mode="vmap")
    for i, seed in enumerate(SEEDS):
        state, its_rows = alone(seed, (2,))
        chex.assert_trees_all_close(member(together, i), state, atol=2e-4, rtol=1e-4)
        np.testing.assert_allclose(rows[i], its_rows, atol=1e-3, rtol=1e-3)


def test_members_over_devices_are_close_to_each_alone():
    together, rows = trained((2,), "gru", seeds=SEEDS, mode="devices", devices=4)
    for i, seed in enumerate(SEEDS):
        state, its_rows = alone(seed, (2,), devices=2)
        chex.assert_trees_all_close(member(together, i), state, atol=2e-4, rtol=1e-4)
        np.testing.assert_allclose(rows[i], its_rows, atol=1e-3, rtol=1e-3)


def test_policies_are_those_of_the_members():
    made = program("gru", seeds=SEEDS, mode="map", same_bits=True)
    state = made.init()
    policies = made.policies(state)
    assert len(policies) == 2
    for i, policy in enumerate(policies):
        chex.assert_trees_all_equal(policy.params, member(on_host(state).params, i))


# Chunks.


def test_chunks_of_any_length_are_the_same_run():
    whole, rows = trained((4,))
    parts, rows_of_parts = trained((1, 1, 2))
    chex.assert_trees_all_equal(whole, parts)
    np.testing.assert_array_equal(rows, rows_of_parts)
    assert rows.shape[1] == 4 and whole.updates.tolist() == [4]


def test_one_trace_for_all_chunks():
    trained((4,))
    trained((1, 1, 2))
    made = program()
    assert made.traces == 1 and made.compile_s > 0
    assert made.compile() is made.compile()
    trained((3,), "gru", seeds=SEEDS, mode="map", same_bits=True)
    assert program("gru", seeds=SEEDS, mode="map", same_bits=True).traces == 1


def test_the_state_is_donated():
    made = program()
    state = made.init()
    made.chunk(state, 1)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    with pytest.raises(RuntimeError, match="deleted"):
        np.asarray(state.updates)


def test_metrics_are_named_rows():
    made = program()
    made.compile()
    _, rows = trained((4,))
    assert list(made.metric_names) == sorted(made.metric_names)
    assert rows.shape == (1, 4, len(made.metric_names))
    named = dict(zip(made.metric_names, rows[0].T, strict=True))
    np.testing.assert_allclose(named["update/learning_rate"], 0.01 * (1 - np.arange(4) / 100), 1e-5)
    assert (named["update/steps_taken"] == 1).all() and (named["update/skipped"] == 0).all()


def test_hyperparameters_are_data():
    made = program()
    state = made.init()
    still = state.hypers.replace(learning_rate=jnp.zeros((1,)))
    before = on_host(state.params)
    after, _ = made.chunk(state.replace(hypers=still), 2)
    chex.assert_trees_all_equal(on_host(after.params), before)
    faster = after.hypers.replace(learning_rate=jnp.full((1,), 0.1))
    after, _ = made.chunk(after.replace(hypers=faster), 1)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), on_host(after.params), before)
    assert min(jax.tree.leaves(moved)) > 0.01
    assert made.traces == 1


def test_more_steps_than_a_word_can_count():
    made = program()
    far = 2**31 // made.algorithm.steps_per_update + 7
    state, rows = made.chunk(made.init().replace(updates=jnp.full((1,), far, jnp.int32)), 2)
    assert state.updates.tolist() == [far + 2]
    assert int(state.updates[0]) * made.algorithm.steps_per_update > 2**31
    assert np.isfinite(on_host(state.params)["params"]["policy_head"]["kernel"]).all()
    rate = np.asarray(rows)[0, :2, made.metric_names.index("update/learning_rate")]
    assert (rate == 0).all()  # the schedule is over


def test_the_state_is_as_announced():
    made = program("gru", devices=2)
    state, announced = made.init(), made.abstract_state()
    assert jax.tree.structure(state) == jax.tree.structure(announced)
    for got, expected in zip(*map(jax.tree.leaves, (state, announced)), strict=True):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        assert got.sharding.is_equivalent_to(expected.sharding, got.ndim)


@pytest.mark.parametrize("updates", [0, MAX_CHUNK + 1])
def test_lengths_of_chunks_are_checked(updates):
    with pytest.raises(ValueError, match=f"chunk of {updates} updates: expected 1 to {MAX_CHUNK}"):
        program().chunk(None, updates)


def test_devices_that_do_not_divide():
    message = "num_envs 16 forms 16 equal blocks.* 3 devices. Devices that work: 1, 2, 4, 8, 16"
    with pytest.raises(UserError, match=message):
        Program(algorithm("none"), ENVS, jax.devices()[:3])


def test_seeds_that_do_not_divide_over_devices():
    message = "seeds_mode devices: 3 seeds do not divide over 4 devices; nearest is 2 seeds"
    with pytest.raises(UserError, match=message):
        Program(algorithm("none"), ENVS, jax.devices()[:4], (0, 1, 2), "devices")
