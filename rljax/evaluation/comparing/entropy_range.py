"""Between what limits the entropy of a policy should be, derived from its distribution.

The differential entropy of d Gaussian dimensions of standard deviation s is d (log s + log(2 pi e)
/ 2); that of n equally likely choices is log n.  So limits on s, or on the share of log n, are
limits on the entropy.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from envs_jax.autoreset import AutoReset
from envs_jax.spaces import ACTION_MASK
from rljax.core.config import Positive, config_dataclass
from rljax.networks.config import NetworkConfig
from rljax.networks.heads import ActionHead, make_head
from rljax.training.build import make_env
from rljax.training.config import Config, EnvConfig

_LOG_GAUSS = 0.5 * math.log(2 * math.pi * math.e)  # entropy of a Gaussian of standard deviation 1


@config_dataclass
class EntropyRules:
    """What a healthy entropy is."""

    choices_low: Positive = 0.05
    """Share of log n, for n discrete choices, below which a policy is sure: too early in the first
    half of training."""
    choices_high: Positive = 0.95
    """Share of log n above which a policy still acts at random: too late in the last quarter."""
    std_low: Positive = 0.1
    """Likewise for continuous actions: share of the standard deviation at the start (for squashed
    and beta distributions: of the whole range)."""
    std_high: Positive = 0.9
    """Share of the cap of a capped standard deviation (squashed and beta: of the whole range) above
    which it is at its limit: the entropy bonus outweighs what is learnt."""
    std_growth: Positive = 2.0
    """How often the standard deviation at the start a free one may become."""


class EntropyRange(NamedTuple):
    """Limits in nats, what the entropy can be at most (maybe infinite), and where they are from."""

    low: float
    high: float
    most: float
    words: str


def entropy_ranges(config: Config, rules: EntropyRules) -> list[EntropyRange]:
    """Return the range of each agent of a config, one for a world of one agent.

    Choices that are masked at the start of an episode do not count: that is how worlds pad agents
    with fewer of them.  Empty for a constant standard deviation, which says nothing.

    Raises:
        UserError: for a world that cannot be made (it may have been registered elsewhere).
    """
    head, choices = _policies(config.env, config.network)
    if head.kind in ("categorical", "multi_categorical"):
        return [_of_choices(counts, rules) for counts in choices]
    if head.has_std and head.std == "fixed":
        return []
    return [_continuous(head, rules)] * len(choices)


@functools.cache  # a comparison has many runs in one world, which may be dear to make
def _policies(world: EnvConfig, network: NetworkConfig) -> tuple[ActionHead, list[list[int]]]:
    """Return the head of all agents, and for each the number of choices of its categoricals."""
    env, params = make_env(Config(env=world))
    head = make_head(env.action_space(params), network)
    if head.kind in ("categorical", "multi_categorical"):
        return head, _choices(env, params, head)
    return head, [[]] * (env.num_agents or 1)


def _of_choices(counts: list[int], rules: EntropyRules) -> EntropyRange:
    most = sum(map(math.log, counts))
    of = " + ".join(f"log {count}" for count in counts)
    words = f"{rules.choices_low:g} to {rules.choices_high:g} of {of}"
    return EntropyRange(rules.choices_low * most, rules.choices_high * most, most, words)


def _continuous(head: ActionHead, rules: EntropyRules) -> EntropyRange:
    """Return the range; the entropy of a squashed or beta action in terms of its width, exp(H)."""
    if head.kind != "gaussian":
        whole = 1.0 if head.kind == "beta" else 2.0  # on (0, 1), or on (-1, 1)
        words = f"widths of {rules.std_low:g} to {rules.std_high:g} of the range"
        low, high, most = (
            head.size * math.log(share * whole) for share in (rules.std_low, rules.std_high, 1.0)
        )
        return EntropyRange(low, high, most, words)
    capped = head.std == "capped"
    most = head.max_std if capped else math.inf
    high = rules.std_high * most if capped else rules.std_growth * head.initial_std
    low = rules.std_low * head.initial_std
    words = f"standard deviations of {low:.3g} to {high:.3g}" + (
        f", capped at {most:g}" if capped else ""
    )
    low, high, most = (head.size * (math.log(s) + _LOG_GAUSS) for s in (low, high, most))
    return EntropyRange(low, high, most, words)


def _choices(env: AutoReset, params: Any, head: ActionHead) -> list[list[int]]:
    """Return for each agent how many choices each of its categoricals has."""
    sizes = head.sizes or (head.size,)
    keys = jax.random.split(jax.random.key(0), 1)
    start = jax.jit(env.init)
    observation = jax.eval_shape(start, keys, params)[1]
    if not (isinstance(observation, dict) and ACTION_MASK in observation):
        return [list(sizes)] * (env.num_agents or 1)
    masks = np.asarray(start(keys, params)[1][ACTION_MASK]).reshape(-1, sum(sizes))
    ends = np.cumsum(sizes)[:-1]
    # One choice left is none: log 1 = 0.
    return [[max(1, int(part.sum())) for part in np.split(mask, ends)] for mask in masks]
