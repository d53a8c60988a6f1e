"""rljax: vectorised reinforcement learning in one compiled JAX program.

The public names are loaded on first use, so that ``import rljax`` starts no backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rljax.core.runtime import pin_thread_pool

if TYPE_CHECKING:
    from rljax import ops
    from rljax.evaluation.policy import Policy, load_policy
    from rljax.training.train import Result, train

__version__ = "0.1.0"
__all__ = ["Policy", "Result", "load_policy", "ops", "train"]

_HOME = {
    "Policy": "rljax.evaluation.policy",
    "load_policy": "rljax.evaluation.policy",
    "Result": "rljax.training.train",
    "train": "rljax.training.train",
}

pin_thread_pool()


def __getattr__(name: str) -> Any:
    if name == "ops":
        return importlib.import_module("rljax.ops")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'rljax' has no attribute {name!r}")
