"""Estimates against counts by hand."""

from __future__ import annotations

import dataclasses

import pytest

from rljax.core.config import merge
from rljax.core.runtime import local_devices
from rljax.training.build import make_program
from rljax.training.config import Config
from rljax.training.estimate import estimate, flops_per_step, parameter_count
from rljax.training.presets import preset
from tiny_runs import plain


def _counts(config: Config) -> tuple[int, float]:
    program = make_program(config, local_devices(1))
    return parameter_count(program), flops_per_step(config, program)


def test_sizes_of_a_whole_run() -> None:
    result = estimate(merge(plain(), {"total_steps": 1270}))
    assert (result.env_steps, result.updates, result.steps_per_update) == (1280, 20, 64)
    assert result.devices == 1
    assert result.flops == result.flops_per_step * 1280
    # Parameters, two moments of each, and the environments: a few kB, and more while it runs.
    assert 3 * 4 * result.parameters < result.state_bytes < 100_000
    assert result.peak_bytes >= result.state_bytes + result.temporary_bytes > result.state_bytes
    assert all(value is not None for value in dataclasses.asdict(result).values())


def test_members_multiply_work_and_not_parameters() -> None:
    config = merge(plain(), {"seeds": 3, "seeds_mode": "map"})
    assert _counts(config) == _counts(plain())


def test_feed_forward_operations() -> None:
    parameters, flops = _counts(merge(plain(), {"network": {"hidden_sizes": [64, 64]}}))
    products = 2 * (4 * 64 + 64 * 64) + 64 * 2 + 64  # of two towers, and their heads
    assert parameters == products + 2 * (64 + 64) + 2 + 1
    forwards = 1 + 3 * 2  # acting, and two epochs
    assert flops == pytest.approx(2 * products * forwards, rel=0.05)


def test_recurrent_operations() -> None:
    core = {"network": {"hidden_sizes": [64], "core": "gru", "core_size": 64}}
    _, flops = _counts(merge(plain(), {**core, "ppo": {"bptt_length": 8}}))
    gates = 3 * 2 * 64 * 64
    products = 2 * (4 * 64 + gates) + 64 * 2 + 64
    assert flops == pytest.approx(2 * products * 7, rel=0.1)


def test_operations_of_a_team() -> None:
    small = {"num_envs": 4, "network": {"hidden_sizes": [32]}, "ppo": {"minibatches": 1}}
    config = merge(preset("spread_happo"), small)
    parameters, flops = _counts(config)
    actor = 18 * 32 + 32 * 5
    critic = 54 * 32 + 32
    norms = 3 * 2 * (18 + 32) + 2 * (54 + 32)
    assert parameters == 3 * (actor + 32 + 5) + critic + 32 + 1 + norms
    forwards = 1 + 3 * config.ppo.epochs
    assert flops == pytest.approx(
        2 * (3 * actor + critic) * forwards, rel=0.3
    )  # the norms are not in the products
