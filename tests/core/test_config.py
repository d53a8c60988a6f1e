from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from rljax.core.config import (
    Count,
    FieldInfo,
    FrozenDict,
    Positive,
    config_dataclass,
    describe_fields,
    diff,
    fingerprint,
    from_dict,
    help_text,
    load_yaml,
    merge,
    parse_overrides,
    to_dict,
)
from rljax.core.errors import UserError


@config_dataclass
class PPO:
    """A group of fields."""

    clip_epsilon: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Half width of the interval of useful ratios."""
    target_kl: Positive | None = None
    """Stops the epochs early
    above this divergence."""
    schedule: Literal["constant", "linear"] = "constant"
    """How the learning rate falls."""
    normalise: bool = True
    """Whether advantages are normalised."""
    epochs: Count = 4
    """Passes over a batch."""


@config_dataclass
class Network:
    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer."""
    devices: Count | Literal["auto"] = "auto"
    """How many devices."""


@config_dataclass
class Env:
    name: str
    """Registered name."""
    params: FrozenDict[str, float] = FrozenDict()
    """Physical constants that differ from the world's own."""


@config_dataclass
class Run:
    env: Env
    """The world."""
    ppo: PPO = PPO()
    """The algorithm."""
    network: Network = Network(hidden_sizes=(32,))
    """The policy's network."""
    critic: Network | None = None
    """The critic's network; none shares the policy's."""
    total_steps: Count = 1_000_000
    """Environment steps."""
    note: str | None = None
    """Free text."""

    def __post_init__(self) -> None:
        if self.total_steps % self.ppo.epochs:
            raise ValueError(f"total_steps {self.total_steps} is no multiple of epochs")


BASE = Run(env=Env(name="maze"))


def change(*arguments: str) -> Run:
    return merge(BASE, parse_overrides(arguments, Run))


def changed(*arguments: str) -> dict[str, Any]:
    return {path: new for path, (_, new) in diff(BASE, change(*arguments)).items()}


def test_a_config_is_frozen_hashable_and_copies_as_itself() -> None:
    config = merge(BASE, {"env": {"params": {"gravity": 3}}})
    assert hash(config) == hash(from_dict(Run, to_dict(config)))
    assert hash(config) != hash(BASE)
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.total_steps = 3  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):
        config.env.params["gravity"] = 1.0


def test_fields_that_could_not_be_hashed_are_refused_at_the_definition() -> None:
    with pytest.raises(TypeError, match="Bad.names: a config is hashable; use FrozenDict or tuple"):

        @config_dataclass
        class Bad:
            names: dict[str, float]


def test_dict_round_trip_through_json_keeps_every_field() -> None:
    config = change("--env.params.g", "1", "--critic.devices", "2", "--ppo.target_kl", "1e-2")
    stored = json.loads(json.dumps(to_dict(config)))
    assert from_dict(Run, stored) == config
    assert set(stored) == {f.name for f in dataclasses.fields(Run)}
    assert stored["network"] == {"hidden_sizes": [32], "devices": "auto"}


def test_merge_is_nested_and_partial_and_leaves_the_base_alone() -> None:
    config = merge(BASE, {"ppo": {"epochs": 8}, "env": {"params": {"a": 1}}})
    config = merge(config, {"env": {"params": {"b": 2}}})
    assert (config.ppo.epochs, config.ppo.clip_epsilon) == (8, 0.2)
    assert config.env.params == {"a": 1.0, "b": 2.0}
    assert BASE.ppo.epochs == 4 and BASE.env.params == {}


def test_diff_and_fingerprint_see_exactly_the_changed_field() -> None:
    config = merge(BASE, {"ppo": {"epochs": 8}, "env": {"params": {"a": 1}}})
    assert diff(BASE, config) == {"env.params.a": (None, 1.0), "ppo.epochs": (4, 8)}
    assert diff(BASE, BASE) == {}
    assert fingerprint(config) != fingerprint(BASE)
    assert fingerprint(from_dict(Run, to_dict(config))) == fingerprint(config)
    assert len(fingerprint(BASE)) == 12


