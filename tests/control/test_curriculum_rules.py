"""The rules of a curriculum against plain Python, on random streams of episodes."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.stages import StageParams
from rljax.control import CurriculumConfig, Stage, make_curriculum
from rljax.control.counting import HISTORY, measure, start
from rljax.control.curriculum import decide, move
from rljax.control.report import report
from rljax.core.mesh import Shards
from rljax.core.types import EpisodeTotals
from stage_worlds import GROUPS

STEPS, ENVS, BLOCKS = 6, 8, 4
NAMES = ("red", "green", "blue")
WEIGHTS = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 0], [0.5, 0.25, 0.25]], np.float32)


def exactly(number: float) -> Fraction:
    return Fraction(str(number))


class Plain:
    """The same rules, as one would write them down: lists of episodes, exact fractions."""

    def __init__(self, config: CurriculumConfig) -> None:
        self.config, self.stage = config, config.first
        self.since = 0
        self.total = [0] * len(config.stages)
        self.groups = np.zeros((2, len(config.stages), GROUPS), int)  # all, successful
        self.updates = [[] for _ in config.stages]  # per stage: lists of outcomes, newest first
        self.moves: list[tuple[int, int, int, float]] = []
        self.early = self.lifted = 0  # advances that only these rules allowed

    def newest(self, updates: list[list[bool]], least: int) -> tuple[list[bool], list[list[bool]]]:
        """Outcomes of the newest updates that hold `least`, and the updates before those."""
        held: list[bool] = []
        for i, update in enumerate(updates):
            if len(held) >= least:
                return held, updates[i:]
            held = held + update
        return held, []

    def rate(self, stage: int) -> Fraction | None:
        held, _ = self.newest(self.updates[stage], self.config.window)
        return Fraction(sum(held), len(held)) if held else None

    def rises(self, stage: int) -> bool:
        half = math.ceil(self.config.window / 2)
        new, before = self.newest(self.updates[stage], half)
        old, _ = self.newest(before, half)
        if len(new) < half or len(old) < half:
            return False
        rise = Fraction(sum(new), len(new)) - Fraction(sum(old), len(old))
        return rise > exactly(self.config.trend_margin)

    def update(self, episodes: list[tuple[int, int, bool]], number: int) -> None:
        config, here = self.config, self.stage
        for stage in range(len(config.stages)):
            outcomes = [won for s, _, won in episodes if s == stage]
            if outcomes:
                self.updates[stage].insert(0, outcomes)
            self.total[stage] += len(outcomes)
        for stage, group, won in episodes:
            self.groups[:, stage, group] += (1, won)
        self.since += sum(stage == here for stage, _, _ in episodes)
        self.rates = [self.rate(stage) for stage in range(len(config.stages))]
        rate, rules = self.rates[here], config.stages[here]
        if config.fixed is not None or rate is None:
            return
        wanted = usual = exactly(rules.advance_at)
        if self.rises(here):
            wanted -= exactly(config.trend_bonus)
        good = rate >= wanted and self.since >= rules.min_episodes
        if config.early_advance_at is not None and rate >= exactly(config.early_advance_at):
            good = good or self.since >= config.early_min_episodes
        bad = rate < exactly(rules.regress_below) and self.since >= config.regress_min_episodes
        if good and here + 1 < len(config.stages):
            self.early += self.since < rules.min_episodes
            self.lifted += rate < usual
            self.enter(here + 1, number, rate)
        elif bad and not (good and here + 1 < len(config.stages)) and here > 0:
            self.enter(here - 1, number, rate)

    def enter(self, stage: int, number: int, rate: Fraction) -> None:
        self.moves.append((number, self.stage, stage, float(rate)))
        self.stage, self.since, self.updates[stage] = stage, 0, []

    def chances(self) -> list[float]:
        config, here = self.config, self.stage
        chances = [0.0] * len(config.stages)
        earlier = list(range(here)) if config.mixing_over == "earlier" else [here - 1][: here and 1]
        rate = self.rate(here)
        failing = rate is not None and rate < exactly(config.failing_below)
        share = config.mixing_when_failing if failing else config.mixing
        if config.fixed is not None or not earlier:
            share, earlier = 0.0, []
        for stage in earlier:
            chances[stage] = share / len(earlier)
        chances[here] = 1 - share
        return chances


def make_config(**changes):
    stages = [
        Stage(name="a", advance_at=0.6, min_episodes=30),
        Stage(name="b", advance_at=0.5, min_episodes=20, regress_below=0.3),
        Stage(name="c", advance_at=0.8, min_episodes=40, regress_below=0.45),
        Stage(name="d", advance_at=0.7, min_episodes=10, regress_below=0.4),
    ]
    options = {"stages": stages, "window": 21, "early_min_episodes": 12}
    return CurriculumConfig(**(options | {"regress_min_episodes": 25} | changes))


VARIANTS = {
    "all": {},
    "previous": {"mixing_over": "previous", "window": 40, "start": "c"},
    "plain": {"early_advance_at": None, "trend_bonus": 0.0, "window": 2},
    "trend": {"trend_margin": 0.02, "trend_bonus": 0.2, "early_advance_at": None, "window": 30},
    "fixed": {"fixed": "b"},
}


def stream(seed, updates):
    """Per update: what the rollout tells [T, B], most of which is no episode's end."""
    rng = np.random.default_rng(seed)
    for number in range(updates):
        rate = rng.choice([0.02, 0.1, 0.5])
        skill = 0.5 + 0.45 * math.sin(number / 7) * rng.uniform(0.5, 1)
        shape = (STEPS, ENVS)
        yield EpisodeTotals(
            ended=rng.random(shape) < rate,
            total=np.full(shape, np.nan, np.float32),
            length=np.zeros(shape, np.int32),
            success=rng.random(shape) < skill,
            stage=rng.integers(0, 4, shape).astype(np.int32),
            group=rng.integers(0, GROUPS, shape).astype(np.int32),
        )


