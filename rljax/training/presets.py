"""Presets by name.

A preset is a Python function without arguments that returns a :class:`Config`.  Modules offer
theirs as a dict ``PRESETS`` and are found through the entry-point group ``rljax.presets``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import entry_points

from rljax.core.errors import UserError, nearest
from rljax.training.config import Config

Preset = Callable[[], Config]


def available() -> dict[str, Preset]:
    """Return all presets by name, in the order their modules list them."""
    found: dict[str, Preset] = {}
    for entry in sorted(entry_points(group="rljax.presets"), key=lambda entry: entry.name):
        found |= entry.load()
    return found


def preset(name: str) -> Config:
    """Return a preset's config.

    Raises:
        UserError: if there is none of that name; names the nearest.
    """
    presets = available()
    if name not in presets:
        raise UserError(f"unknown preset {name!r}.{nearest(name, presets)} See run.py --list.")
    return presets[name]()


def describe(name: str) -> str:
    """Return a preset's first line of documentation."""
    return (inspect.getdoc(available()[name]) or "").split("\n")[0]
