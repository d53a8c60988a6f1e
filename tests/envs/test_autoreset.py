"""AutoReset on a world small enough to be followed by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from jax.sharding import AxisType, PartitionSpec

from envs_jax import AutoReset, make, spaces
from envs_jax.base import Environment, EnvParams, EnvState

LEFT, STAY, WIN = 0, 1, 2  # end it in failure, go on, end it in success


@struct.dataclass
class State(EnvState):
    number: jax.Array


@struct.dataclass
class Params(EnvParams):
    max_steps_in_episode: int = 4


class Ticket(Environment[State, Params]):
    """Each episode has a number drawn at its start; the observation is (number, time)."""

    @property
    def default_params(self):
        return Params()

    def reset_env(self, key, params):
        state = State(time=0, number=jax.random.uniform(key))
        return self.observe(key, state, None, params), state

    def step_env(self, key, state, action, params):
        state = state.replace(time=state.time + 1)
        observation = self.observe(key, state, action, params)
        info = {"success": action == WIN}
        return observation, state, state.time, action != STAY, info

    def observe(self, key, state, action, params):
        return {"number": state.number, "time": jnp.asarray(state.time)}

    def action_space(self, params):
        return spaces.Discrete(3)

    def observation_space(self, params):
        return spaces.Dict({"number": spaces.Box(0, 1, ()), "time": spaces.Box(0, 4, ())})


def roll(batch, keys, actions, params=None):
    """Steps of `actions` [T, B] from a fresh start; also the bank that was used."""
    params = batch.env.default_params if params is None else params
    state, first = batch.init(keys, params)
    bank = batch.make_bank(jax.vmap(lambda key: jax.random.fold_in(key, 7))(keys), params)
    step = lambda state, action: batch.step(keys, state, action, params, bank)
    _, steps = jax.lax.scan(step, state, jnp.asarray(actions))
    return first, steps, bank


def keys_of(count):
    return jax.random.split(jax.random.key(3), count)


def test_resets_take_the_bank_in_turn():
    # Environment 0 ends at every step, environment 1 at the limit of 4 steps, with 2 entries.
    actions = np.array([[LEFT, STAY]] * 12)
    first, steps, bank = roll(AutoReset(Ticket(), "bank", 2), keys_of(2), actions)

    numbers = np.asarray(bank.observation["number"])
    assert len(set(numbers.ravel())) == 4
    expected_0 = numbers[np.arange(12) % 2, 0]
    np.testing.assert_array_equal(steps.observation["number"][:, 0], expected_0)
    expected_1 = [*[first["number"][1]] * 3, *[numbers[0, 1]] * 4, *[numbers[1, 1]] * 4]
    np.testing.assert_array_equal(steps.observation["number"][:11, 1], np.array(expected_1))
    assert steps.observation["number"][11, 1] == numbers[0, 1]
    np.testing.assert_array_equal(steps.observation["time"][:, 1], [1, 2, 3, 0] * 3)


@pytest.mark.parametrize("mode", ["full", "bank"])
def test_final_observation_is_what_the_action_led_to(mode):
    first, steps, _ = roll(AutoReset(Ticket(), mode), keys_of(1), [[STAY], [LEFT], [STAY]])

    np.testing.assert_array_equal(steps.final_observation["time"][:, 0], [1, 2, 1])
    np.testing.assert_array_equal(steps.observation["time"][:, 0], [1, 0, 1])
    before, after, later = steps.final_observation["number"][:, 0]
    assert before == after == first["number"][0] != later == steps.observation["number"][1, 0]
    np.testing.assert_array_equal(steps.reward[:, 0], [1.0, 2.0, 1.0])
    assert steps.reward.dtype == jnp.float32  # the world pays in int32


@pytest.mark.parametrize("mode", ["full", "bank"])
def test_terminated_truncated_and_success(mode):
    actions = [[STAY, STAY]] * 3 + [[STAY, WIN]] + [[WIN, LEFT]]
    _, steps, _ = roll(AutoReset(Ticket(), mode), keys_of(2), actions)

    np.testing.assert_array_equal(steps.terminated[:, 0], [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(steps.truncated[:, 0], [0, 0, 0, 1, 0])
    np.testing.assert_array_equal(steps.success[:, 0], [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(steps.terminated[:, 1], [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(steps.truncated[:, 1], [0, 0, 0, 1, 0])  # both at once
    np.testing.assert_array_equal(steps.success[:, 1], [0, 0, 0, 1, 0])
    chex.assert_type([steps.terminated, steps.truncated, steps.success], bool)


def test_worlds_without_success_report_none():
    env, params = make("CartPole-v1")
    _, steps, _ = roll(AutoReset(env), keys_of(2), np.zeros((2, 2), int), params)
    assert steps.success is None


def test_environments_do_not_depend_on_their_batch():
    batch = AutoReset(Ticket(), "bank", 3)
    actions = np.random.default_rng(0).integers(0, 3, (10, 8))
    keys = keys_of(8)
    together = roll(batch, keys, actions)
    halves = [roll(batch, keys[half], actions[:, half]) for half in (np.s_[:4], np.s_[4:])]

    first, steps, bank = (
        jax.tree.map(lambda a, b, axis=axis: jnp.concatenate((a, b), axis), *parts)
        for axis, parts in zip((0, 1, 1), zip(*halves, strict=True), strict=True)
    )
    chex.assert_trees_all_equal(together, (first, steps, bank))


def test_sharded_is_the_same():
    batch = AutoReset(Ticket(), "bank", 3)
    actions = np.random.default_rng(0).integers(0, 3, (10, 8))
    devices = jax.devices()[: 8 if jax.device_count() >= 8 else 1]
    mesh = jax.make_mesh((len(devices),), ("data",), (AxisType.Auto,), devices=devices)
    by_row, by_column = PartitionSpec("data"), PartitionSpec(None, "data")
    sharded = jax.shard_map(
        lambda keys, actions: roll(batch, keys, actions),
        mesh=mesh,
        in_specs=(by_row, by_column),
        out_specs=(by_row, by_column, by_column),
        check_vma=False,
    )
    whole = jax.jit(lambda keys, actions: roll(batch, keys, actions))
    chex.assert_trees_all_equal(jax.jit(sharded)(keys_of(8), actions), whole(keys_of(8), actions))


def test_one_trace_from_the_first_step_on():
    env, params = make("Pendulum-v1")  # its resets are weakly typed, its steps are not
    batch = AutoReset(env)
    step = jax.jit(chex.assert_max_traces(batch.step, n=1))
    keys = keys_of(2)
    state, _ = batch.init(keys, params)
    for _ in range(3):
        state, _ = step(keys, state, jnp.zeros((2, 1)), params)


def test_random_phase_is_uniform_and_keeps_the_rest():
    batch, params = AutoReset(Ticket()), Params(max_steps_in_episode=4)
    keys = keys_of(400)
    state, observation = batch.init(keys, params, random_phase=True)
    plain, _ = batch.init(keys, params)

    ages = np.bincount(state.world.time, minlength=4)
    assert len(ages) == 4 and ages.min() > 60  # 100 each on average, deviation 9
    np.testing.assert_array_equal(observation["time"], state.world.time)  # time is observed
    np.testing.assert_array_equal(state.world.number, plain.world.number)
    assert state.world.time.dtype == plain.world.time.dtype
    assert abs(np.corrcoef(state.world.time, state.world.number)[0, 1]) < 0.2


def test_random_phase_needs_a_limit():
    @struct.dataclass
    class Endless:
        pass

    with pytest.raises(ValueError, match=r"random_phase: Ticket has no .*max_steps_in_episode"):
        AutoReset(Ticket()).init(keys_of(2), Endless(), random_phase=True)


def test_scalar_observation_becomes_one_hot():
    env, params = make("FrozenLake-misc")
    batch = AutoReset(env)
    _, observation = batch.init(keys_of(2), params)
    np.testing.assert_array_equal(observation, np.eye(16, dtype=np.float32)[[0, 0]])
    assert batch.observation_space(params).shape == (16,)
    assert batch.action_space(params).n == 4


def test_full_mode_has_no_bank():
    batch = AutoReset(Ticket())
    assert batch.make_bank(keys_of(2), Params()) is None
    assert batch.init(keys_of(2), Params())[0].cursor is None


class Following(Ticket):
    """An episode's number is one more than that of the episode before."""

    def restart_env(self, key, state, params):
        state = State(time=0, number=state.number + 1)
        return self.observe(key, state, None, params), state


