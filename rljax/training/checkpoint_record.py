"""What is written beside the arrays of a checkpoint, so that it can be trusted and explained."""

import hashlib
import json
import math
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import chex

from rljax.core.digest import leaf_digests, leaf_specs
from rljax.core.errors import UserError
from rljax.core.versions import versions

ITEM = "record"  # the name of the Orbax item, hence of the folder in a checkpoint
_FORMAT = 2  # of the record; 1 had one digest for all leaves


class DamagedError(Exception):
    """A checkpoint cannot be read, or is not what was written."""


def new_record(
    env_steps: int, state: chex.ArrayTree, metric: float | None, meta: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The record of `state`: digests, leaves, versions, metric (None unless finite), `meta`.

    Raises:
        UserError: `env_steps` is not an integer >= 0.
        TypeError: `meta` holds something that JSON cannot.
    """
    metric = None if metric is None else float(metric)
    record = {
        "format": _FORMAT,
        "env_steps": _checked_step(env_steps),
        "metric": metric if metric is not None and math.isfinite(metric) else None,
        "leaves": leaf_specs(state),
        "leaf_sha256": leaf_digests(state),
        "versions": versions(),
        "meta": dict(meta or {}),
    }
    record = json.loads(json.dumps(record))  # as it will be read: tuples become lists
    return {**record, "record_sha256": _seal(record)}


def read_record(checkpoint: Path) -> dict[str, Any]:
    """The record in the folder of one checkpoint.

    Raises:
        DamagedError: it is missing, is not JSON, was changed, or is of another format.
    """
    try:
        record: dict[str, Any] = json.loads(
            (checkpoint / ITEM / "metadata").read_text()
        )  # Orbax's file name
        seal = record.pop("record_sha256")
    except Exception as error:
        raise DamagedError(f"its record is unreadable ({type(error).__name__})") from error
    if seal != _seal(record):
        raise DamagedError("its record does not match its digest")
    if record.get("format", 1) != _FORMAT:
        raise DamagedError("another version of rljax wrote it")
    return record


def peek(checkpoint: Path) -> dict[str, Any] | None:
    """As `read_record`, but None instead of an error."""
    try:
        return read_record(checkpoint)
    except DamagedError:
        return None


def same(record: Mapping[str, Any], stored: Mapping[str, Any] | None) -> bool:
    """Whether two records are of the same state with the same metric and meta."""
    keys = ("leaf_sha256", "metric", "meta")
    return stored is not None and all(record[key] == stored[key] for key in keys)


def first_difference(there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """The first leaf that differs between two `leaf_specs`, in words, or None."""
    for path in [*here, *there]:
        if there.get(path) != here.get(path):
            was, expected = there.get(path, "missing"), here.get(path, "no such leaf")
            return f"leaf {path} is {was} there, {expected} here"
    return None


def version_changes(record: Mapping[str, Any]) -> str:
    """The packages that have another version now, e.g. "jax 0.10.2 -> 0.11.2", or ""."""
    then, now = record["versions"], versions()
    changed = [name for name in now if name in then and then[name] != now[name]]
    return ", ".join(f"{name} {then[name]} -> {now[name]}" for name in changed)


def _checked_step(env_steps: int) -> int:
    try:
        step = operator.index(env_steps)
    except TypeError:
        step = -1
    if step < 0:
        raise UserError(f"env_steps must be an integer >= 0, got {env_steps!r}")
    return step


def _seal(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
