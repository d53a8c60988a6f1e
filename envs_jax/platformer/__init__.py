"""A platformer with the physics of N++: tiles, slopes, wall jumps, mines and locked doors."""

from envs_jax.platformer.simulation import simulate

__all__ = ["simulate"]
