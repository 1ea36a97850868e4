"""The engine of one process."""

from __future__ import annotations

from ntps.jobs.progress import Reporter
from ntps.study.engines.queue import Job, Listener, Queue
from ntps.study.measurements import ModelTaskCache
from ntps.study.runs import perform


def run_here(job: Job, listener: Listener, reporter: Reporter | None = None) -> None:
    """Makes the runs one after another in this process.

    Args:
        job: What to do.
        listener: Learns what becomes of each run.
        reporter: Learns about progress within a run.
    """
    queue, bench = Queue(job.runs), ModelTaskCache(job.data_dir)
    group = None
    while (run := queue.take(group)) is not None:
        group = run.group
        listener.started(run)
        queue.settle(perform(run, bench, job.overwrite, reporter), listener)
