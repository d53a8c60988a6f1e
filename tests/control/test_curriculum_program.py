"""A curriculum in the program: devices, exact sums, members, chunks; with PPO and with HAPPO.

Success in these worlds does not depend on the policy, so the last bits of parameters do not decide
any stage, and histories must be equal on any number of devices.
"""

from __future__ import annotations

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stage_worlds  # noqa: F401  (registers the worlds)
from helpers import EXACT
from rljax.control import CurriculumConfig, Stage
from rljax.control.report import report
from rljax.core.config import merge
from rljax.networks import NetworkConfig
from rljax.training.build import make_algorithm, make_env
from rljax.training.config import Config, EnvConfig
from rljax.training.program import Program

ENVS, LENGTH = 16, 8
# Easy, middling, hopeless: up and down for ever.
CHANCES = {"easy": 0.8, "middling": 0.75, "hopeless": 0.1}


def curriculum(**changes):
    stages = [
        Stage(
            name=name,
            params={"chance": chance, "group_probabilities": weights},
            advance_at=0.7,
            min_episodes=150,
            regress_below=0.3,
        )
        for (name, chance), weights in zip(
            CHANCES.items(), ((1.0, 1.0, 1.0), (0.0, 1.0, 3.0), (1.0, 1.0, 0.0)), strict=True
        )
    ]
    return CurriculumConfig(
        stages=stages, window=30, early_advance_at=None, regress_min_episodes=200, **changes
    )


def config(**changes):
    base = Config(
        env=EnvConfig(name="stages/chance"),
        num_envs=ENVS,
        network=NetworkConfig(hidden_sizes=(4,)),
        curriculum=curriculum(),
    )
    small = {"rollout_length": LENGTH, "epochs": 1, "minibatches": 1}
    return merge(base, {"ppo": small} | changes)


# Up in three of four episodes at first, in one of four at last.
LEVELS = {f"level{i}": {"up": up, "down": 0.2} for i, up in enumerate((0.25, 0.5, 0.75))}


def climbing(**changes):
    """A run whose environments move by themselves."""
    own = CurriculumConfig(
        stages=[Stage(name=name, params=params) for name, params in LEVELS.items()],
        scope="environment",
    )
    plain = merge(config(), {"curriculum": None})
    climb = {"env": {"name": "stages/climb", "reset": "full"}}
    return merge(dataclasses.replace(plain, curriculum=own), climb | changes)


@functools.cache
def program(world="stages/chance", devices=1, members=1, exact=False):
    own = world == "stages/climb"
    algorithm = make_algorithm(climbing() if own else config(env={"name": world}))
    seeds = tuple(range(members))
    made = Program(algorithm, ENVS, jax.devices()[:devices], seeds, "map", exact)
    made.compiler_options = EXACT if exact else {}
    return made


@functools.cache
def trained(chunks, **settings):
    """Curriculum and parameters of the network (on the host) and metrics, after chunks."""
    made = program(**settings)
    state, rows = made.init(), []
    for length in chunks:
        state, metrics = made.chunk(state, length)
        rows.append(np.asarray(metrics)[:, :length])
    host = jax.tree.map(np.asarray, (state.curriculum, state.params))
    return *host, np.concatenate(rows, 1)


def history(state, member=0):
    state = jax.tree.map(lambda x: x[member], state)
    return report(config().curriculum, state, ENVS * LENGTH)


def test_it_goes_up_and_down_and_mixes():
    state, _, rows = trained((60,))
    told = history(state)
    moves = [(move["from"], move["to"]) for move in told["history"]]
    assert moves[:3] == [("easy", "middling"), ("middling", "hopeless"), ("hopeless", "middling")]
    assert ("middling", "easy") not in moves and told["stages"]["hopeless"]["success"] < 0.3
    assert len(moves) >= 4
    named = dict(zip(program().metric_names, rows[0].T, strict=True))
    stage = named["curriculum/stage"]
    assert set(stage) == {0, 1, 2}
    # 0.2 of episodes begin in earlier stages, 0.4 while a stage fails.
    np.testing.assert_allclose(named["curriculum/mixing"][stage == 0], 0)
    assert set(np.round(named["curriculum/mixing"][stage == 2], 5)) == {
        np.float32(0.2),
        np.float32(0.4),
    }
    np.testing.assert_allclose(state.probabilities.sum(), 1, rtol=1e-6)
    # The episodes are where the probabilities say.
    played = np.stack([named[f"curriculum/episodes/{name}"] for name in CHANCES])
    failing = played[:, (stage == 2) & (np.roll(stage, 4) == 2)].sum(1)
    np.testing.assert_allclose(failing[2] / failing.sum(), 0.62, atol=0.15)
    assert history(state)["stages"]["easy"]["episodes"] == played[0].sum()


