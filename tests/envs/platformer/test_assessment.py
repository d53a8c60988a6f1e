"""Suites of levels: what came of a level, and the measures, from plays that are told by hand."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from envs_jax.platformer.assessment import OUTCOMES, Play, play_levels
from envs_jax.platformer.baselines import greedy, uniform
from envs_jax.platformer.report import judge, write_report
from platformer_rooms import rooms

RIGHT = 2


@pytest.fixture(scope="module")
def world():
    return rooms()


def run_right(carry, observation, reset, key):
    return carry + 1, jnp.full(reset.shape, RIGHT)


@pytest.fixture(scope="module")
def right(world):
    """Everybody runs to the right; the time limit is too short for the longest level."""
    env, params, *_ = world
    params = params.replace(max_steps_in_episode=60)
    return env, params, play_levels(env, params, run_right, jnp.zeros(6, jnp.int32))


def test_what_came_of_each_level(right):
    env, _, play = right
    names = [OUTCOMES[outcome] for outcome in play.outcome]
    assert names[:5] == ["won", "won", "won", "mine", "won"]
    assert play.trail.shape == (61, 6, 2)
    np.testing.assert_array_equal(play.steps[play.outcome == 1], 60)
    # A level is over on its last frame, which is within its last step.
    assert ((play.frames <= 4 * play.steps) & (play.frames > 4 * (play.steps - 1))).all()
    np.testing.assert_array_equal(play.worlds.exit_active[:3], True)
    # Along flat ground the way there is what was walked.
    assert play.travelled[0] == pytest.approx(float(env.course.paths.total[0]), abs=30.0)


def test_a_death_that_a_jump_avoids_is_avoidable(right):
    assert right[2].avoidable.tolist() == [False, False, False, True, False, False]


def test_the_carry_is_carried(world):
    env, params, *_ = world
    seen = []

    def act(carry, observation, reset, key):
        jax.debug.callback(lambda c, r: seen.append((int(c), bool(r.all()))), carry, reset)
        return carry + 1, jnp.zeros(reset.shape, jnp.int32)

    play = play_levels(env, params.replace(max_steps_in_episode=20), act, jnp.int32(0))
    jax.effects_barrier()
    assert sorted(seen)[:3] == [(0, True), (1, False), (2, False)]
    assert (play.outcome == 1).all()
    assert (play.steps == 20).all()


def told(course, outcome, frames, avoidable, travelled):
    count = len(course.frames)
    return Play(
        outcome=np.array(outcome),
        frames=np.array(frames),
        avoidable=np.array(avoidable, bool),
        travelled=np.array(travelled, float),
        trail=np.zeros((2, count, 2), np.float32),
        steps=np.ones(count, int),
        worlds=None,
    )


def test_measures_by_hand(world):
    course = world[0].course  # plain: 3 levels, mined: 3; a good player needs 100 frames
    total = np.asarray(course.paths.total)
    play = told(
        course, [0, 0, 1, 2, 3, 2], [200, 50, 240, 80, 90, 80], [0, 0, 0, 1, 0, 1], 2 * total
    )
    result = judge(play, course)
    plain, mined = result["categories"]["plain"], result["categories"]["mined"]
    assert plain["success"] == pytest.approx(2 / 3)
    assert plain["efficiency"] == pytest.approx(0.75)  # quicker than good counts as 1
    assert plain["path_optimality"] == pytest.approx(0.5)
    assert plain["safety"] == 1.0
    assert plain["timeout"] == pytest.approx(1 / 3)
    assert mined["success"] == 0.0
    assert mined["efficiency"] is None
    assert mined["safety"] == pytest.approx(1 / 3)
    assert (mined["mine"], mined["impact"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert result["overall"]["success"] == pytest.approx(1 / 3)
    assert result["robustness"] == pytest.approx(1 / (1 + 1 / 9))
    assert result["worst_category"] == "mined"
    assert result["generators"]["short"]["levels"] == 2


def test_measures_are_bounded_whatever_happened(world):
    course = world[0].course
    rng = np.random.default_rng(0)
    for _ in range(50):
        count = len(course.frames)
        outcome = rng.integers(0, 4, count)
        avoidable = (outcome >= 2) & (rng.random(count) < 0.5)
        frames, way = rng.integers(1, 4000, count), rng.random(count) * 5000
        result = judge(told(course, outcome, frames, avoidable, way), course)
        for row in (result["overall"], *result["categories"].values()):
            assert all(v is None or 0 <= v <= 1 for k, v in row.items() if k != "levels")


def test_a_report_has_numbers_and_pictures(right, tmp_path):
    env, _, play = right
    results = {"right": judge(play, env.course)}
    write_report(tmp_path, results, play, lambda level: np.zeros((8, 8, 3), np.uint8))
    assert json.loads((tmp_path / "suite.json").read_text()) == results
    text = (tmp_path / "report.md").read_text()
    assert "| mined | 3 |" in text
    assert "levels 3 (mine)." in text
    assert Image.open(tmp_path / "failures.png").size == (8, 8)


def test_a_category_alone_is_a_course_of_its_own(world):
    course = world[0].course
    mined = course.only("mined")
    assert mined.categories == ("mined",) * 3
    np.testing.assert_array_equal(mined.group_first, [0, 1, 2])
    np.testing.assert_array_equal(mined.levels.spawn, course.levels.spawn[3:])
    assert [mined.group_of(level) for level in range(3)] == [0, 1, 2]


def test_greedy_wins_what_has_no_mines_and_random_takes_what_is_allowed(world):
    env, params, *_ = world
    play = play_levels(
        env, params, lambda carry, seen, reset, key: (carry, greedy(seen, key)), None
    )
    assert (play.outcome[:3] == 0).all()
    mask = np.array([[True, False, True, False, False, False]] * 200)
    actions = uniform({"action_mask": jnp.asarray(mask)}, jax.random.key(0))
    assert set(np.unique(actions)) == {0, 2}
