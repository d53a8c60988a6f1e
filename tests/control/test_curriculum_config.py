"""What a curriculum's config refuses, in one line each; and what it keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import stage_worlds
from rljax.core.config import from_dict, merge, parse_overrides, to_dict
from rljax.core.errors import UserError
from rljax.training import staging
from rljax.training.build import make_algorithm, make_env
from rljax.training.config import Config

STAGES = [{"name": "simple", "params": {"chance": 0.9}}, {"name": "hard", "regress_below": 0.2}]


OWN = {"scope": "environment"}


def config(name="stages/chance", curriculum=None, **changes):
    curriculum = {"stages": STAGES} | (curriculum or {})
    return from_dict(Config, {"env": {"name": name}, "curriculum": curriculum} | changes)


def stages(**changes):
    return {"stages": [STAGES[0], STAGES[1] | changes]}


def test_it_survives_being_stored():
    made = config(curriculum={"fixed": "hard"})
    assert from_dict(Config, to_dict(made)) == made and hash(made) == hash(
        config(curriculum={"fixed": "hard"})
    )
    options = ["--curriculum.fixed", "simple", "--curriculum.window=20"]
    changed = merge(made, parse_overrides(options, Config))
    assert changed.curriculum.fixed == "simple" and changed.curriculum.window == 20
    assert changed.curriculum.stages == made.curriculum.stages


@pytest.mark.parametrize(
    ("curriculum", "message"),
    [
        ({"stages": []}, "curriculum.stages: got .*length >= 1"),
        ({"stages": [STAGES[0], STAGES[0]]}, "two are called 'simple'"),
        ({"start": "simpel"}, "start: no stage is called 'simpel'.*Did you mean 'simple'"),
        ({"fixed": "herd"}, "fixed: no stage is called 'herd'.*Did you mean 'hard'"),
        (
            {"fixed": "hard", "start": "simple"},
            "start 'simple' and fixed 'hard': expected only one",
        ),
        ({"mixing": 1.5}, r"curriculum.mixing: got 1.5, expected float in \[0, 1\]"),
        ({"mixing_over": "prevous"}, "Did you mean 'previous'"),
        ({"window": 1}, "curriculum.window: got 1, expected int >= 2"),
        ({"windw": 1}, "unknown option 'curriculum.windw'. Did you mean 'curriculum.window'"),
        (stages(advance_at=0.5, regress_below=0.46), "'hard': regress_below 0.46.*at most 0.45"),
        (stages(name="very hard"), r"curriculum.stages\[1\].name: got 'very hard'"),
        (stages(advance=0.5), "advance"),
        ({"scope": "world"}, "curriculum.scope: got 'world', expected run | environment"),
        ({"start_up_to": "simple"}, "start_up_to 'simple' is for scope 'environment'"),
        (OWN | {"start_up_to": "herd"}, "start_up_to: no stage is called 'herd'.*'hard'"),
        (OWN | {"mixing": 0.3}, "mixing 0.3 is for scope 'run' and has no .*; expected 0.2"),
        (OWN | {"early_advance_at": None}, "early_advance_at None is for .*; expected 0.9"),
        (
            OWN | {"start": "hard"},
            "start 'hard' is for scope 'run' .*expected None, or start_up_to",
        ),
        (
            OWN | {"fixed": "hard", "start_up_to": "hard"},
            "start_up_to 'hard' and fixed 'hard': expected only one",
        ),
    ],
)
def test_bad_curricula_are_told_in_one_line(curriculum, message):
    with pytest.raises(UserError, match=message) as error:
        config(curriculum=curriculum)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"curriculum": stages(params={"chanse": 0.5})},
            "curriculum stage 'hard': stages/chance has no parameter 'chanse'.*nearest is chance",
        ),
        (
            {"curriculum": stages(params={"chance": "often"})},
            "curriculum stage 'hard': .*'chance' is 'often': expected float",
        ),
        (
            {"curriculum": stages(params={"group_probabilities": (0.0, 0.0, 0.0)})},
            r"stage 'hard': group_probabilities \[0.0, 0.0, 0.0\]; expected numbers >= 0",
        ),
        ({"name": "CartPole-v1", "curriculum": {"stages": [{"name": "a"}]}}, "CartPole.*'success'"),
        (
            {"env": {"name": "stages/chance", "params": {"tells": "success"}}},
            "curriculum.stratify: Chance .*gives no info.'group'",
        ),
        (
            {"curriculum": OWN},
            "reset mode 'bank': in Chance an episode depends on the one before.*expected 'full'",
        ),
        (
            {"env": {"name": "stages/chance", "params": {"tells": "group"}}, "curriculum": OWN},
            "moves 'own': Chance has neither stage_move nor info.'success'",
        ),
    ],
)
def test_worlds_that_do_not_fit_are_told_in_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        make_algorithm(config(**changes))
    assert "\n" not in str(error.value)


def test_groups_are_known_by_their_names_or_by_their_parameter(monkeypatch):
    climb = from_dict(
        Config,
        {
            "env": {"name": "stages/climb", "reset": "full"},
            "curriculum": {"stages": [{"name": "a"}, {"name": "b"}], "stratify": False} | OWN,
        },
    )

    def groups(names):
        monkeypatch.setattr(stage_worlds.Climb, "group_names", names)
        init = make_algorithm(climb).init
        state = jax.eval_shape(lambda: init(jax.random.key(0), jnp.arange(4)))
        return state.curriculum.groups.played.shape, state.curriculum.group_probabilities

    assert groups(("x", "y", "z")) == groups(()) == ((2, 3), None)
    with pytest.raises(UserError, match="Climb has 3 groups and 2 group_names"):
        groups(("x", "y"))
    monkeypatch.setattr(staging, "_number_of_groups", lambda params: 0)  # no such parameter
    assert groups(("x", "y")) == ((2, 2), None)


def test_stages_of_other_runs():
    with pytest.raises(UserError, match="no stage is called 'hrd'.*Did you mean 'hard'"):
        make_env(config(), "hrd")
    with pytest.raises(UserError, match="the run has no curriculum"):
        make_env(from_dict(Config, {"env": {"name": "stages/chance"}}), "hard")
    with pytest.raises(UserError, match="evaluation.every_stage: there is no curriculum"):
        from_dict(Config, {"env": {"name": "stages/chance"}, "evaluation": {"every_stage": True}})