def mean(values):
    return np.mean(values) if len(values) else math.nan


def recount(plain, stage, group, won):
    """What is told of an update's episodes, in either scope."""
    expected = {"curriculum/level": mean(stage)}
    for i, name in enumerate("abcd"):
        rate = plain.rates[i]
        expected[f"curriculum/success/{name}"] = math.nan if rate is None else float(rate)
        expected[f"curriculum/episodes/{name}"] = (stage == i).sum()
        expected[f"curriculum/share/{name}"] = mean(stage == i)
    for g, name in enumerate(NAMES):
        expected[f"curriculum/group_success/{name}"] = mean(won[group == g])
    return expected


def check_metrics(metrics, expected):
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, atol=1e-6, err_msg=name)


def check_report(config, state, plain, last):
    """Counters as the plain ones say; ``last``: the stages of environments at the end."""
    told = report(config, state, 1000, NAMES)
    assert told["level"] == pytest.approx(last.mean(), abs=1e-6)
    assert list(told["stages"]) == list("abcd")
    for i, stage in enumerate(told["stages"].values()):
        assert stage["episodes"] == plain.total[i]
        assert stage["environments"] == (last == i).sum()
        played, won = plain.groups[:, i]
        assert {name: group["episodes"] for name, group in stage["groups"].items()} == {
            name: n for name, n in zip(NAMES, played, strict=True) if n
        }
        for g, name in enumerate(NAMES):
            if played[g]:
                success = stage["groups"][name]["success"]
                assert success == pytest.approx(won[g] / played[g], abs=1e-6)
    unnamed = report(config, state, 1000)["stages"]["a"]["groups"]
    assert set(unnamed) <= {"0", "1", "2"}