@pytest.mark.parametrize("given", [1e6, "500_000", 5e5, 7_000_000])
def test_integers_may_be_written_as_integral_floats(given: Any) -> None:
    steps = merge(BASE, {"total_steps": given}).total_steps
    assert steps == int(float(given)) and type(steps) is int


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0.8,1.2", [-0.8, 1.2]),
        ("(0, 3)", [0, 3]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("gaps,steps", "gaps,steps"),
        ("1,x", "1,x"),
        ("1,true", "1,true"),
    ],
)
def test_numbers_with_commas_are_a_list_where_any_type_will_do(text, value):
    @config_dataclass
    class Anything:
        """A group."""

        params: FrozenDict[str, Any] = FrozenDict()
        """Of any type."""

    assert parse_overrides([f"--params.x={text}"], Anything) == {"params": {"x": value}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--ppo.clip_epsilon 0.3", {"ppo.clip_epsilon": 0.3}),
        ("--ppo.clip-epsilon=3e-1", {"ppo.clip_epsilon": 0.3}),
        ("--network.hidden_sizes=64,128", {"network.hidden_sizes": [64, 128]}),
        ("--network.hidden-sizes (64,)", {"network.hidden_sizes": [64]}),
        ("--network.hidden_sizes [64,128]", {"network.hidden_sizes": [64, 128]}),
        ("--ppo.normalise", {}),
        ("--no-ppo.normalise", {"ppo.normalise": False}),
        ("--ppo.no-normalise", {"ppo.normalise": False}),
        ("--ppo.normalise false --total_steps 8", {"ppo.normalise": False, "total_steps": 8}),
        ("--no-ppo.normalise --ppo.normalise", {}),
        ("--ppo.target_kl 1e-2 --ppo.target_kl none", {}),
        ("--total_steps 1e6 --total-steps 5e5", {"total_steps": 500_000}),
        ("--env.name 123", {"env.name": "123"}),
        ("--env.params.gravity -9.8", {"env.params.gravity": -9.8}),
        ("--network.devices 3", {"network.devices": 3}),
        ("--critic.hidden_sizes 8", {"critic.hidden_sizes": [8], "critic.devices": "auto"}),
        ("--ppo.schedule linear", {"ppo.schedule": "linear"}),
        ("--note off", {"note": "off"}),
    ],
)
def test_command_line_options(line: str, expected: dict[str, Any]) -> None:
    assert changed(*line.split()) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--ppo.clip_epsilon 2", "ppo.clip_epsilon: got 2, expected float in (0, 1]"),
        ("--ppo.target_kl 0", "ppo.target_kl: got 0, expected float > 0 or none"),
        ("--ppo.target_kl inf", "ppo.target_kl: got 'inf', expected finite float > 0 or none"),
        ("--ppo.epochs 2.5", "ppo.epochs: got 2.5, expected int >= 1"),
        ("--ppo.epochs true", "ppo.epochs: got True, expected int >= 1"),
        ("--ppo.epochs abc", "ppo.epochs: got 'abc', expected int >= 1"),
        ("--ppo.epochs", "--ppo.epochs needs a value: int >= 1"),
        ("--ppo.epochs --ppo.normalise", "--ppo.epochs needs a value: int >= 1"),
        ("--ppo.normalise=maybe", "ppo.normalise: got 'maybe', expected bool"),
        ("--no-ppo.normalise=1", "--no-ppo.normalise takes no value, got '1'"),
        (
            "--no-ppo.epochs",
            "unknown option '--no_ppo.epochs'. Did you mean '--ppo.epochs'?",
        ),
        (
            "--ppo.schedule liner",
            "ppo.schedule: got 'liner', expected constant | linear. Did you mean 'linear'?",
        ),
        (
            "--network.devices aut",
            "network.devices: got 'aut', expected int >= 1 or auto. Did you mean 'auto'?",
        ),
        ("--network.hidden_sizes 64,-1", "network.hidden_sizes[1]: got -1, expected int >= 1"),
        ("--env.params.gravity x", "env.params.gravity: got 'x', expected float"),
        (
            "--ppo.clip-epsilonn 1",
            "unknown option '--ppo.clip_epsilonn'. Did you mean '--ppo.clip_epsilon'?",
        ),
        (
            "--clip_epsilon 1",
            "unknown option '--clip_epsilon'. Did you mean '--ppo.clip_epsilon'?",
        ),
        ("--zzz 1", "unknown option '--zzz'"),
        ("--ppo 3", "ppo: got 3, expected PPO fields"),
        ("lr=3", "unexpected argument 'lr=3'; options are written --name value"),
        ("--total_steps 1001", "total_steps 1001 is no multiple of epochs"),
        (
            "--ppo.epochs 0 --ppo.clip_epsilon 9 --network.devices 0",
            "ppo.clip_epsilon: got 9, expected float in (0, 1] (and 2 more)",
        ),
    ],
)
def test_a_wrong_option_gets_one_line(line: str, expected: str) -> None:
    with pytest.raises(UserError) as error:
        change(*line.split())
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "env: missing, expected Env fields"),
        ({"env": {"nam": "x"}}, "unknown option 'env.nam'. Did you mean 'env.name'? (and 1 more)"),
        ({"env": {"name": "x"}, "pppo": {"epochs": 1}}, "unknown option 'pppo'."),
        ({"env": {"name": 3}}, "env.name: got 3, expected str"),
        ({"env": {"name": "x", "params": {1: 2}}}, "env.params: got 1 for a name, expected a word"),
        ({"env": {"name": "x"}, 1: 2}, "config: got 1 for a name, expected a word"),
        ({"env": {"name": "x"}, "ppo": None}, "ppo: got None, expected PPO fields"),
        ({"env": {"name": "x" * 99}, "note": ["y" * 99]}, "note: got ['yyy"),
    ],
)
def test_a_wrong_dict_gets_one_line(values: dict[Any, Any], expected: str) -> None:
    with pytest.raises(UserError) as error:
        from_dict(Run, values)
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value) and len(str(error.value)) < 120


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"epochs": 0}, "PPO: epochs: got 0, expected int >= 1"),
        ({"epoch": 1}, "PPO: unknown option 'epoch'. Did you mean 'epochs'?"),
    ],
)
def test_a_preset_with_a_wrong_value_gets_one_line(arguments: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        PPO(**arguments)
    assert str(error.value) == expected
    with pytest.raises(UserError, match="PPO: epochs: got -1"):
        dataclasses.replace(PPO(), epochs=-1)


def test_yaml_scalars_are_numbers_where_they_look_like_numbers(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(
        "total_steps: 5e5\nnote: off\nppo: {clip_epsilon: 3e-1, target_kl: null}\n"
        "network:\n  hidden_sizes: [8, 1e1]\n"
    )
    config = merge(BASE, load_yaml(file))
    assert config.total_steps == 500_000 and config.note == "off"
    assert config.ppo.clip_epsilon == 0.3 and config.network.hidden_sizes == (8, 10)
    file.write_text(json.dumps(to_dict(config)))
    assert from_dict(Run, load_yaml(file)) == config
    file.write_text("# nothing\n")
    assert load_yaml(file) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [1, 2\n", "line 3: expected ',' or ']'"),
        ("a: 1\na: 2\n", "line 2: 'a' is given twice"),
        ("- 1\n- 2\n", "expected 'name: value' lines, got [1, 2]"),
    ],
)
def test_a_wrong_file_gets_one_line(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        load_yaml(file)
    assert expected in str(error.value) and str(file) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"does not exist. Did you mean 'my.yaml'\?"):
        load_yaml(tmp_path / "mi.yaml")


def test_fields_are_described_with_type_range_default_and_help() -> None:
    rows = {row.path: row for row in describe_fields(Run)}
    assert rows["ppo.clip_epsilon"] == FieldInfo(
        "ppo.clip_epsilon",
        "float",
        "in (0, 1]",
        "0.2",
        "Half width of the interval of useful ratios.",
    )
    assert rows["ppo.target_kl"][1:4] == ("float or none", "> 0", "none")
    assert rows["ppo.target_kl"].help == "Stops the epochs early above this divergence."
    assert rows["env.name"].default == "required"
    # The default is that of the run, not that of the group's own class.
    assert rows["network.hidden_sizes"].default == "32"
    assert rows["critic.hidden_sizes"].default == "64,64"
    assert rows["critic"].default == "none" and "ppo" not in rows


def test_help_shows_the_values_of_the_config_in_plain_text(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = help_text(change("--ppo.epochs", "8"))
    assert "\x1b" not in text
    (line,) = (line for line in text.splitlines() if line.startswith("--ppo.epochs"))
    assert " ".join(line.split()) == "--ppo.epochs int >= 1 8 Passes over a batch."
