"""Worlds written in JAX, and the machinery that they share; knows nothing of learning.

Importing this package is light: no backend is started and gymnax is not imported. Both happen in
:func:`envs_jax.registry.make`, because gymnax 1.0.1 creates an array when it is imported. So
whatever must precede the first use of a backend (thread-pool size, ``jax.distributed``) can still
be done after this import.
"""

from envs_jax.autoreset import AutoReset, AutoResetState, Start, Step
from envs_jax.registry import available, make, register

__all__ = ["AutoReset", "AutoResetState", "Start", "Step", "available", "make", "register"]
