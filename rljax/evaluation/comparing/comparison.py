"""What runs say about each other: sides, contrasts between them, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rljax.core.config import to_dict
from rljax.core.errors import UserError
from rljax.evaluation.comparing.contrasts import Contrast, make_contrasts
from rljax.evaluation.comparing.measures import Rules
from rljax.evaluation.comparing.sides import Run, Side, make_sides
from rljax.evaluation.comparing.verdict import clipping, faults, sentence


@dataclass(frozen=True)
class Comparison:
    """Sides and what can be said of them.

    Attributes:
        sides: in the order in which they were given.
        differences: fields of the configs, with each side's value.
        contrasts: of each other side with the first, by measure.
        cautions: what to know before trusting any of it.
        rules: by which faults were found.
        confidence: of intervals and of claims.
    """

    sides: list[Side]
    differences: dict[str, list[str]]
    contrasts: list[Contrast]
    cautions: list[str]
    rules: Rules
    confidence: float

    @property
    def verdict(self) -> list[str]:
        """What to take home: the measure to look at first, what went wrong, what clipping did."""
        first = self.contrasts[0].measure if self.contrasts else None
        lines = [sentence(c) for c in self.contrasts if c.measure == first]
        if not lines:
            lines = ["No difference can be shown: no other side has a measure that the first has."]
        rest = "no degradation, gradient spikes or unhealthy entropy found"
        lines += [f"{side.key}: {faults(side) or rest}." for side in self.sides]
        return lines + [f"{side.key}: {clipping(side)}." for side in self.sides if clipping(side)]


def compare(
    runs: Sequence[Run] | Mapping[str, Sequence[Run]],
    rules: Rules | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Compare runs.

    Args:
        runs: run folders, grouped by configuration; or those of each side by its name.
        rules: what counts as having gone wrong; None: the defaults.
        confidence: of intervals; a difference is shown at a p-value below one minus it.

    Raises:
        UserError: as :func:`make_sides`, and for a confidence that is none.
    """
    if not 0 < confidence < 1:
        raise UserError(f"confidence: got {confidence}, expected float in (0, 1)")
    rules = rules or Rules()
    sides, differences, cautions = make_sides(runs, rules)
    contrasts = make_contrasts(sides, confidence)
    return Comparison(sides, differences, contrasts, cautions, rules, confidence)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON types."""
    return {
        "verdict": comparison.verdict,
        "sides": [
            {"key": side.key, "label": side.label, "members": _members(side)}
            for side in comparison.sides
        ],
        "differences": comparison.differences,
        "contrasts": [
            {
                **vars(contrast),
                "medians": [median._asdict() for median in contrast.medians],
                "improvement": contrast.improvement._asdict(),
                "better": contrast.better,
                "words": sentence(contrast),
            }
            for contrast in comparison.contrasts
        ],
        "cautions": comparison.cautions,
        "rules": to_dict(comparison.rules),
        "confidence": comparison.confidence,
    }


def _members(side: Side) -> list[dict[str, Any]]:
    return [
        {
            "run": str(member.run),
            "seed": member.seed,
            "env_steps": member.env_steps,
            "measures": measures,
            "findings": [finding._asdict() for finding in found],
        }
        for member, measures, found in zip(side.members, side.measures, side.findings, strict=True)
    ]
