"""What runs are said to show: no more than their numbers do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from made_runs import STEPS, make_run
from rljax.core.config import from_dict
from rljax.core.errors import UserError
from rljax.evaluation.comparing.comparison import compare, to_json
from rljax.evaluation.comparing.contrasts import holm
from rljax.evaluation.comparing.entropy_range import EntropyRules, entropy_ranges
from rljax.evaluation.comparing.measures import Rules, find_faults, measure
from rljax.evaluation.comparing.members import Member, read_members
from rljax.evaluation.comparing.plots import draw
from rljax.networks.config import NetworkConfig
from rljax.ops import Gaussian
from rljax.training.config import Config, EnvConfig

RNG = np.random.default_rng(0)
RULES = Rules()


def _side(path: Path, success: list[float], **changes: Any) -> Path:
    """A run with one seed for each final success."""
    member = {"episode/return": np.linspace(0, 1, 8), "episode/success": np.linspace(0, 1, 8)}
    final = [{"mean": 10 * x, "success": x} for x in success]
    return make_run(path, *[member] * len(success), final=final, **changes)


def _pair(where: Path, old: list[float], new: list[float]) -> Any:
    runs = [_side(where / "a", old), _side(where / "b", new, ppo={"learning_rate": 0.5})]
    return compare(runs)


def _one(where: Path, metrics: dict[str, Any], **changes: Any) -> Member:
    (member,) = read_members(make_run(where / "run", metrics, **changes))
    return member


# What is shown.


def test_one_seed_a_side_claims_nothing_however_large_the_difference(tmp_path: Path) -> None:
    comparison = _pair(tmp_path, [0.0], [1.0])
    assert [c.better for c in comparison.contrasts] == [None] * 4
    first = "No difference in final success can be shown with n = 1 seed a side: A 0, B 1."
    assert comparison.verdict[0] == first
    assert not any("better" in line for line in comparison.verdict)


def test_one_seed_against_many_claims_nothing(tmp_path: Path) -> None:
    comparison = _pair(tmp_path, [0.0], list(np.linspace(0.8, 1, 45)))
    assert comparison.contrasts[0].better is None
    assert "can be shown with n = 1 and 45 seeds: A 0, B 0.9 [" in comparison.verdict[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_five_seeds_completely_apart_are_better(tmp_path: Path, swapped: bool) -> None:
    poor, good = [0.1, 0.2, 0.2, 0.3, 0.25], [0.85, 0.9, 0.95, 0.9, 0.92]
    comparison = _pair(tmp_path, *((good, poor) if swapped else (poor, good)))
    contrast = comparison.contrasts[0]
    winner, loser = ("A", "B") if swapped else ("B", "A")
    assert contrast.better == winner and contrast.p == pytest.approx(2 / 252)
    assert comparison.verdict[0] == (
        f"{winner} is better than {loser} in final success: median 0.9 [0.85, 0.95] (n = 5) of "
        f"{winner} against 0.2 [0.1, 0.3] (n = 5) of {loser}; P({winner} > {loser}) = 1 [1, 1], "
        "p = 0.0079."
    )


def test_too_few_seeds_are_told_so_even_where_they_are_apart(tmp_path: Path) -> None:
    comparison = _pair(tmp_path, [0.0, 0.1, 0.2], [0.8, 0.9, 1.0])
    assert comparison.contrasts[0].better is None
    assert comparison.verdict[0].startswith("No difference in final success can be shown: median")
    assert comparison.verdict[0].endswith("With so few seeds p cannot be below 0.1.")


def test_equal_sides_show_no_difference(tmp_path: Path) -> None:
    comparison = _pair(tmp_path, [0.5] * 6, [0.5] * 6)
    assert {c.p for c in comparison.contrasts} == {1.0}
    assert {c.improvement for c in comparison.contrasts} == {(0.5, 0.5, 0.5)}


def test_more_sides_need_more_evidence(tmp_path: Path) -> None:
    old, new = [0.0, 0.1, 0.2, 0.3], [0.6, 0.7, 0.8, 0.9]
    runs = [_side(tmp_path / "a", old), _side(tmp_path / "b", new, ppo={"gamma": 0.9})]
    assert compare(runs).contrasts[0].better == "B", "4 against 4: p = 2 / 70"
    runs.append(_side(tmp_path / "c", new, ppo={"gamma": 0.8}))
    first, second, *_ = compare(runs).contrasts
    assert (first.other, second.other) == ("B", "C")
    assert first.better is None and first.p == first.least_p == pytest.approx(4 / 70)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_confidence_decides_what_is_shown(tmp_path: Path) -> None:
    runs = [_side(tmp_path / "a", [0, 0.1, 0.2]), _side(tmp_path / "b", [0.7, 0.8, 0.9], seed=9,
            ppo={"gamma": 0.9})]  # fmt: skip
    assert compare(runs, confidence=0.85).contrasts[0].better == "B"
    with pytest.raises(UserError, match=r"confidence: got 95, expected float in \(0, 1\)"):
        compare(runs, confidence=95)


# Sides.


def test_runs_are_grouped_by_what_decides_what_is_learnt(tmp_path: Path) -> None:
    same: dict[str, Any] = {"devices": 1, "log_every": 64, "checkpoint": {"keep_best": 3}}
    _side(tmp_path / "a0", [0.1], seed=0, name="first")
    _side(tmp_path / "a1", [0.2, 0.3], seed=1, name="second", **same)
    _side(tmp_path / "b0", [0.4], seed=7, ppo={"learning_rate": 0.5}, team={"value_norm": True})
    comparison = compare([tmp_path / name for name in ("a0", "b0", "a1")])
    a, b = comparison.sides
    assert [m.name for m in a.members] == [
        str(tmp_path / "a0"),
        f"{tmp_path / 'a1'} seed 1",
        f"{tmp_path / 'a1'} seed 2",
    ]
    assert (a.title, b.title) == (
        "A (learning_rate 0.00025, value_norm False)",
        "B (learning_rate 0.5, value_norm True)",
    )
    assert comparison.differences["ppo.learning_rate"] == ["0.00025", "0.5"]


def test_sides_are_called_as_their_runs_where_that_tells_them_apart(tmp_path: Path) -> None:
    runs = [_side(tmp_path / n, [0.1], name=n, ppo={"gamma": g})
            for n, g in (("basic", 0.9), ("safe", 0.8))]  # fmt: skip
    assert [side.key for side in compare(runs).sides] == ["basic", "safe"]


def test_sides_by_hand_may_mix_and_are_told_so(tmp_path: Path) -> None:
    for name, gamma, reward in (("a", 0.9, "mean"), ("b", 0.9, "sum"), ("c", 0.8, "mean")):
        _side(tmp_path / name, [0.1], ppo={"gamma": gamma}, team={"reward": reward})
    one, two, three = (tmp_path / name for name in "abc")
    comparison = compare({"high": [one, two], "low": [three]})
    assert [side.key for side in comparison.sides] == ["high", "low"]
    assert comparison.cautions == ["high mixes team.reward mean / sum"]
    assert comparison.differences == {
        "ppo.gamma": ["0.9", "0.8"],
        "team.reward": ["mean / sum", "mean"],
    }


def test_the_same_seed_twice_is_not_more_evidence(tmp_path: Path) -> None:
    runs = [_side(tmp_path / n, [0.1], seed=4) for n in "ab"]
    runs.append(_side(tmp_path / "c", [0.2], ppo={"gamma": 0.5}))
    with pytest.raises(UserError, match="same experiment with the same seed 4, which counts once"):
        compare(runs)


def test_what_to_mind(tmp_path: Path) -> None:
    _side(tmp_path / "a", [0.1, 0.2], summary={"status": "SIGTERM", "skipped_steps": 3})
    metrics = {"episode/return": [0.0, math.inf, 1.0, 2.0], "seen": [1.0] * 4}
    make_run(tmp_path / "b", metrics, ppo={"gamma": 0.9})
    (tmp_path / "b" / "summary.json").unlink()
    comparison = compare([tmp_path / "a", tmp_path / "b"])
    assert comparison.cautions == [
        f"{tmp_path / 'a'}: not finished (SIGTERM)",
        f"{tmp_path / 'a'}: 3 gradient steps skipped for not being finite",
        f"{tmp_path / 'b'}: not finished (has no summary: still running, or killed)",
        f"{tmp_path / 'b'}: 1 logged numbers were not finite and are left out",
        "not all were trained for the same number of env_steps: A 8,000; B 4,000",
    ]
    assert {c.measure for c in comparison.contrasts} == {"return in the last quarter of training"}


def test_json_has_all_of_it(tmp_path: Path) -> None:
    told = json.loads(json.dumps(to_json(_pair(tmp_path, [0, 0.1], [1, 0.9])), allow_nan=False))
    assert told["contrasts"][0]["improvement"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    member = told["sides"][1]["members"][0]
    assert member["measures"]["success"]["final"] == 1.0 and member["seed"] == 0
    assert told["rules"]["entropy"]["std_high"] == 0.9


# What is measured.


def test_members_have_their_own_columns(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "run",
        {"episode/return": np.arange(8.0), "update/grad_norm": np.full(8, 2.0)},
        {"recent/return": np.zeros(8), "update/grad_norm": np.array([1.0] * 6 + [0.5] * 2)},
        final=[{"mean": 3.0}, {"mean": 4.0, "success": 0.5}],
        seed=5,
    )
    first, second = read_members(path)
    assert (first.seed, second.seed, first.env_steps) == (5, 6, 8 * STEPS)
    assert measure(first) == {
        "return": {"Q1": 0.5, "Q2": 2.5, "Q3": 4.5, "Q4": 6.5, "final": 3.0},
        "gradient norm of network": {"median": 2.0, "max": 2.0, "above limit": 1.0},
        "speed": {"env_steps/s": 5000.0},  # of the run, so it counts once
    }
    told = measure(second)
    assert told["success"] == {"final": 0.5} and "speed" not in told
    assert told["gradient norm of network"]["above limit"] == 0.75, "max_grad_norm is 0.5"


def test_agents_are_measured_one_by_one(tmp_path: Path) -> None:
    metrics = {f"agent{i}/{name}": np.full(4, float(i))
               for i in (10, 2) for name in ("actor_grad_norm", "dist_entropy")}  # fmt: skip
    metrics |= {"critic/critic_grad_norm": np.ones(4), "update/grad_norm": np.ones(4)}
    assert list(measure(_one(tmp_path, metrics))) == [
        "gradient norm of agent2",
        "gradient norm of agent10",
        "gradient norm of critic",
        "entropy of agent2",
        "entropy of agent10",
        "speed",
    ]


# What went wrong.


def _kinds(member: Member, rules: Rules = RULES, ranges: Any = ()) -> list[str]:
    return [finding.kind for finding in find_faults(member, rules, list(ranges))]


def test_degradation_is_a_fall_and_not_noise(tmp_path: Path) -> None:
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=40)
        assert not _kinds(_one(tmp_path / f"noise{seed}", {"recent/return": noise}))
    up_and_down = np.concatenate([np.linspace(0, 1, 50), np.linspace(1, 0.4, 50)])
    noisy = up_and_down + RNG.normal(0, 0.05, 100)
    (finding,) = find_faults(_one(tmp_path / "fall", {"episode/success": noisy}), RULES, [])
    assert (finding.kind, finding.of) == ("degradation", "success")
    assert "in quarter 3 to 0.5" in finding.words or "in quarter 2 to 0.5" in finding.words
    assert not _kinds(_one(tmp_path / "rise", {"episode/success": np.sort(noisy)}))
    tolerant = from_dict(Rules, {"drop": 0.6})
    assert not _kinds(_one(tmp_path / "again", {"episode/success": noisy}), tolerant)


def test_degradation_needs_two_points_a_quarter(tmp_path: Path) -> None:
    assert not _kinds(_one(tmp_path / "short", {"episode/return": [9.0, 8.0, 7.0, 0.0]}))


def test_spikes_are_sudden(tmp_path: Path) -> None:
    norms = 0.3 + 0.05 * RNG.random(100)
    norms[70] = 4.0
    (finding,) = find_faults(_one(tmp_path / "one", {"update/grad_norm": norms}), RULES, [])
    assert (finding.kind, finding.of) == ("spikes", "gradient norm of network")
    assert finding.words.startswith("1 above 10 times") and "4 at 71,000 env_steps" in finding.words
    growing = np.geomspace(0.01, 10, 100)
    assert not _kinds(_one(tmp_path / "two", {"update/grad_norm": growing}))
    # Two in a row: the second is judged by a median that the first is part of, but not itself.
    twice = _one(tmp_path / "twice", {"update/grad_norm": [1.0] * 12 + [20.0] * 2 + [1.0]})
    (finding,) = find_faults(twice, from_dict(Rules, {"spike_window": 3}), [])
    assert finding.words.startswith("2 above 10 times")
    strict = from_dict(Rules, {"spike_factor": 20})
    assert not _kinds(_one(tmp_path / "three", {"update/grad_norm": norms}), strict)


@pytest.mark.parametrize(
    ("entropy", "expected"),
    [
        (np.linspace(0.69, 0.2, 40), []),
        (np.linspace(0.69, 0.0, 40), []),  # sure at the end is what it should be
        (np.linspace(0.2, 0.0, 20).tolist() + [0.3] * 20, []),
        ([0.01] * 40, ["entropy too low"]),
        ([0.6] * 10 + [0.02] * 30, ["entropy too low"]),
        ([0.69] * 40, ["entropy too high"]),
    ],
)
def test_entropy_of_two_choices(tmp_path: Path, entropy: Any, expected: list[str]) -> None:
    member = _one(tmp_path, {"policy/entropy": entropy})
    assert _kinds(member, ranges=entropy_ranges(member.config, RULES.entropy)) == expected


def test_an_unhealthy_agent_is_named(tmp_path: Path) -> None:
    healthy, random = np.linspace(1.0, 0.3, 20), np.full(20, 1.6)
    metrics = {"agent0/dist_entropy": healthy, "agent1/dist_entropy": random}
    member = _one(tmp_path, metrics, env="SpeakerListener-particles")
    (finding,) = find_faults(member, RULES, entropy_ranges(member.config, RULES.entropy))
    assert (finding.kind, finding.of) == ("entropy too high", "entropy of agent1")


# Between what limits entropy is healthy.


def _ranges(env: str, **changes: Any) -> Any:
    network = NetworkConfig(**changes)
    return entropy_ranges(Config(env=EnvConfig(name=env), network=network), EntropyRules())


def test_choices_that_are_masked_do_not_count() -> None:
    speaker, listener = _ranges("SpeakerListener-particles")
    assert speaker.most == pytest.approx(math.log(3)) and "log 3" in speaker.words
    assert listener.most == pytest.approx(math.log(5))
    assert listener.low == pytest.approx(0.05 * math.log(5))


def test_a_capped_deviation_can_never_exceed_its_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    from gymnax.environments import spaces

    import rljax.evaluation.comparing.entropy_range as module

    class ThreeNumbers:
        num_agents = 2

        def action_space(self, params: Any) -> Any:
            return spaces.Box(-1, 1, (3,))

    monkeypatch.setattr(module, "make_env", lambda config: (ThreeNumbers(), None))
    harl = {"std": "capped", "initial_std": 0.36553, "max_std": 0.5}
    healthy, same = _ranges("any", **harl)
    assert healthy == same and healthy.most == pytest.approx(2.177, abs=5e-4)

    def entropy(std: float) -> float:
        return float(Gaussian(jnp.zeros(3), jnp.log(jnp.full(3, std))).entropy())

    assert entropy(0.36553) == pytest.approx(1.238, abs=5e-4), "HARL's start"
    assert healthy.low == pytest.approx(entropy(0.036553), abs=1e-5)
    assert healthy.high == pytest.approx(entropy(0.45), abs=1e-5)
    free = _ranges("any", std="learned", initial_std=0.5)[0]
    assert free.most == math.inf and free.high == pytest.approx(entropy(1.0), abs=1e-5)
    assert _ranges("any", std="fixed") == []
    squashed = _ranges("any", distribution="squashed_gaussian")[0]
    assert squashed.most == pytest.approx(3 * math.log(2)), "uniform on (-1, 1)"


# Mistakes.


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([], "no run given, expected two or more"),
        (["a"], "1 run given, expected two or more"),
        (["a", "a"], "is given twice"),
        (["a", "./a"], "is given twice"),
        (["a", "same"], "all 2 runs are of one configuration, which makes one side"),
        (["a", "nowhere"], "no run in nowhere: config.json is missing"),
        (["a", "bb"], "no run in bb: config.json is missing. Did you mean 'b'?"),
        (["a", "other"], "different worlds cannot be compared: Acrobot-v1, CartPole-v1"),
        (["a", "empty"], "run empty: nothing is logged in metrics.jsonl yet"),
        (["a", "old"], "run old: unknown option 'ppo.epoch'. Did you mean 'ppo.epochs'?"),
        (["a", "torn"], "run torn: summary.json is damaged"),
    ],
)
def test_a_mistake_is_one_line(
    runs: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _side(tmp_path / "a", [0.1])
    _side(tmp_path / "same", [0.1], seed=1)
    other: dict[str, Any] = {"ppo": {"gamma": 0.9}}
    _side(tmp_path / "b", [0.1], **other)
    _side(tmp_path / "other", [0.1], env="Acrobot-v1")
    for name in ("empty", "old", "torn"):
        _side(tmp_path / name, [0.1], **other)
    (tmp_path / "empty" / "metrics.jsonl").write_text('{"env_steps": 64}\n')
    config = (tmp_path / "old" / "config.json").read_text()
    (tmp_path / "old" / "config.json").write_text(config.replace('"epochs"', '"epoch"', 1))
    (tmp_path / "torn" / "summary.json").write_text('{"status": "fin')
    with pytest.raises(UserError) as caught:
        compare(runs)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_world_that_is_not_here_costs_only_what_needs_it(tmp_path: Path) -> None:
    runs = [
        _side(tmp_path / name, [0.1], env="elsewhere/World-v0", ppo={"gamma": gamma})
        for name, gamma in (("a", 0.9), ("b", 0.8))
    ]
    comparison = compare(runs)
    (caution,) = comparison.cautions
    assert caution.startswith("entropy is not judged, for the world cannot be made: ")
    assert comparison.sides[0].values("success", "final") == [0.1]


def test_pictures_of_many_sides_of_hardly_anything(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / str(i), {"update/grad_norm": [0.1]}, ppo={"gamma": i / 20})
        for i in range(12)
    ]
    assert list(draw(compare(runs), tmp_path).values()) == ["gradients.png"]
    assert (tmp_path / "gradients.png").stat().st_size > 5000
