"""A platformer with the physics of N++: tiles, slopes, wall jumps, mines and locked doors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envs_jax.platformer.simulate import simulate

__all__ = ["simulate"]


def __getattr__(name: str) -> Any:
    """`simulate` when it is asked for: what it needs is not loaded for the package alone."""
    if name == "simulate":
        import importlib

        return importlib.import_module("envs_jax.platformer.simulate").simulate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
