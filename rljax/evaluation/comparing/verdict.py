"""Numbers in words: nothing is said here that a number does not say."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rljax.evaluation.comparing.contrasts import Contrast
from rljax.evaluation.comparing.sides import Side
from rljax.evaluation.statistics import Estimate


def number(x: float) -> str:
    """Return three digits, or all of those before the point."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def interval(values: Estimate, seeds: int) -> str:
    """Return "0.9 [0.85, 0.95]"; of one seed the value alone, for there is no interval."""
    if seeds < 2:
        return number(values.value)
    return f"{number(values.value)} [{number(values.low)}, {number(values.high)}]"


def sentence(contrast: Contrast) -> str:
    """Return what a contrast shows."""
    keys = (contrast.base, contrast.other)
    texts = [interval(m, n) for m, n in zip(contrast.medians, contrast.seeds, strict=True)]
    if min(contrast.seeds) < 2:
        few = "n = 1 seed a side"
        if max(contrast.seeds) > 1:
            few = f"n = {contrast.seeds[0]} and {contrast.seeds[1]} seeds"
        sides = ", ".join(f"{key} {text}" for key, text in zip(keys, texts, strict=True))
        return f"No difference in {contrast.measure} can be shown with {few}: {sides}."
    texts = [f"{text} (n = {n})" for text, n in zip(texts, contrast.seeds, strict=True)]
    # Told from the side that is better, or else from the one that is not the first.
    upper = 0 if contrast.better == contrast.base else 1
    wins = contrast.improvement
    if upper == 0:
        wins = Estimate(1 - wins.value, 1 - wins.high, 1 - wins.low)
    line = f"{keys[upper]} is better than {keys[1 - upper]} in {contrast.measure}"
    if contrast.better is None:
        line = f"No difference in {contrast.measure} can be shown"
    line += (
        f": median {texts[upper]} of {keys[upper]} against {texts[1 - upper]} of "
        f"{keys[1 - upper]}; P({keys[upper]} > {keys[1 - upper]}) = "
        f"{interval(wins, min(contrast.seeds))}, p = {contrast.p:.2g}."
    )
    if contrast.least_p >= contrast.alpha:
        line += f" With so few seeds p cannot be below {contrast.least_p:.2g}."
    return line


def faults(side: Side) -> str:
    """Return what went wrong in how many members of a side."""
    counts = Counter((f.kind, f.of) for found in side.findings for f in found)
    told = [f"{kind} ({of}) in {n} of {len(side.members)}" for (kind, of), n in counts.items()]
    return "; ".join(told)


def clipping(side: Side) -> str:
    """Return how often the gradient norms of a side were above its runs' limits."""
    prefix = "gradient norm of "
    whose = dict.fromkeys(t.removeprefix(prefix) for m in side.measures for t in m if prefix in t)
    largest = {who: max(side.values(prefix + who, "max")) for who in whose}
    above = {who: float(np.mean(side.values(prefix + who, "above limit"))) for who in whose}
    if not whose:
        return ""
    limits = sorted({member.config.ppo.max_grad_norm for member in side.members})
    limit = f"max_grad_norm {' / '.join(map(number, limits))}"
    if not any(above.values()):
        most = max(largest, key=lambda who: largest[who])
        return f"no gradient norm was above {limit} (largest {number(largest[most])}, of {most})"
    told = ", ".join(f"{above[who]:.1%} of {who} (largest {number(largest[who])})" for who in whose)
    return f"share of logged gradient norms above {limit}: {told}"
