"""Several robots push one object to a target: planar rigid bodies in contact."""
