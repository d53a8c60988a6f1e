"""What can be known without training: presets, and what a run would take."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

from experiments.cli import print_table
from rljax.core.config import diff, to_dict
from rljax.training.config import Config
from rljax.training.presets import available, describe, preset, scales


def list_presets() -> None:
    """Print a table of all presets."""
    rows = []
    for name, make in available().items():
        config = make()
        first_line = describe(name).split("\n")[0]
        rows.append((name, config.env.name, f"{config.total_steps:,}", first_line))
    print_table(("preset", "world", "env_steps", "what it is"), rows)


def describe_preset(name: str, scale: str | None = None) -> None:
    """Print a preset's documentation, fields and parameter count."""
    from rljax.core.runtime import local_devices, prepare
    from rljax.training.build import make_program
    from rljax.training.estimate import parameter_count

    config, sizes = preset(name, scale), scales(name)
    prepare()
    count = parameter_count(make_program(config, local_devices(1)))
    others = f"scales: {', '.join(sizes)}; this is {scale or sizes[0]}\n\n" if sizes else ""
    print(f"{describe(name)}\n\n{others}{_yaml(config)}\n{count:,} parameters")


def dry_run(base: Config | None, config: Config) -> dict[str, Any]:
    """Print what a run would be and take, and return it as JSON types.

    Args:
        base: what changes are shown from: a preset or a stored config, if there is one.
        config: of the run.
    """
    from rljax.training.estimate import estimate

    result = estimate(config)
    changes = diff(base, config) if base else {}
    print(_yaml(config))
    if changes:
        rows = [(path, str(old), str(new)) for path, (old, new) in changes.items()]
        print_table(("changed", "from", "to"), rows)
        print()
    wanted = config.total_steps
    exact = "exactly" if result.env_steps == wanted else f"rounded up from {wanted:,}"
    mib = 2**20
    lines = [
        ("parameters", f"{result.parameters:,}"),
        ("env_steps", f"{result.env_steps:,} ({exact})"),
        ("updates", f"{result.updates:,} of {result.steps_per_update:,} env_steps"),
        ("devices", str(result.devices)),
        (
            "memory of each",
            f"{result.peak_bytes / mib:.1f} MiB: state "
            f"{result.state_bytes / mib:.1f}, temporary {result.temporary_bytes / mib:.1f}",
        ),
        (
            "operations",
            f"{result.flops_per_step:.3g} per env_step, {result.flops:.3g} in all "
            "(estimate: networks only)",
        ),
        ("compiled in", f"{result.compile_s:.1f} s"),
    ]
    for name, value in lines:
        print(f"{name:<16}{value}")
    return {
        "config": to_dict(config),
        "changes": {path: list(pair) for path, pair in changes.items()},
        "estimate": dataclasses.asdict(result),
    }


def _yaml(config: Config) -> str:
    text: str = yaml.safe_dump(to_dict(config), sort_keys=False)
    return text
