"""Presets: one module per family, each with a dict of functions that return a config."""

from experiments.presets import classic, memory, minatar, particles, platformer, pushing, quadruped

PRESETS = (
    classic.PRESETS
    | minatar.PRESETS
    | memory.PRESETS
    | particles.PRESETS
    | pushing.PRESETS
    | platformer.PRESETS
    | quadruped.PRESETS
)
