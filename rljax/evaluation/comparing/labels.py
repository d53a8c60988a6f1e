"""What sides of a comparison are called, and in what their configs differ."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from rljax.core.config import diff
from rljax.evaluation.comparing.members import Member, neutral

_MOST_IN_LABEL = 4


def name_sides(groups: list[list[Member]]) -> list[str]:
    """Name sides after their runs if these tell them apart, else A, B, C ..."""
    names = [{member.config.name for member in group} for group in groups]
    single = [next(iter(name)) for name in names if len(name) == 1]
    if len(set(single)) == len(groups):
        return single
    letters = string.ascii_uppercase
    return [letters[i] if len(groups) <= len(letters) else f"S{i}" for i in range(len(groups))]


def differences_of(groups: list[list[Member]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return what tells groups apart, ``{path: [value of each]}``, and what each one mixes."""
    first = neutral(groups[0][0].config)
    changes = [[diff(first, neutral(member.config)) for member in group] for group in groups]
    same = {path: old for group in changes for c in group for path, (old, _) in c.items()}
    table = {
        path: [
            sorted({_spell(c[path][1] if path in c else old) for c in group}) for group in changes
        ]
        for path, old in same.items()
    }
    mixed = [
        ", ".join(f"{path} {' / '.join(v[i])}" for path, v in table.items() if len(v[i]) > 1)
        for i in range(len(groups))
    ]
    apart = {
        path: [" / ".join(values) for values in sides]
        for path, sides in table.items()
        if any(values != sides[0] for values in sides)
    }
    return apart, mixed


def _spell(value: Any) -> str:
    return "none" if value is None else str(value)


def label(differences: Mapping[str, list[str]], side: int) -> str:
    """Return a side's values of what differs, the last words of paths where they tell enough."""
    last = [path.rpartition(".")[2] for path in differences]
    texts = [
        f"{word if last.count(word) == 1 else path} {values[side]}"
        for (path, values), word in zip(differences.items(), last, strict=True)
    ]
    more = len(texts) - _MOST_IN_LABEL
    return ", ".join([*texts[:_MOST_IN_LABEL], *([f"and {more} more"] if more > 0 else [])])
