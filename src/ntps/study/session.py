"""A study from its definition to its last run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ntps.errors import InputError
from ntps.files import existing
from ntps.jobs.progress import Reporter
from ntps.study.costs import Cost, estimate, needed
from ntps.study.engines import Job, Listener, run_here, run_in_workers, run_on_ray
from ntps.study.plan import plan_runs
from ntps.study.runs import Outcome, Run, State, run_state, skip_reason
from ntps.study.specs import Study
from ntps.study.state import refuse_other_study, write_state
from ntps.study.status import Overwrite

EngineName = Literal["local", "ray"]


@dataclass(frozen=True)
class PlannedRun:
    """A run, and what is to become of it.

    Attributes:
        run: The run.
        state: What its folder says now.
        kept: Why it is not made; None if it is.
        cost: What it costs, roughly.
    """

    run: Run
    state: State
    kept: str | None
    cost: Cost


@dataclass(frozen=True)
class StudySession:
    """A study with its folders.

    Attributes:
        study: The definition.
        out: Folder of ``study.json``.
        runs: All runs.
        overwrite: Which of them are made.
        data_dir: Folder with local copies of named tasks.
    """

    study: Study
    out: Path
    runs: Sequence[Run]
    overwrite: Overwrite
    data_dir: str | None

    @classmethod
    def begin(
        cls,
        study: Study,
        out: Path,
        *,
        results: Path | None = None,
        overwrite: Overwrite = Overwrite.only_missing,
        data_dir: str | None = None,
    ) -> StudySession:
        """Plans a study.

        Args:
            study: The definition.
            out: Folder of ``study.json``.
            results: Folder of the runs, which studies may share; ``results`` in ``out`` by default.
            overwrite: Which runs are made.
            data_dir: Folder with local copies of named tasks.

        Raises:
            InputError: ``out`` belongs to another study, or a file of a model or task cannot be read.
        """
        refuse_other_study(out, study)
        whole = None if data_dir is None else str((existing(data_dir) or Path(data_dir)).resolve())
        runs = plan_runs(study, results or out / "results", whole)
        return cls(study, out, runs, overwrite, whole)

    def plan(self) -> list[PlannedRun]:
        """What is to be done, and what it costs."""
        costs = estimate(self.runs, self.data_dir)
        states = [run_state(run) for run in self.runs]
        return [
            PlannedRun(run, state, skip_reason(state, self.overwrite, run.folder), costs[run.digest])
            for run, state in zip(self.runs, states, strict=True)
        ]

    def run(
        self,
        listener: Listener,
        *,
        engine: EngineName = "local",
        jobs: int = 1,
        address: str | None = None,
        reporter: Reporter | None = None,
        only: Sequence[Run] | None = None,
    ) -> list[Outcome]:
        """Makes the runs that are to be made; ``study.json`` is up to date after each.

        Args:
            listener: Learns what becomes of each run.
            engine: ``local`` or ``ray``.
            jobs: Number of processes of the local engine.
            address: Of a Ray cluster.
            reporter: Learns about progress within a run, where runs are made in this process.
            only: Those of the runs that are looked at now; all by default.

        Returns:
            The outcome of each run, in the order in which they ended.

        Raises:
            InputError: The engine cannot be used, or ``out`` cannot be written.
        """
        if engine not in ("local", "ray"):
            raise InputError(f"`engine` must be local or ray, not {engine!r}")
        if jobs < 1:
            raise InputError(f"`jobs` must be at least 1, not {jobs}")
        notes = _Notes(self, listener)
        notes.write()
        job = Job(self.runs if only is None else only, self.overwrite, self.data_dir)
        if engine == "ray":
            costs = estimate(job.runs, self.data_dir)
            needs = {run.digest: needed(costs[run.digest], self.study.resources) for run in job.runs}
            run_on_ray(job, notes, needs, address)
        elif jobs > 1:
            run_in_workers(job, notes, jobs)
        else:
            run_here(job, notes, reporter)
        return notes.outcomes


class _Notes:
    """A listener that keeps ``study.json`` up to date and passes everything on."""

    def __init__(self, studying: StudySession, listener: Listener) -> None:
        self._studying, self._listener = studying, listener
        # Looked at once: after that, what ended says how it stands.
        self._states = {run.digest: run_state(run) for run in studying.runs}
        self.outcomes: list[Outcome] = []

    def started(self, run: Run) -> None:
        self._listener.started(run)

    def waiting(self, run: Run, why: str) -> None:
        self._listener.waiting(run, why)

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._states[outcome.run.digest] = outcome.state
        self.write()
        self._listener.finished(outcome)

    def write(self) -> None:
        write_state(self._studying.out, self._studying.study, self._studying.runs, self._states)
