"""Training: the host's part, which launches chunks and, between them, logs, evaluates and saves."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from rljax.core.config import diff
from rljax.core.digest import state_digest
from rljax.core.distributed import gather, is_leader, leader_first
from rljax.core.errors import UserError
from rljax.core.runtime import all_devices, prepare
from rljax.core.types import PolicyState, TrainState
from rljax.evaluation.rollouts import make_evaluation
from rljax.evaluation.statistics import summarise
from rljax.tracking import Sink
from rljax.training.build import hardest_stage, make_env, make_program
from rljax.training.checkpoint import Checkpoints
from rljax.training.config import RESUMABLE, Config
from rljax.training.interrupt import REASONS, Interrupt
from rljax.training.metrics import Rows
from rljax.training.plan import make_plan
from rljax.training.presets import preset
from rljax.training.program import MAX_CHUNK, Program
from rljax.training.restore import begin, find_start, find_teacher
from rljax.training.run_folder import RunFolder, describe_environment
from rljax.training.sinks import Console, open_sinks
from rljax.training.stage_report import StageReport
from rljax.training.staging import group_names
from rljax.training.usage import Usage

# Seconds that one chunk should take: short enough to stop in, long enough to hide the host.
_CHUNK_SECONDS = 1.0

NOT_FINITE = "a loss or gradient was not finite"


@dataclass(frozen=True)
class Result:
    """What :func:`train` returns.

    Attributes:
        run_dir: the run folder.
        summary: what ``summary.json`` holds.
        status: "finished", or why the run stopped early.
    """

    run_dir: Path
    summary: dict[str, Any]
    status: str


def train(
    config: Config | str,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool | Literal["auto"] = False,
    time_limit: float | None = None,
    console: Console = "auto",
    sinks: Sequence[Sink] = (),
) -> Result:
    """Train as a config says, and leave a run folder.

    Args:
        config: a config, or the name of a preset.
        run_dir: folder of the run; None makes one under ``runs/``.
        resume: go on from the newest good checkpoint in ``run_dir``; "auto" does so if there is a
            run in it and starts one otherwise (anew, if it was killed before its first).
        time_limit: seconds after which to save a checkpoint and stop.
        console: what to show on stderr: a live bar, rows, nothing, or what fits.
        sinks: who else is told the metrics of every row, see :class:`rljax.tracking.Sink`.

    Raises:
        UserError: for anything in the arguments that cannot be, in one line.
    """
    if isinstance(config, str):
        config = preset(config)
    prepare(config.devices)
    if run_dir is None and (resume is True or jax.process_count() > 1):
        why = "resume" if resume else "several processes"
        raise UserError(f"{why}: no run folder given, expected run_dir (one that all share)")
    if resume == "auto":
        exists = run_dir is not None and RunFolder(run_dir).config_path.is_file()
        resume = "auto" if gather([exists])[0, 0] else False
    if resume:
        assert run_dir is not None
        folder = RunFolder.open(run_dir)
        config = _resumed_config(folder.read_config(), config)
    teacher = find_teacher(config, folder if resume else None)
    program = make_program(config, all_devices(config.devices), teacher)
    program.abstract_state()  # what does not fit the world is told before anything is written
    start = None if resume else find_start(config, program)
    if not resume:
        record = None if teacher is None else teacher.record
        made = leader_first(lambda: RunFolder.create(run_dir, config, record))
        folder = made or RunFolder(run_dir or "")
    with Interrupt(time_limit) as interrupt:
        return _Run(config, program, start, folder, resume, interrupt, console, sinks).run()


def _resumed_config(stored: Config, wanted: Config) -> Config:
    """Return the stored config with those fields of ``wanted`` that may change."""
    changed = diff(stored, wanted)
    fixed = [path for path in changed if not {path, path.split(".")[0]} & set(RESUMABLE)]
    if fixed:
        old, new = changed[fixed[0]]
        raise UserError(
            f"resume: {fixed[0]} is {old} in the run and cannot become {new}. "
            f"Only these may change: {', '.join(RESUMABLE)}."
        )
    return wanted


class _Run:
    """One run in progress."""

    def __init__(
        self,
        config: Config,
        program: Program,
        start: PolicyState | None,
        folder: RunFolder,
        resume: bool | Literal["auto"],
        interrupt: Interrupt,
        console: Console,
        sinks: Sequence[Sink],
    ) -> None:
        self.config, self.program, self.folder = config, program, folder
        self.interrupt = interrupt
        self.plan = make_plan(config, program.algorithm.steps_per_update)
        self.usage = Usage()
        env, env_params = make_env(config, hardest_stage(config))
        options = config.evaluation
        self._evaluate = make_evaluation(
            program.algorithm, env, env_params, options.episodes, options.greedy, options.max_steps
        )
        keep = config.checkpoint
        self.checkpoints = Checkpoints(
            folder.checkpoints_path, keep.keep_latest, keep.keep_best, keep.keep_every
        )
        self.state: TrainState
        self.updates = 0
        self.progress: dict[str, Any] = {}
        restores = resume is True or bool(resume and self.checkpoints.all_steps())
        if restores:
            steps, self.state, self.progress = self.checkpoints.restore(program.abstract_state())
            self.updates = steps // self.plan.steps_per_update
        else:
            # A run that was killed before its first checkpoint begins anew.
            self.state = begin(program, find_start(config, program) if resume else start)
        self.started_at = self.updates
        self.saved_at = self.updates if restores else None
        self.rows: Rows
        self.evaluation: dict[str, Any] = self.progress.get("evaluation", {})
        self.train_return: float | None = self.progress.get("train_return")
        if is_leader():
            if resume:
                folder.write_config(config)
            folder.write_environment(self._environment())
        self.sinks = open_sinks(
            folder,
            total_steps=self.plan.total * self.plan.steps_per_update,
            env_steps=self.env_steps,
            members=len(program.seeds),
            resume=bool(resume),
            console=console,
            others=sinks,
        )
        self.stages = StageReport(
            config.curriculum if is_leader() else None,
            program.seeds,
            self.plan.steps_per_update,
            group_names(env, env_params) if config.curriculum is not None else (),
            folder,
            self.sinks.text,
        )

    @property
    def env_steps(self) -> int:
        """Steps done, over all environments of one member."""
        return self.updates * self.plan.steps_per_update

    def run(self) -> Result:
        """Train to the end or to the first reason to stop."""
        status = "failed"
        try:
            self._announce()
            if self.config.nonfinite == "stop":
                self._save()  # so that there is a last good one from the first update on
            status = self._loop()
            if status != NOT_FINITE:
                self._save()
            self.checkpoints.wait()
            self.stages.write(self.state)
            # A run that had ended already has a summary, with speeds that this process lacks.
            stored = self.folder.read_summary() if self.updates == self.started_at else {}
            kept = stored.get("env_steps") == self.env_steps
            summary = stored | {"status": status} if kept else self._summary(status)
            if is_leader():
                self.folder.write_summary(summary)
            if status != "finished":
                self.sinks.text(
                    f"Stopped ({status}) at {self.env_steps:,} env_steps; the newest checkpoint "
                    f"is at {self.checkpoints.latest():,}. "
                    f"Go on with: python experiments/run.py --resume {self.folder.path}"
                )
            return Result(self.folder.path, summary, status)
        finally:
            self.sinks.close(status)
            self.checkpoints.close()

    def _announce(self) -> None:
        wanted, total = self.config.total_steps, self.plan.total * self.plan.steps_per_update
        how = "exactly" if wanted == total else f"rounded up from {wanted:,} to whole updates"
        self.sinks.text(f"{self.config.name}: {total:,} env_steps, {how} -> {self.folder.path}")
        if self.started_at:
            self.sinks.text(f"Going on at {self.env_steps:,} env_steps")
        self.program.compile()
        self.sinks.text(f"Compiled in {self.program.compile_s:.1f} s")
        self.rows = Rows(self.program.metric_names, self.program.seeds, self.plan)
        self.rows.go_on(self.progress.get("row", {}))

    def _loop(self) -> str:
        """Launch chunks until the end or a reason to stop; return which."""
        length, reason = 1, None
        self.stages.follow(self.state)
        pending: list[tuple[int, int, jax.Array]] = []  # chunks whose metrics are not yet read
        self.usage.start()
        while self.updates < self.plan.total and reason is None:
            count = min(self.plan.next_stop(self.updates) - self.updates, length)
            began = time.perf_counter()
            self.state, metrics = self.program.chunk(self.state, count)
            self._log(pending)  # of the chunk before, while this one runs
            pending.append((self.updates, count, metrics))
            self.updates += count
            jax.block_until_ready(metrics)
            length = _next_length(length, (time.perf_counter() - began) / count)
            self.stages.follow(self.state)
            if self._something_due():
                self._log(pending)
                if not self._poisoned():
                    self._do_due()
            reason, length = self._agreed(length)
        self._log(pending)
        if self._poisoned():
            return NOT_FINITE
        return "finished" if reason is None or self.updates == self.plan.total else reason

    def _poisoned(self) -> bool:
        return self.config.nonfinite == "stop" and self.rows.skipped > 0

    def _agreed(self, length: int) -> tuple[str | None, int]:
        """Return why to stop and the next chunk's length, the same in all processes."""
        reason = NOT_FINITE if self._poisoned() else self.interrupt.reason
        reasons = (None, *REASONS, NOT_FINITE)
        answers = gather([reasons.index(reason), length])
        return reasons[answers[:, 0].max()], int(answers[0, 1])

    def _something_due(self) -> bool:
        plan, done = self.plan, self.updates
        return plan.due(plan.evaluate, done) or plan.due(plan.checkpoint, done)

    def _do_due(self) -> None:
        with self.usage.paused():
            if self.plan.due(self.plan.evaluate, self.updates):
                self._evaluate_members()
            self._save()  # after an evaluation, too, as it may be the best

    def _log(self, pending: list[tuple[int, int, jax.Array]]) -> None:
        for first, count, metrics in pending:
            for env_steps, row in self.rows.add(first, np.asarray(metrics)[:, :count]):
                self.train_return = row.get("recent/return", self.train_return)
                self.sinks.log(row, env_steps)
        pending.clear()

    def _evaluate_members(self) -> None:
        """Evaluate every member, on the same episodes in every process."""
        policies = self.program.policies(self.state)
        members = []
        for seed, policy in zip(self.program.seeds, policies, strict=True):
            episodes = self._evaluate(policy, seed)
            if not np.isfinite(episodes.total).all():
                wrong = int((~np.isfinite(episodes.total)).sum())
                self.sinks.text(
                    f"Evaluation at {self.env_steps:,} env_steps left out: the world gave returns "
                    f"that are not finite in {wrong} of {len(episodes.total)} episodes"
                )
                return
            member: dict[str, Any] = summarise(episodes.total.tolist())
            member |= {"seed": seed, "finished": int(episodes.finished.sum())}
            if episodes.success is not None:
                member["success"] = float(episodes.success.mean())
            if self.config.evaluation.every_stage:
                member["stages"] = self._evaluate_stages(policy, seed)
            members.append(member)
        mean = float(np.mean([member["mean"] for member in members]))
        row = {
            "evaluation/return": mean,
            "evaluation/return_sd": float(np.mean([m["sd"] for m in members])),
        }
        if "success" in members[0]:
            row["evaluation/success"] = float(np.mean([m["success"] for m in members]))
        for name in members[0].get("stages", ()):
            each = [member["stages"][name] for member in members]
            row[f"evaluation/return/{name}"] = float(np.mean([stage["mean"] for stage in each]))
            row[f"evaluation/success/{name}"] = float(np.mean([s["success"] for s in each]))
        if len(members) > 1:
            for member in members:
                prefix = f"seed{member['seed']}/evaluation"
                row[f"{prefix}/return"] = member["mean"]
                if "success" in member:
                    row[f"{prefix}/success"] = member["success"]
        self.evaluation = {"env_steps": self.env_steps, "mean": mean, "members": members}
        self.sinks.log(row, self.env_steps)

    def _evaluate_stages(self, policy: PolicyState, seed: int) -> dict[str, dict[str, float]]:
        """Evaluate a policy on each stage of the curriculum."""
        assert self.config.curriculum is not None
        names = self.config.curriculum.names
        results = {}
        for name, chances in zip(names, np.eye(len(names), dtype=np.float32), strict=True):
            episodes = self._evaluate(policy, seed, chances)
            assert episodes.success is not None
            mean, success = float(episodes.total.mean()), float(episodes.success.mean())
            results[name] = {"mean": mean, "success": success}
        return results

    def _save(self) -> None:
        """Save all that the run needs to go on as if it had not stopped; once for each step."""
        if self.saved_at == self.updates:
            return
        current = self.evaluation.get("env_steps") == self.env_steps
        progress = {
            "updates": self.updates,
            "row": self.rows.state(),
            "evaluation": self.evaluation,
            "train_return": self.train_return,
        }
        metric = self.evaluation["mean"] if current else None
        self.checkpoints.save(self.env_steps, self.state, metric, progress)
        self.saved_at = self.updates

    def _summary(self, status: str) -> dict[str, Any]:
        done = self.updates - self.started_at
        steps = done * self.plan.steps_per_update * len(self.program.seeds)
        summary: dict[str, Any] = {
            "status": status,
            "name": self.config.name,
            "run_dir": str(self.folder.path),
            "env_steps": self.env_steps,
            "total_steps": self.config.total_steps,
            "updates": self.updates,
            "seeds": list(self.program.seeds),
            "compile_s": round(self.program.compile_s, 3),
        }
        summary |= self.usage.report(steps)
        summary["train_return"] = _number(self.train_return)
        summary["skipped_steps"] = int(np.asarray(self.state.skipped).sum())
        summary["eval_return"] = None
        if self.evaluation:
            members = self.evaluation["members"]
            summary["eval_return"] = {
                "mean": self.evaluation["mean"],
                "sd": float(np.mean([m["sd"] for m in members])),
                "episodes": self.config.evaluation.episodes,
                "env_steps": self.evaluation["env_steps"],
                "members": members,
            }
        if self.config.curriculum is not None:
            told = self.stages.summary(self.state)
            where = "stage" if self.config.curriculum.scope == "run" else "level"
            summary["curriculum"] = {seed: told[seed][where] for seed in told}
        summary["best_checkpoint"] = self.checkpoints.best_step()
        summary["state_digest"] = state_digest(self.state)
        return summary | self._environment()

    def _environment(self) -> dict[str, Any]:
        return describe_environment(self.program.mesh.devices.flat)


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _next_length(length: int, seconds_per_update: float) -> int:
    """Return how many updates the next chunk should have; it at most doubles."""
    wanted = int(_CHUNK_SECONDS / max(seconds_per_update, 1e-6))
    return max(1, min(wanted, 2 * length, MAX_CHUNK))
