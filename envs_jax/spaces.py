"""Spaces: gymnax's own, a multi-discrete one, and what a network needs to know of a space.

gymnax's classes (``Space``, ``Discrete``, ``Box``, ``Dict``, ``Tuple``) are looked up when they are
first asked for, not when this module is imported: gymnax starts a backend on import.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from gymnax.environments.spaces import Box, Dict, Discrete, Space, Tuple

__all__ = [
    "ACTION_MASK",
    "ACTIVE",
    "GLOBAL_STATE",
    "PRIVILEGED",
    "RESERVED",
    "ActionKind",
    "Box",
    "Dict",
    "Discrete",
    "MultiDiscrete",
    "Space",
    "Tuple",
    "action_kind",
    "bounds",
    "flat_size",
]

ActionKind = Literal["discrete", "multi_discrete", "continuous"]

ACTION_MASK = "action_mask"
"""Reserved part of a dict observation: bool ``[sum of category counts]``, True where an action is
allowed, over the concatenated logits of a (multi-)discrete action space. Networks mask logits with
it and never feed it to a torso."""

GLOBAL_STATE = "global_state"
"""Reserved part of a multi-agent world's observation: float32 ``[G]``, all of the world that a
centralised critic may see. No actor does."""

ACTIVE = "active"
"""Reserved part of a multi-agent world's observation: bool ``[num_agents]``, whether the agent acts
in this step. No actor learns from what it did while inactive; a critic learns from all steps."""

PRIVILEGED = "privileged"
"""Reserved part of a dict observation: numbers of any shape that only the critic sees, such as true
velocities and friction in a simulator. A policy acts without it, so it need not be there where one
is deployed."""

RESERVED = (ACTION_MASK, GLOBAL_STATE, ACTIVE, PRIVILEGED)
"""Parts that are not what an agent sees."""

_FROM_GYMNAX = ("Box", "Dict", "Discrete", "Space", "Tuple")


def __getattr__(name: str) -> Any:
    if name not in _FROM_GYMNAX:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gymnax.environments import spaces

    return getattr(spaces, name)


class MultiDiscrete:
    """A fixed number of independent categorical choices, int32 ``[len(sizes)]``.

    Args:
        sizes: number of categories of each choice, all at least 1.

    Raises:
        ValueError: for no sizes, or a size below 1.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"MultiDiscrete sizes {self.sizes}: expected one or more sizes >= 1")
        self.shape = (len(self.sizes),)
        self.dtype = np.dtype(np.int32)

    def __repr__(self) -> str:
        return f"MultiDiscrete({self.sizes})"

    def sample(self, key: jax.Array) -> jax.Array:
        """Each choice uniform over its own categories, int32 ``[len(sizes)]``."""
        return jax.random.randint(key, self.shape, 0, np.asarray(self.sizes), jnp.int32)

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether every choice is a category of its own, bool scalar."""
        x = jnp.asarray(x)
        return jnp.all((x >= 0) & (x < np.asarray(self.sizes)))


def action_kind(space: Any) -> ActionKind:
    """Which family of distributions acts in `space`.

    Raises:
        ValueError: for a space that is not Discrete, MultiDiscrete or Box.
    """
    from gymnax.environments import spaces

    if isinstance(space, spaces.Discrete):
        return "discrete"
    if isinstance(space, MultiDiscrete):
        return "multi_discrete"
    if isinstance(space, spaces.Box):
        return "continuous"
    raise ValueError(
        f"action space {space!r} is not supported: expected Discrete, MultiDiscrete or Box"
    )


def bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of a Box as float32 of its shape, on the host.

    Raises:
        ValueError: for a space that is not a Box.
    """
    if action_kind(space) != "continuous":
        raise ValueError(f"{space!r} has no bounds: expected a Box")
    low, high = (
        np.array(np.broadcast_to(np.asarray(bound, np.float32), space.shape))
        for bound in (space.low, space.high)
    )
    return low, high


def flat_size(space: Any) -> int:
    """Length of an element of `space` as one flat vector, categories counted as one-hot.

    For a (multi-)discrete action space this is the number of logits. Reserved parts of a dict
    observation are not counted, for they are no input.

    Raises:
        ValueError: for a space of an unknown kind.
    """
    from gymnax.environments import spaces

    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, MultiDiscrete):
        return sum(space.sizes)
    if isinstance(space, spaces.Box):
        return math.prod(space.shape)
    if isinstance(space, spaces.Dict):
        return sum(flat_size(part) for name, part in space.spaces.items() if name not in RESERVED)
    if isinstance(space, spaces.Tuple):
        return sum(flat_size(part) for part in space.spaces)
    raise ValueError(
        f"space {space!r} has no size: expected Discrete, MultiDiscrete, Box, Dict or Tuple"
    )