class AsReset(Ticket):
    def restart_env(self, key, state, params):
        return self.reset_env(key, params)


def test_an_episode_may_follow_from_the_one_before():
    actions = np.random.default_rng(0).integers(0, 3, (12, 8))
    first, steps, _ = roll(AutoReset(Following()), keys_of(8), actions)
    ended = np.asarray(steps.terminated | steps.truncated)
    np.testing.assert_allclose(
        steps.observation["number"], first["number"] + ended.cumsum(0), rtol=1e-6
    )
    np.testing.assert_array_equal(steps.observation["time"][ended], 0)
    assert (steps.final_observation["time"][ended] > 0).all()
    # What ends it and what led to the end are told as ever.
    plain = roll(AutoReset(Ticket()), keys_of(8), actions)[1]
    chex.assert_trees_all_equal(
        (steps.reward, steps.terminated, steps.truncated, steps.success),
        (plain.reward, plain.terminated, plain.truncated, plain.success),
    )


def test_a_restart_has_the_key_of_a_reset():
    actions = np.random.default_rng(0).integers(0, 3, (12, 8))
    chex.assert_trees_all_equal(
        roll(AutoReset(AsReset()), keys_of(8), actions),
        roll(AutoReset(Ticket()), keys_of(8), actions),
    )


def test_bad_arguments():
    with pytest.raises(ValueError, match="'banks'.*nearest is 'bank'"):
        AutoReset(Ticket(), "banks")
    for size in (0, 2.0, True):
        with pytest.raises(ValueError, match="bank_size"):
            AutoReset(Ticket(), "bank", size)
    with pytest.raises(ValueError, match="object has no default_params, step"):
        AutoReset(object())
    with pytest.raises(ValueError, match="'bank': in Following .*restart_env.*expected 'full'"):
        AutoReset(Following(), "bank")
    batch = AutoReset(Ticket(), "bank")
    state, _ = batch.init(keys_of(2), Params())
    with pytest.raises(ValueError, match="make_bank"):
        batch.step(keys_of(2), state, jnp.zeros(2, int), Params())
