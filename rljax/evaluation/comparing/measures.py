"""What is measured of one training seed, and what counts as having gone wrong with it.

Metrics are judged as they were logged: a row is a mean over the updates since the row before, so a
spike of a single update shows in full only with ``log_every`` of one update.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rljax.core.config import NonNegative, config_dataclass
from rljax.evaluation.comparing.entropy_range import EntropyRange, EntropyRules
from rljax.evaluation.comparing.members import Member, Series, agents

Measures = dict[str, dict[str, float]]
"""Theme ("return"), column ("Q1"), number; what is not known is left out."""

QUARTERS = ("Q1", "Q2", "Q3", "Q4")
PROGRESS: dict[str, tuple[str, ...]] = {
    "return": ("episode/return", "recent/return"),
    "success": ("episode/success", "recent/success"),
}
LEARNING: dict[str, tuple[str, ...]] = {
    "value loss": ("critic/value_loss", "loss/value"),
    "policy loss": ("loss/policy",),
    "explained variance": ("value/explained_variance",),
    "approximate KL": ("policy/approximate_kl",),
}
_SHORTEST_WINDOW = 3


@config_dataclass
class Rules:
    """When something is said to have gone wrong."""

    drop: NonNegative = 0.25
    """Degradation: how far the last quarter's mean must be below the best quarter's, as a share of
    the spread (95th minus 5th percentile of all logged points); and by two standard errors."""
    spike_factor: Annotated[float, Field(gt=1)] = 10.0
    """Spike: a gradient norm this many times the running median before it."""
    spike_window: Annotated[int, Field(ge=_SHORTEST_WINDOW)] = 20
    """Logged points that this median is over (at most a fifth of all)."""
    entropy: EntropyRules = EntropyRules()
    """What a healthy entropy is."""


class Finding(NamedTuple):
    """Something that went wrong.

    Attributes:
        kind: "degradation", "spikes", "entropy too low" or "entropy too high".
        of: what is affected: "return", "gradient norm of agent0", ...
        words: how, with numbers.
    """

    kind: str
    of: str
    words: str


def gradients(member: Member) -> dict[str, Series]:
    """Return the gradient norms before clipping, by whose they are."""
    names = {who: f"{who}/actor_grad_norm" for who in agents(member)}
    if names:
        names["critic"] = "critic/critic_grad_norm"
    else:
        names["network"] = "update/grad_norm"
    return _logged(member, names)


def entropies(member: Member) -> dict[str, Series]:
    """Return the entropies of the policies, by whose they are."""
    names = {who: f"{who}/dist_entropy" for who in agents(member)}
    return _logged(member, names or {"policy": "policy/entropy"})


def _logged(member: Member, names: dict[str, str]) -> dict[str, Series]:
    return {who: member.series[name] for who, name in names.items() if name in member.series}


def quarters(series: Series, env_steps: int) -> list[NDArray[np.float64]]:
    """Return the values logged in each quarter of ``env_steps``."""
    quarter = np.clip(np.ceil(4 * series.env_steps / env_steps), 1, 4)
    return [series.values[quarter == i] for i in (1, 2, 3, 4)]


def measure(member: Member) -> Measures:
    """Return the numbers of a member, themes in the order of a report."""
    table: Measures = {}
    for theme, names in PROGRESS.items():
        table[theme] = _by_quarter(member, member.find(*names))
        if theme in member.final:
            table[theme]["final"] = member.final[theme]
    limit = member.config.ppo.max_grad_norm
    for who, series in gradients(member).items():
        table[f"gradient norm of {who}"] = {
            "median": float(np.median(series.values)),
            "max": float(series.values.max()),
            "above limit": float(np.mean(series.values > limit)),
        }
    for who, series in entropies(member).items():
        table[f"entropy of {who}"] = _by_quarter(member, series)
    for theme, names in LEARNING.items():
        table[theme] = _by_quarter(member, member.find(*names))
    if member.speed is not None:
        table["speed"] = {"env_steps/s": float(member.speed)}
    return {theme: numbers for theme, numbers in table.items() if numbers}


def _by_quarter(member: Member, series: Series | None) -> dict[str, float]:
    if series is None:
        return {}
    parts = zip(QUARTERS, quarters(series, member.env_steps), strict=True)
    return {name: float(part.mean()) for name, part in parts if len(part)}


def find_faults(member: Member, rules: Rules, ranges: list[EntropyRange]) -> list[Finding]:
    """Return what went wrong with a member.

    Args:
        member: from :func:`rljax.evaluation.comparing.members.read_members`.
        rules: when something counts.
        ranges: healthy entropies of its agents; empty: entropy is not judged.
    """
    found: list[Finding | None] = []
    for theme, names in PROGRESS.items():
        series = member.find(*names)
        found.append(series and _degradation(theme, series, member.env_steps, rules))
    for who, series in gradients(member).items():
        found.append(_spikes(f"gradient norm of {who}", series, rules))
    for who, series in entropies(member).items():
        if ranges:
            healthy = entropy_range_of(who, ranges)
            found.append(_entropy(f"entropy of {who}", series, member.env_steps, healthy))
    return [finding for finding in found if finding]


def entropy_range_of(who: str, ranges: list[EntropyRange]) -> EntropyRange:
    """Return the range of "agent3", or of what all agents share: the mean of theirs."""
    number = who.removeprefix("agent")
    if number.isdecimal():
        return ranges[int(number)]
    low, high, most = np.mean([r[:3] for r in ranges], axis=0).tolist()
    return EntropyRange(low, high, most, ranges[0].words)


def _degradation(of: str, series: Series, env_steps: int, rules: Rules) -> Finding | None:
    parts = quarters(series, env_steps)
    if min(map(len, parts)) < 2:  # no spread within a quarter, hence no judgement
        return None
    means = [float(part.mean()) for part in parts]
    best = int(np.argmax(means))
    drop = means[best] - means[3]
    spread = float(np.subtract(*np.percentile(series.values, (95, 5))))
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in (parts[best], parts[3])))
    if not (spread > 0 and drop > rules.drop * spread and drop > 2 * error):
        return None
    words = (
        f"fell from {means[best]:.3g} in quarter {best + 1} to {means[3]:.3g} in quarter 4, by "
        f"{drop / spread:.2f} of its spread of {spread:.3g}"
    )
    return Finding("degradation", of, words)


def _spikes(of: str, series: Series, rules: Rules) -> Finding | None:
    values, count = series.values, len(series.values)
    window = min(rules.spike_window, count // 5)
    if window < _SHORTEST_WINDOW:
        return None
    before = np.lib.stride_tricks.sliding_window_view(values[:-1], window)
    usual = np.median(before, axis=-1)  # of the points before values[window:]
    times = np.divide(values[window:], usual, out=np.zeros_like(usual), where=usual > 0)
    if not (times > rules.spike_factor).any():
        return None
    worst = int(np.argmax(times))
    words = (
        f"{int((times > rules.spike_factor).sum())} above {rules.spike_factor:g} times the running "
        f"median, the largest {times[worst]:.3g} times: {values[window + worst]:.3g} at "
        f"{int(series.env_steps[window + worst]):,} env_steps"
    )
    return Finding("spikes", of, words)


def _entropy(of: str, series: Series, env_steps: int, healthy: EntropyRange) -> Finding | None:
    means = [float(part.mean()) if len(part) else np.nan for part in quarters(series, env_steps)]
    low, high = float(np.fmin(means[0], means[1])), means[3]  # of NaN, nothing is true below
    if low < healthy.low:
        words = f"{low:.3g} in quarter {means.index(low) + 1}, below {healthy.low:.3g}"
        return Finding("entropy too low", of, f"{words} ({healthy.words})")
    if high > healthy.high:
        words = f"{high:.3g} in the last quarter, above {healthy.high:.3g}"
        return Finding("entropy too high", of, f"{words} ({healthy.words})")
    return None