@pytest.mark.parametrize("exact", [False, True])
def test_where_environments_move_by_themselves_it_only_counts(exact):
    config = CurriculumConfig(
        stages=make_config().stages, window=21, scope="environment", start_up_to="c"
    )
    curriculum, plain = make_curriculum(config, ENVS, GROUPS, NAMES), Plain(config)
    shards = Shards(blocks=BLOCKS, exact=exact)

    def by_block(x):
        return x.reshape(STEPS, BLOCKS, -1).swapaxes(0, 1) if exact else x

    update = jax.jit(lambda *args: curriculum.update(*args, shards))
    start = state = jax.device_get(curriculum.init())
    np.testing.assert_allclose(state.probabilities, [1 / 3, 1 / 3, 1 / 3, 0], rtol=1e-6)
    assert state.group_probabilities is None
    plain.enter = lambda *_: None
    for number, episodes in enumerate(stream(0, 60)):
        ended, last = episodes.ended, episodes.stage[-1]
        told = (episodes.stage[ended], episodes.group[ended], episodes.success[ended])
        plain.update(list(zip(*(x.tolist() for x in told), strict=True)), number + 1)
        episodes = jax.tree.map(by_block, episodes)
        state, metrics = jax.device_get(update(state, episodes, jnp.int32(number)))
        check_metrics(metrics, recount(plain, *told))
    check_report(config, state, plain, last)
    assert set(report(config, state, 1000)) == {"level", "stages"}
    np.testing.assert_array_equal(state.probabilities, start.probabilities)
    assert state.stage == state.transitions == 0


def test_environments_start_in_the_first_stage_unless_told_otherwise():
    for options, expected in (
        ({}, [1, 0, 0, 0]),
        ({"start_up_to": "a"}, [1, 0, 0, 0]),
        ({"start_up_to": "d"}, [0.25] * 4),
        ({"fixed": "b"}, [0, 1, 0, 0]),
    ):
        config = CurriculumConfig(stages=make_config().stages, scope="environment", **options)
        np.testing.assert_allclose(make_curriculum(config, ENVS).init().probabilities, expected)


@pytest.mark.parametrize(
    ("variant", "exact"), [*((variant, False) for variant in VARIANTS), ("all", True)]
)
def test_against_plain_python(variant, exact):
    config = make_config(**VARIANTS[variant])
    curriculum, plain = make_curriculum(config, ENVS, GROUPS, NAMES, WEIGHTS), Plain(config)
    shards = Shards(blocks=BLOCKS, exact=exact)
    state = curriculum.init()
    np.testing.assert_allclose(state.probabilities, plain.chances(), atol=1e-6)

    def by_block(x):
        return x.reshape(STEPS, BLOCKS, -1).swapaxes(0, 1) if exact else x

    update = jax.jit(lambda *args: curriculum.update(*args, shards))
    directions = set()
    for number, episodes in enumerate(stream(len(variant) + 2, 200)):
        before = plain.stage
        ended = episodes.ended
        told = (episodes.stage[ended], episodes.group[ended], episodes.success[ended])
        plain.update(list(zip(*(x.tolist() for x in told), strict=True)), number + 1)
        directions.add(plain.stage - before)
        last, episodes = episodes.stage[-1], jax.tree.map(by_block, episodes)
        state, metrics = jax.device_get(update(state, episodes, jnp.int32(number)))
        assert int(state.stage) == plain.stage and int(state.since) == plain.since
        chances = plain.chances()
        np.testing.assert_allclose(state.probabilities, chances, atol=1e-6)
        expected = {"curriculum/stage": plain.stage, "curriculum/mixing": 1 - chances[plain.stage]}
        check_metrics(metrics, expected | recount(plain, *told))
    assert plain.early or variant != "all"
    assert plain.lifted or variant != "trend"
    assert directions == ({0} if variant == "fixed" else {-1, 0, 1})
    check_report(config, state, plain, last)
    told = report(config, state, 1000)
    assert [
        (m["update"], "abcd".index(m["from"]), "abcd".index(m["to"])) for m in told["history"]
    ] == [move[:3] for move in plain.moves]
    rates = [m["success"] for m in told["history"]]
    np.testing.assert_allclose(rates, [move[3] for move in plain.moves], atol=1e-6)
    assert told["transitions"] == len(plain.moves) and told["stage"] == "abcd"[plain.stage]
    assert all(m["env_steps"] == 1000 * m["update"] for m in told["history"])


