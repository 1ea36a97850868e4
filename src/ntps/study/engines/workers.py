"""The engine of several processes: one that dies takes nothing with it but its own run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

import torch

from ntps.study.engines.queue import TRIES, Job, Listener, Queue
from ntps.study.measurements import ModelTaskCache
from ntps.study.runs import Outcome, Run, give_up, perform

END_TIMEOUT_S = 10.0
"""Seconds that an idle process has to end by itself."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Worker:
    """A process of its own and the line to it."""

    def __init__(self, job: Job, threads: int) -> None:
        # Not forked: a fork inherits the locks of threads and the context of a GPU, which break in it.
        context = multiprocessing.get_context("spawn")
        self.line, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, job), daemon=True)
        self.run: Run | None = None
        self.group: tuple[str, ...] | None = None
        with _threads(threads):
            self.process.start()
        other.close()

    def give(self, run: Run) -> None:
        """Sends a run; a process that is gone is noticed by whoever waits for the outcome."""
        self.run, self.group = run, run.group
        with suppress(OSError):
            self.line.send(run)

    def outcome(self) -> Outcome | None:
        """What became of the run; None if the process died."""
        try:
            outcome: Outcome = self.line.recv()
        except (EOFError, OSError):
            return None
        return outcome

    def end(self) -> None:
        """Ends the process, whatever it does: checkpoints stand that."""
        self.line.close()
        if self.run is None:
            # It has nothing to do, sees that nobody will give it anything, and leaves the house in order.
            self.process.join(END_TIMEOUT_S)
        self.process.terminate()
        self.process.join()


def run_in_workers(job: Job, listener: Listener, jobs: int) -> None:
    """Makes the runs in several processes that share the machine's cores.

    A run whose process dies is tried once more, and then recorded as failed.

    Args:
        job: What to do.
        listener: Learns what becomes of each run.
        jobs: Number of processes.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    queue, deaths = Queue(job.runs), Counter[str]()
    workers: list[_Worker] = []
    try:
        while True:
            for _ in range(jobs - sum(worker.run is not None for worker in workers)):
                idle = next((worker for worker in workers if worker.run is None), None)
                groups = [worker.group for worker in workers if worker.group and worker is not idle]
                run = queue.take(idle.group if idle else None, groups)
                if run is None:
                    break
                if idle is None:
                    idle = _Worker(job, threads)
                    workers.append(idle)
                listener.started(run)
                idle.give(run)
            busy = {worker.line: worker for worker in workers if worker.run}
            if not busy:
                return
            for line in wait(list(busy)):
                worker = busy[line]  # type: ignore[index]
                run, outcome = worker.run, worker.outcome()
                assert run is not None
                worker.run = None
                if outcome is None:
                    worker.end()
                    workers.remove(worker)
                    deaths[run.digest] += 1
                    how = f"its process died (exit status {worker.process.exitcode})"
                    if deaths[run.digest] < TRIES:
                        listener.waiting(run, f"{how}: it is tried again")
                        queue.put_back(run)
                        continue
                    outcome = give_up(run, f"{how} {TRIES} times: often the memory is too small; try fewer `jobs`")
                queue.settle(outcome, listener)
    finally:
        for worker in workers:
            worker.end()


def _work(line: Connection, job: Job) -> None:
    """What a worker process does: runs come in, outcomes go out."""
    # The user's interruption reaches every process of the terminal, and the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    bench = ModelTaskCache(job.data_dir)
    while True:
        try:
            run = line.recv()
        except EOFError:
            return
        line.send(perform(run, bench, job.overwrite))


def _follow_parent() -> None:
    """Nobody would learn of what an orphan does, and its folder would stay claimed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Numerical libraries read how many threads they may use when they are loaded, first thing in a new process."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(number)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
