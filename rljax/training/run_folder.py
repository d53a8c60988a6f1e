"""The folder of a run: what was asked for, what happened, and what is needed to go on."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rljax.algorithms.distil_config import TeacherRecord
from rljax.core.config import from_dict, load_yaml, to_dict
from rljax.core.errors import UserError, nearest
from rljax.core.versions import versions
from rljax.training.config import Config


class RunFolder:
    """Paths and small files of a run.

    ``config.json`` every resolved field · ``environment.json`` versions and devices ·
    ``metrics.jsonl`` · TensorBoard events · ``checkpoints/`` · ``summary.json`` · with a curriculum
    ``curriculum.json`` · of a student ``teacher.json``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str] | None,
        config: Config,
        teacher: TeacherRecord | None = None,
    ) -> RunFolder:
        """Make a new run folder.

        Args:
            path: where; None: a new one under ``runs/``.
            config: of the run.
            teacher: whom a student learns from.

        Raises:
            UserError: if it exists and is not empty, or cannot be written.
        """
        if path is None:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            path = Path("runs") / f"{config.name}-s{config.seed}-{stamp}"
        folder = cls(path)
        try:
            if folder.path.exists() and any(folder.path.iterdir()):
                raise UserError(
                    f"run folder {folder.path} exists. Go on with --resume {folder.path}, or "
                    "choose another --run-dir."
                )
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"run folder {folder.path}: {error.strerror or error}") from None
        if teacher is not None:  # before what makes it a run
            _write_json(folder.teacher_path, to_dict(teacher))
        folder.write_config(config)
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Return an existing run folder.

        Raises:
            UserError: if there is none; names the nearest beside it.
        """
        folder = cls(path)
        if not folder.config_path.is_file():
            beside = [p.parent.name for p in folder.path.parent.glob("*/config.json")]
            hint = nearest(folder.path.name, beside)
            raise UserError(f"no run in {folder.path}: config.json is missing.{hint}")
        return folder

    @property
    def config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def teacher_path(self) -> Path:
        return self.path / "teacher.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints_path(self) -> Path:
        return self.path / "checkpoints"

    @property
    def summary_path(self) -> Path:
        return self.path / "summary.json"

    def read_config(self) -> Config:
        """Return the config of the run.

        Raises:
            UserError: if the file is damaged.
        """
        return from_dict(Config, load_yaml(self.config_path))

    def read_teacher(self) -> TeacherRecord:
        """Return whom the run learns from.

        Raises:
            UserError: if the file is missing or damaged.
        """
        return from_dict(TeacherRecord, load_yaml(self.teacher_path))

    def write_config(self, config: Config) -> None:
        """Store every field of a config."""
        _write_json(self.config_path, to_dict(config))

    def write_environment(self, environment: dict[str, Any]) -> None:
        """Store versions, devices and what else decides the numbers."""
        _write_json(self.path / "environment.json", environment)

    def write_curriculum(self, curriculum: dict[str, Any]) -> None:
        """Store the stages that the run has been through."""
        _write_json(self.path / "curriculum.json", curriculum)

    def read_summary(self) -> dict[str, Any]:
        """Return the summary of the run; empty if there is none yet."""
        if not self.summary_path.is_file():
            return {}
        summary: dict[str, Any] = json.loads(self.summary_path.read_text())
        return summary

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Store the summary of the run."""
        _write_json(self.summary_path, summary)


def describe_environment(devices: Iterable[Any] | None = None) -> dict[str, Any]:
    """Return versions, devices, git commit and thread-pool size, as JSON types.

    Args:
        devices: those that the run uses; None: all that this process has.
    """
    import jax

    return {
        "versions": versions(),
        "devices": [
            f"{device.platform}:{device.id} {device.device_kind}"
            for device in (jax.local_devices() if devices is None else devices)
        ],
        "processes": jax.process_count(),
        "nproc": os.environ.get("NPROC"),
        "matmul_precision": str(jax.config.values["jax_default_matmul_precision"]),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def _write_json(path: Path, value: Any) -> None:
    """Replace a file as a whole, so that a kill or a full disk leaves the old or the new one."""
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps(value, indent=2) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"could not write {path}: {error.strerror or error}") from None