def test_groups_are_sampled_alike_where_a_stage_has_them():
    state, _, _ = trained((60,))
    groups = state.groups.played[0]
    shares = groups / groups.sum(1, keepdims=True)
    expected = np.array([[1 / 3, 1 / 3, 1 / 3], [0, 0.25, 0.75], [0.5, 0.5, 0]])
    np.testing.assert_allclose(shares, expected, atol=0.03)
    assert (groups[expected == 0] == 0).all()
    chances = state.group_probabilities[0]
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    assert (chances[expected == 0] == 0).all()


def test_same_history_on_eight_devices():
    one, _, rows = trained((30,))
    many, _, rows_of_many = trained((30,), devices=8)
    chex.assert_trees_all_equal(one, many)
    places = [i for i, n in enumerate(program().metric_names) if n.startswith("curriculum/")]
    np.testing.assert_allclose(rows[..., places], rows_of_many[..., places], rtol=1e-6)
    assert history(one)["transitions"] >= 2


@pytest.mark.slow
def test_exact_is_the_same_bits_and_the_same_run():
    one, *rest = trained((30,), exact=True)
    many, *rest_of_many = trained((30,), exact=True, devices=8)
    chex.assert_trees_all_equal((one, rest), (many, rest_of_many))
    chex.assert_trees_all_equal(one, trained((30,))[0])


@pytest.mark.slow
def test_members_have_curricula_of_their_own():
    together, _, _ = trained((30,), members=2)
    alone, _, _ = trained((30,))
    chex.assert_trees_all_equal(jax.tree.map(lambda x: x[0], together), _first(alone))
    assert history(together, 0)["history"] != history(together, 1)["history"]


def _first(tree):
    return jax.tree.map(lambda x: x[0], tree)


def test_chunks_of_any_length_are_the_same_run():
    chex.assert_trees_all_equal(trained((30,)), trained((1, 7, 22)))
    assert program().traces == 1


def test_several_agents_have_a_curriculum_too():
    state, _, rows = trained((40,), world="stages/pair")
    moves = [(move["from"], move["to"]) for move in history(state)["history"]]
    assert moves[:3] == [("easy", "middling"), ("middling", "hopeless"), ("hopeless", "middling")]
    named = dict(zip(program(world="stages/pair").metric_names, rows[0].T, strict=True))
    assert "agent0/policy_loss" in named and set(named["curriculum/stage"]) == {0, 1, 2}


CLIMB = {"world": "stages/climb"}


def test_environments_climb_by_themselves():
    state, _, rows = trained((40,), **CLIMB)
    named = dict(zip(program(**CLIMB).metric_names, rows[0].T, strict=True))
    assert not {"curriculum/stage", "curriculum/mixing"} & set(named)
    level, shares = named["curriculum/level"], [named[f"curriculum/share/{n}"] for n in LEVELS]
    assert level[0] + 0.1 < level[-20:].mean() and shares[0][0] > shares[2][0]
    np.testing.assert_allclose(sum(shares), 1, rtol=1e-5)
    np.testing.assert_allclose(level, shares[1] + 2 * shares[2], rtol=1e-5)
    told = report(climbing().curriculum, _first(state), 1, ("flat", "steps", "gaps"))
    assert sum(stage["environments"] for stage in told["stages"].values()) == ENVS
    for i, (name, stage) in enumerate(told["stages"].items()):
        assert stage["episodes"] == named[f"curriculum/episodes/{name}"].sum() > 100
        groups = stage["groups"].values()
        assert sum(group["episodes"] for group in groups) == stage["episodes"]
        success = sum(group["episodes"] * group["success"] for group in groups)
        np.testing.assert_allclose(success / stage["episodes"], 0.75 - 0.25 * i, atol=0.06)
    assert "curriculum/group_success/gaps" in named


