"""Episodes by stages, on worlds of ours and gymnax's, of one agent and of several."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stage_worlds  # noqa: F401  (registers the worlds)
from envs_jax import AutoReset, make
from envs_jax.autoreset import Start
from envs_jax.central import WithGlobalState
from envs_jax.render import render_frame
from envs_jax.spaces import GLOBAL_STATE
from envs_jax.stages import WithStages, draw

LIMITS = (2, 3, 5)


def staged(name="CartPole-v1", stages=None, moves="drawn", **options):
    world, params = make(name, **options)
    if stages is None:
        stages = [{"max_steps_in_episode": limit} for limit in LIMITS]
    env = WithStages(world, params, stages, moves)
    return env, env.default_params


def keys_of(count, seed=3):
    return jax.random.split(jax.random.key(seed), count)


def roll(env, params, steps, size=16, mode="bank", random_phase=False):
    """Stages before the first step [B], and `steps` steps [T, B]."""
    batch = AutoReset(env, mode, 8)

    @jax.jit
    def run(params):
        start, observation = batch.init(keys_of(size), params, random_phase)
        bank = batch.make_bank(keys_of(size, 7), params)

        def step(state, number):
            keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys_of(size, 8))
            action = batch.sample_actions(keys, params)
            return batch.step(keys, state, action, params, bank)

        return start, jax.lax.scan(step, start, jnp.arange(steps))[1]

    return jax.tree.map(np.asarray, run(params))


@pytest.mark.parametrize("mode", ["full", "bank"])
def test_an_episode_keeps_its_stage_and_has_its_parameters(mode):
    env, params = staged()
    start, steps = roll(env, params, 12, mode=mode)
    # The limits are below what any CartPole falls in, so each stage's episodes have its length.
    for b in range(16):
        stage, age = int(start.world.stage[b]), 0
        for t in range(12):
            age += 1
            assert steps.stage[t, b] == stage
            assert steps.truncated[t, b] == (age == LIMITS[stage])
            if steps.truncated[t, b] and t < 11:
                stage, age = int(steps.stage[t + 1, b]), 0
    assert set(np.unique(steps.stage)) == {0, 1, 2} and not steps.terminated.any()
    assert steps.stage.dtype == np.int32


def test_probabilities_are_data_and_are_met():
    env, params = staged()
    one = chex.assert_max_traces(lambda key, params: env.reset_env(key, params), 1)
    reset = jax.jit(jax.vmap(one, (0, None)))
    for weights in ([1.0, 2.0, 1.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.3], [7.0, 0.0, 0.0]):
        weights = np.array(weights, np.float32)
        _, state = reset(keys_of(4000), params.replace(probabilities=jnp.asarray(weights)))
        shares = np.bincount(state.stage, minlength=3) / 4000
        np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)
        assert (shares[weights == 0] == 0).all()


def test_the_last_weights_of_zero_are_never_drawn(monkeypatch):
    almost_one = np.nextafter(np.float32(1), np.float32(0))
    for weights in ([0.3, 0.1, 0.0], [0.0, 1e-3, 0.0], [0.1] * 7 + [0.0]):
        weights = jnp.asarray(weights, jnp.float32)
        for level in (0.0, almost_one):
            monkeypatch.setattr(jax.random, "uniform", lambda key, level=level: jnp.float32(level))
            assert weights[draw(jax.random.uniform(jax.random.key(0)), weights)] > 0


def test_only_what_stages_change_is_stacked():
    world, params = make("stages/chance")
    env = WithStages(world, params, [{"chance": 0.1}, {}, {"ends": 1.0}])
    staged_params = env.default_params
    assert set(staged_params.stages) == {"chance", "ends"}
    np.testing.assert_allclose(staged_params.stages["chance"], [0.1, 0.5, 0.5])
    np.testing.assert_allclose(staged_params.stages["ends"], [0.5, 0.5, 1.0])
    assert staged_params.stages["chance"].dtype == np.float32
    assert staged_params.base.shared is params.shared
    np.testing.assert_allclose(env.of_stage(0, staged_params).chance, 0.1)


def test_a_single_stage_is_the_world_itself():
    world, params = make("CartPole-v1", max_steps_in_episode=9)
    env, staged_params = staged(stages=[{"max_steps_in_episode": 9}])
    _, ours = roll(env, staged_params, 30, 4)
    _, plain = roll(world, params, 30, 4)
    assert plain.stage is None and (ours.stage == 0).all() and plain.truncated.any()
    chex.assert_trees_all_equal(ours._replace(stage=None), plain)


def test_random_ages_are_below_the_limit_of_the_stage():
    env, params = staged(stages=[{"max_steps_in_episode": limit} for limit in (3, 400)])
    start, _ = roll(env, params, 1, 400, random_phase=True)
    ages, stage = start.world.world.time, start.world.stage
    assert set(np.unique(ages[stage == 0])) == {0, 1, 2}
    assert ages[stage == 1].max() > 350 and len(np.unique(ages[stage == 1])) > 100


@pytest.mark.parametrize("mode", ["full", "bank"])
def test_several_agents_with_a_global_state(mode):
    env, params = staged("stages/pair", [{"chance": 0.0}, {"chance": 1.0}])
    batch = AutoReset(env, mode)
    assert batch.num_agents == 2 and isinstance(batch.env, WithGlobalState)
    start, steps = roll(env, params, 10, mode=mode)
    # The global state, what agents see and success are of the stage that the step was of.
    np.testing.assert_array_equal(steps.final_observation[GLOBAL_STATE][..., 0], steps.stage)
    np.testing.assert_array_equal(steps.final_observation["observation"][..., 0, 0], steps.stage)
    np.testing.assert_array_equal(steps.success, steps.stage == 1)
    following = np.concatenate([steps.stage[1:], np.full((1, 16), -1)])[:-1]
    np.testing.assert_array_equal(steps.observation[GLOBAL_STATE][:-1, :, 0], following)
    assert steps.reward.shape == (10, 16, 2) and len(np.unique(steps.stage)) == 2


def test_groups_are_told_and_may_differ_between_stages():
    stages = [{"group_probabilities": row} for row in ((0.0, 1.0, 1.0), (1.0, 0.0, 0.0))]
    env, params = staged("stages/chance", stages)
    _, steps = roll(env, params, 20)
    assert set(np.unique(steps.group[steps.stage == 0])) == {1, 2}
    assert set(np.unique(steps.group[steps.stage == 1])) == {0}


def test_what_a_step_tells():
    env, params = staged("stages/chance", [{}])
    told = AutoReset(env).told(params)
    assert (told.success.dtype, told.group.dtype, told.stage.dtype) == (bool, jnp.int32, jnp.int32)
    plain, plain_params = make("CartPole-v1")
    told = AutoReset(plain, "bank").told(plain_params)
    assert told.success is None and told.stage is None and told.group is None


def test_it_is_drawn_as_the_world_is():
    world, params = make("CartPole-v1")
    env, staged_params = staged(stages=[{"length": 0.2}, {"length": 0.9}])
    _, state = env.reset_env(jax.random.key(0), staged_params)
    for stage, length in enumerate((0.2, 0.9)):
        frame = render_frame(env, staged_params, state.replace(stage=jnp.int32(stage)))
        expected = render_frame(world, params.replace(length=length), state.world)
        np.testing.assert_array_equal(frame, expected)


# Environments with stages of their own.

UPS, DOWNS = np.array([0.1, 0.4, 0.5]), np.array([0.05, 0.3, 0.4])
RUNGS = [{"up": up, "down": down} for up, down in zip(UPS, DOWNS, strict=True)]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("stages/climb", RUNGS),
        ("stages/chance", [{"chance": 1 - up} for up in UPS]),
        ("stages/pair", [{"chance": 1 - up} for up in UPS]),
    ],
)
def test_an_environment_moves_at_the_end_of_its_episodes(name, stages):
    env, params = staged(name, stages, "own")
    start, steps = roll(env, params, 60, 64, mode="full")
    np.testing.assert_array_equal(steps.stage[0], start.world.stage)
    ended, stage = (steps.terminated | steps.truncated)[:-1], steps.stage[:-1]
    if name == "stages/climb":  # by the stage that the episode was of
        score = steps.final_observation[:-1, :, 0]
        move = (score > UPS[stage]).astype(int) - (score < DOWNS[stage])
    else:
        move = np.where(steps.success[:-1], 1, -1)
    wanted, following = stage + np.where(ended, move, 0), steps.stage[1:]
    through = wanted == 3
    np.testing.assert_array_equal(following[~through], np.maximum(wanted, 0)[~through])
    # Who is through plays any stage.
    shares = np.bincount(following[through], minlength=3) / through.sum()
    assert through.sum() > 200
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)
    assert (wanted == -1).any() and (move[ended] == 1).any() and (move[ended] == -1).any()
    assert (move[ended] == 0).any() == (name == "stages/climb")
    assert steps.stage.dtype == np.int32


def test_an_environment_starts_where_the_probabilities_say():
    env, params = staged("stages/climb", RUNGS, "own")
    params = params.replace(probabilities=np.array([0.25, 0.75, 0.0], np.float32))
    start, _ = roll(env, params, 1, 4000, mode="full")
    shares = np.bincount(start.world.stage, minlength=3) / 4000
    np.testing.assert_allclose(shares, [0.25, 0.75, 0], atol=0.03)


@pytest.mark.parametrize("moves", ["own", "drawn", None])
def test_a_worlds_own_restart_keeps_what_it_keeps(moves):
    world, params = make("stages/climb")
    if moves is not None:
        world, params = staged("stages/climb", RUNGS, moves)
    _, steps = roll(world, params, 40, 32, mode="full")
    assert (steps.group == steps.group[0]).all() and set(np.unique(steps.group)) == {0, 1, 2}
    ended = steps.terminated | steps.truncated
    np.testing.assert_array_equal(steps.observation[..., 1], ended.cumsum(0))
    if moves == "drawn":
        following, before = steps.stage[1:][ended[:-1]], steps.stage[:-1][ended[:-1]]
        assert abs(np.corrcoef(following, before)[0, 1]) < 0.15


def test_bad_moves_are_told_in_one_line():
    for name, moves, message in (
        (
            "CartPole-v1",
            "own",
            "CartPole.* has neither stage_move nor info.'success'.*expected either",
        ),
        ("CartPole-v1", "owm", "moves 'owm': expected one of drawn, own; nearest is 'own'"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            staged(name, moves=moves)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="reset mode 'bank': in Chance an episode depends"):
        AutoReset(staged("stages/chance", [{}], "own")[0], "bank")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "no stages given"),
        ([{"lenght": 1.0}], "has no field 'lenght'"),
        ([{"length": 1.0}, {"length": (1.0, 2.0)}], "values of 'length' do not stack"),
    ],
)
def test_bad_stages_are_told_in_one_line(stages, message):
    with pytest.raises(ValueError, match=message) as error:
        staged(stages=stages)
    assert "\n" not in str(error.value)


def test_start_states_have_a_bank_of_stages():
    env, params = staged()
    bank = AutoReset(env, "bank", 8).make_bank(keys_of(4), params)
    assert isinstance(bank, Start) and bank.world.stage.shape == (8, 4)
    assert len(np.unique(bank.world.stage)) == 3
