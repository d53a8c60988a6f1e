"""metrics.jsonl: one JSON object a line, the record from which every other can be made again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class JsonlSink:
    """Appends ``{"env_steps": n, "loss/policy": x, ...}`` rows to a file, one line each.

    Numbers that JSON does not have (NaN, infinities) are written as null. Lines of text are not
    kept. Rows reach the operating system before `log` returns, so a killed process loses none.

    Args:
        path: the file; it and its folder are made when absent.
        resume_step: environment steps at which the run goes on. Rows beyond it are cut off, as
            they will be written again. None appends. A half-written last line is always cut.
    """

    def __init__(self, path: str | Path, resume_step: int | None = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _cut(path, resume_step)
        self._file = path.open("ab")

    def log(self, metrics: Mapping[str, float], env_steps: int) -> None:
        numbers = {name: float(value) for name, value in metrics.items()}
        row = {"env_steps": int(env_steps)} | {
            name: x if math.isfinite(x) else None for name, x in numbers.items()
        }
        self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def text(self, message: str) -> None:
        pass

    def close(self, status: str) -> None:
        self._file.close()


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """The rows of a metrics.jsonl, null as NaN; lines that are damaged are left out."""
    with Path(path).open("rb") as file:
        rows = [row for row in map(_parse, file) if row]
    return [{name: math.nan if x is None else x for name, x in row.items()} for row in rows]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) and "env_steps" in row else None


def _cut(path: Path, resume_step: int | None) -> None:
    """Truncates the file behind its last whole row at or before `resume_step`."""
    position = end = 0
    with path.open("rb+") as file:
        for line in file:
            position += len(line)
            row = _parse(line)
            if row and (resume_step is None or row["env_steps"] <= resume_step):
                end = position
        file.truncate(end)
