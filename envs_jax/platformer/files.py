"""Files of arrays that are written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

__all__ = ["write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed ``.npz``; whoever reads it meanwhile sees the old one or the new one.

    Raises:
        OSError: if it cannot be written; nothing is then left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