def test_the_public_systems_rules_can_be_told():
    # N++: ten stages of different thresholds; the tightest is regression right below advancing.
    stages = [Stage(name=f"s{i}", advance_at=0.2, regress_below=0.15) for i in range(3)]
    assert CurriculumConfig(stages=stages).hardest == "s2"


def test_the_history_keeps_the_newest_and_counts_all():
    config = make_config()
    state, rates = start(config), jnp.full(4, 0.5)
    step = jax.jit(move)
    for number in range(HISTORY + 5):
        state = step(state, jnp.int32(1 - 2 * (number % 2)), rates, jnp.int32(number))
        state = step(state, jnp.int32(0), rates, jnp.int32(-1))
    told = report(config, state, 2**20)
    assert told["transitions"] == HISTORY + 5
    assert [m["update"] for m in told["history"]] == list(range(5, HISTORY + 5))
    assert told["history"][0]["from"] == "b" and told["history"][1]["from"] == "a"
    assert told["history"][-1]["env_steps"] == (HISTORY + 4) * 2**20
    # More than a word holds.
    late = state.replace(history=state.history.replace(update=state.history.update + 2**20))
    assert report(config, late, 2**20)["history"][0]["env_steps"] > 2**40


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "groups"])
def test_only_what_it_decides_is_put_into_the_worlds_parameters(weights):
    stages = {"group_probabilities": WEIGHTS, "level": np.arange(4)}
    params = StageParams(base=(), stages=stages, probabilities=np.full(4, 0.25, np.float32))
    curriculum = make_curriculum(make_config(start="c"), ENVS, GROUPS, (), weights)
    state = curriculum.init()
    made = curriculum.apply(params, state)
    np.testing.assert_allclose(made.probabilities, [0.1, 0.1, 0.8, 0], rtol=1e-6)
    assert made.stages["level"] is stages["level"] and params.stages is stages
    groups = WEIGHTS if weights is None else state.group_probabilities
    assert made.stages["group_probabilities"] is groups


def test_counters_stay_at_their_largest():
    config = make_config()
    curriculum = make_curriculum(config, ENVS, GROUPS, NAMES, WEIGHTS)
    state = curriculum.init()
    most = np.iinfo(np.int32).max
    state = state.replace(since=jnp.int32(most - 1), episodes=jnp.full(4, most - 1, jnp.int32))
    ones = np.ones((STEPS, ENVS), bool)
    none = np.zeros((STEPS, ENVS), np.int32)
    episodes = EpisodeTotals(ones, none.astype(np.float32), none, ~ones, none, none)
    state, _ = curriculum.update(state, episodes, jnp.int32(0), Shards())
    assert int(state.since) == most and state.episodes.tolist() == [most] + [most - 1] * 3


def test_what_belongs_nowhere_is_not_counted():
    curriculum = make_curriculum(make_config(), ENVS, GROUPS, NAMES, WEIGHTS)
    ones = np.ones((STEPS, ENVS), bool)
    none = np.zeros((STEPS, ENVS), np.int32)
    beyond = EpisodeTotals(ones, none.astype(np.float32), none, ones, none + 9, none)
    outside = beyond.replace(stage=none, group=none - 1)
    for episodes, counted in ((beyond, 0), (outside, STEPS * ENVS)):
        state, _ = curriculum.update(curriculum.init(), episodes, jnp.int32(0), Shards())
        assert state.groups.played.sum() == 0 and state.episodes.sum() == counted


def test_nothing_is_decided_on_nothing():
    config = make_config(regress_min_episodes=1)
    state = start(config).replace(stage=jnp.int32(2), since=jnp.int32(10**6))
    window = measure(state, config.window)
    assert np.isnan(window.rate).all() and int(decide(config, state, window)) == 0
