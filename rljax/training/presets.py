"""Presets by name.

A preset is a Python function that returns a :class:`Config`.  One that is meant for budgets of
different size takes a `scale`, a ``Literal`` of their names with a default.  Modules offer theirs
as a dict ``PRESETS`` and are found through the entry-point group ``rljax.presets``.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import get_args, get_type_hints

from rljax.core.errors import UserError, nearest
from rljax.training.config import Config

Preset = Callable[..., Config]

_GROUP = "rljax.presets"
# Known without its metadata too: a checkout may be used without being installed.
_OURS = EntryPoint("rljax-lab", "experiments.presets:PRESETS", _GROUP)


def available() -> dict[str, Preset]:
    """Return all presets by name, in the order their modules list them."""
    entries = {entry.name: entry for entry in entry_points(group=_GROUP)}
    if find_spec(_OURS.module.split(".")[0]):
        entries.setdefault(_OURS.name, _OURS)
    found: dict[str, Preset] = {}
    for _, entry in sorted(entries.items()):
        try:
            found |= entry.load()
        except ModuleNotFoundError as error:  # a package of another name stands before it
            warnings.warn(f"presets of {entry.name} are left out: {error}", stacklevel=2)
    return found


def preset(name: str, scale: str | None = None) -> Config:
    """Return a preset's config.

    Args:
        name: one of :func:`available`.
        scale: one of its :func:`scales`; None: the first of these, or the only one there is.

    Raises:
        UserError: if there is none of that name, or of that scale; names the nearest.
    """
    make = _find(name)
    if scale is None:
        return make()
    known = scales(name)
    if scale not in known:
        expected = f"expected one of {', '.join(known)}" if known else "expected no scale"
        raise UserError(f"preset {name} has no scale {scale!r}; {expected}")
    return make(scale=scale)


def scales(name: str) -> tuple[str, ...]:
    """Return the sizes of budget that a preset comes in, the default first; empty: there is one.

    Raises:
        UserError: as :func:`preset`.
    """
    return get_args(get_type_hints(_find(name)).get("scale"))


def describe(name: str) -> str:
    """Return a preset's documentation; its first line says what it is.

    Raises:
        UserError: as :func:`preset`.
    """
    return inspect.getdoc(_find(name)) or ""


def _find(name: str) -> Preset:
    presets = available()
    if name not in presets:
        raise UserError(f"unknown preset {name!r}.{nearest(name, presets)} See run.py --list.")
    return presets[name]