def test_environments_climb_alike_on_eight_devices():
    one, _, rows = trained((20,), **CLIMB)
    many, _, rows_of_many = trained((20,), devices=8, **CLIMB)
    chex.assert_trees_all_equal(one, many)
    names = program(**CLIMB).metric_names
    places = [i for i, n in enumerate(names) if n.startswith("curriculum/")]
    np.testing.assert_allclose(rows[..., places], rows_of_many[..., places], rtol=1e-6)


@pytest.mark.slow
def test_environments_climb_alike_where_it_is_exact():
    one, *rest = trained((20,), exact=True, **CLIMB)
    many, *rest_of_many = trained((20,), exact=True, devices=8, **CLIMB)
    chex.assert_trees_all_equal((one, rest), (many, rest_of_many))
    chex.assert_trees_all_equal(one, trained((20,), **CLIMB)[0])


@pytest.mark.slow
def test_environments_of_members_climb_apart():
    together, _, _ = trained((20,), members=2, **CLIMB)
    alone, _, _ = trained((20,), **CLIMB)
    chex.assert_trees_all_equal(_first(together), _first(alone))
    assert (together.episodes[0] != together.episodes[1]).any()


def test_environments_stay_in_a_fixed_stage():
    fixed = merge(climbing(), {"curriculum": {"fixed": "level1"}})
    for made in (make_env(fixed)[0], make_env(climbing(), "level1")[0]):
        assert made.env.moves == "drawn"
    assert make_env(climbing())[0].env.moves == "own"
    assert (begun(fixed).actors.env_state.world.stage == 1).all()


def test_environments_start_up_to_a_stage():
    spread = begun(merge(climbing(), {"curriculum": {"start_up_to": "level1"}}), 1024)
    shares = np.bincount(spread.actors.env_state.world.stage, minlength=3) / 1024
    np.testing.assert_allclose(shares, [0.5, 0.5, 0], atol=0.05)
    assert (begun(climbing()).actors.env_state.world.stage == 0).all()


def begun(config, num_envs=ENVS):
    made = make_algorithm(merge(config, {"num_envs": num_envs}))
    return jax.jit(made.init)(jax.random.key(0), jnp.arange(num_envs))


def test_a_fixed_stage_is_all_there_is():
    fixed = merge(config(), {"curriculum": {"fixed": "middling"}})
    start = begun(fixed)
    np.testing.assert_array_equal(start.curriculum.probabilities, [0, 1, 0])
    assert (start.actors.env_state.world.stage == 1).all()
    begins = merge(config(), {"curriculum": {"start": "middling"}})
    start = begun(begins)
    np.testing.assert_allclose(start.curriculum.probabilities, [0.2, 0.8, 0])
    assert int(start.curriculum.stage) == 1


def test_evaluations_are_of_the_stage_asked_for():
    for stage, expected in (("easy", [1, 0, 0]), ("hopeless", [0, 0, 1])):
        _, params = make_env(config(), stage)
        np.testing.assert_array_equal(params.probabilities, expected)
    assert config().curriculum.hardest == "hopeless"
    assert curriculum(fixed="middling").hardest == "middling"


@pytest.mark.parametrize("exact", [False, True])
def test_a_run_without_a_curriculum_has_no_trace_of_it(exact):
    plain = merge(config(), {"curriculum": None, "exact": exact})
    algorithm = make_algorithm(plain)
    state = jax.eval_shape(lambda: algorithm.init(jax.random.key(0), jnp.arange(ENVS)))
    assert state.curriculum is None
    made = Program(algorithm, ENVS, jax.devices()[:1], (0,), "vmap", exact)
    names = jax.eval_shape(lambda s: algorithm.update(s, made.shards), state)[1]
    assert not any("curriculum" in name for name in names)
