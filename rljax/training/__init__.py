"""Training runs: config, program, loop, checkpoints, run folder."""
