"""Which runs are compared with which: runs of one experiment, or of one name, are a side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rljax.core.config import fingerprint
from rljax.core.errors import UserError
from rljax.evaluation.comparing.entropy_range import EntropyRange, entropy_ranges
from rljax.evaluation.comparing.labels import differences_of, label, name_sides
from rljax.evaluation.comparing.measures import Finding, Measures, Rules, find_faults, measure
from rljax.evaluation.comparing.members import Member, identity, neutral, read_members

Run = str | Path


@dataclass(frozen=True)
class Side:
    """Members that are compared as one.

    Attributes:
        key: what it is called in tables.
        label: in what its configs differ from the other sides'.
        members: one for each training seed.
        measures: of each member.
        findings: what went wrong with each member.
        ranges: of each member, the healthy entropies of its agents; empty if they are not known.
    """

    key: str
    label: str
    members: list[Member]
    measures: list[Measures]
    findings: list[list[Finding]]
    ranges: list[list[EntropyRange]]

    @property
    def title(self) -> str:
        """Key and label."""
        return f"{self.key} ({self.label})" if self.label else self.key

    def values(self, theme: str, column: str) -> list[float]:
        """Return a measure of those members in which it is known."""
        found = (measures.get(theme, {}).get(column) for measures in self.measures)
        return [x for x in found if x is not None]


def make_sides(
    runs: Sequence[Run] | Mapping[str, Sequence[Run]], rules: Rules
) -> tuple[list[Side], dict[str, list[str]], list[str]]:
    """Group runs into sides.

    Args:
        runs: run folders, those of one configuration (but for what does not decide what is
            learnt) being a side; or the run folders of each side by its name.
        rules: what counts as having gone wrong.

    Returns:
        The sides; in which fields of their configs they differ, ``{path: [value of each side]}``;
        and what to know before trusting their numbers.

    Raises:
        UserError: for folders that are no runs, runs that are given twice, a single side, runs in
            different worlds.
    """
    groups: dict[str, list[Member]] = {}
    if isinstance(runs, Mapping):
        members = _read([run for folders in runs.values() for run in folders])
        for key, folders in runs.items():
            groups[key] = [member for run in folders for member in members[run]]
        keys = list(groups)
    else:
        for found in _read(runs).values():
            groups.setdefault(fingerprint(neutral(found[0].config)), []).extend(found)
        keys = name_sides(list(groups.values()))
    if len(groups) < 2:
        raise UserError(
            f"all {len(runs)} runs are of one configuration, which makes one side; expected "
            "another one to compare with (--sides A=RUN,... B=RUN,... puts any runs on a side)"
        )
    worlds = {member.config.env.name for group in groups.values() for member in group}
    if len(worlds) > 1:
        raise UserError(f"runs in different worlds cannot be compared: {', '.join(sorted(worlds))}")
    for group in groups.values():
        _check_seeds(group)
    differences, mixed = differences_of(list(groups.values()))
    cautions = [f"{key} mixes {text}" for key, text in zip(keys, mixed, strict=True) if text]
    changed = ", ".join(path for path in differences if path.startswith("env.params."))
    if changed:
        cautions.append(f"the world itself differs ({changed}), so returns may not compare")
    sides = []
    for i, (key, group) in enumerate(zip(keys, groups.values(), strict=True)):
        ranges = [_ranges(member, rules, cautions) for member in group]
        sides.append(
            Side(
                key=key,
                label=label(differences, i),
                members=group,
                measures=[measure(member) for member in group],
                findings=[
                    find_faults(member, rules, healthy)
                    for member, healthy in zip(group, ranges, strict=True)
                ],
                ranges=ranges,
            )
        )
    return sides, differences, [*cautions, *_cautions(sides)]


def _read(runs: Sequence[Run]) -> dict[Run, list[Member]]:
    """Return the members of each run; each folder must be given once."""
    if len(runs) < 2:
        raise UserError(f"{len(runs) or 'no'} run given, expected two or more to compare")
    seen: set[Path] = set()
    for run in runs:
        if Path(run).resolve() in seen:
            raise UserError(f"run {run} is given twice")
        seen.add(Path(run).resolve())
    return {run: read_members(run) for run in runs}


def _check_seeds(group: list[Member]) -> None:
    """Refuse repetitions: the same seed again is no more evidence."""
    seen: dict[Any, Member] = {}
    for member in group:
        other = seen.setdefault(identity(member), member)
        if other is not member:
            raise UserError(
                f"runs {other.run} and {member.run} are the same experiment with the same seed "
                f"{member.seed}, which counts once; leave one out"
            )


def _ranges(member: Member, rules: Rules, cautions: list[str]) -> list[EntropyRange]:
    """Return the healthy entropies of a member's agents; none, and a caution, if not known."""
    try:
        return entropy_ranges(member.config, rules.entropy)
    except UserError as error:
        caution = f"entropy is not judged, for the world cannot be made: {error}"
        if caution not in cautions:
            cautions.append(caution)
        return []


def _cautions(sides: list[Side]) -> Iterable[str]:
    for side in sides:
        for member in side.members:
            yield from (f"{member.run}: {note}" for note in member.notes)
    lengths = {side.key: {member.env_steps for member in side.members} for side in sides}
    if len(set.union(*lengths.values())) > 1:
        told = "; ".join(
            f"{key} {' / '.join(f'{n:,}' for n in sorted(steps))}" for key, steps in lengths.items()
        )
        yield f"not all were trained for the same number of env_steps: {told}"
    for side in sides:
        for theme in ("success", "return"):
            known, count = len(side.values(theme, "final")), len(side.members)
            if 0 < known < count:
                yield f"{side.key}: {count - known} of {count} have no final {theme}"
