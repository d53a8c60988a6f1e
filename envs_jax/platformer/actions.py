"""The six actions: none, left, right, jump, jump left, jump right."""

import numpy as np

__all__ = ["ACTIONS", "HORIZONTAL", "JUMP"]

HORIZONTAL = np.array([0, -1, 1, 0, -1, 1], np.int8)
"""Which way each pushes."""
JUMP = np.array([0, 0, 0, 1, 1, 1], bool)
"""Whether the button is down."""
ACTIONS = len(HORIZONTAL)
