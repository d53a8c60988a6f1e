"""A platformer with the physics of N++: tiles, slopes, wall jumps, mines and locked doors."""
