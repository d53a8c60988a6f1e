"""Types, configs, keys, meshes and the settings that precede JAX: what every package uses."""
