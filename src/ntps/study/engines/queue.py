"""Which run is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ntps.study.runs import Outcome, Run
from ntps.study.status import Overwrite, Status

TRIES = 2
"""How often a run whose process dies is tried."""


@dataclass(frozen=True)
class Job:
    """What an engine is to do.

    Attributes:
        runs: The runs.
        overwrite: Which of them are made.
        data_dir: Folder with local copies of named tasks.
    """

    runs: Sequence[Run]
    overwrite: Overwrite
    data_dir: str | None = None


class Listener(Protocol):
    """Learns how a study is going."""

    def started(self, run: Run) -> None:
        """A run begins."""

    def waiting(self, run: Run, why: str) -> None:
        """A run will be tried again later; told each time."""

    def finished(self, outcome: Outcome) -> None:
        """A run has ended, one way or another."""


class NullListener:
    """Tells nobody."""

    def started(self, run: Run) -> None:
        """Says nothing."""

    def waiting(self, run: Run, why: str) -> None:
        """Likewise."""

    def finished(self, outcome: Outcome) -> None:
        """Likewise."""


class Queue:
    """Runs that wait: those of one model and task stay together, and none comes before the one that it continues."""

    def __init__(self, runs: Sequence[Run]) -> None:
        """Begins with all runs waiting."""
        self._waiting = deque(runs)
        self._open = {run.digest for run in runs}
        self._tried: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, group: tuple[str, ...] | None = None, others: Collection[tuple[str, ...]] = ()) -> Run | None:
        """The next run that can begin, if there is one.

        Args:
            group: What is at hand: runs of it come first.
            others: What others have at hand: runs of it come last.
        """
        ready = [run for run in self._waiting if not any(needed.digest in self._open for needed in run.needs)]
        if not ready:
            return None
        # Among equals, the order of the study.
        run = min(ready, key=lambda run: (run.digest in self._tried, run.group != group, run.group in others))
        self._waiting.remove(run)
        return run

    def put_back(self, run: Run) -> None:
        """A run that must be tried again, after all the others."""
        self._tried.add(run.digest)
        self._waiting.append(run)

    def settle(self, outcome: Outcome, listener: Listener) -> None:
        """A run has ended, or was found in other hands and comes back later."""
        if outcome.state.status is Status.busy:
            listener.waiting(outcome.run, str(outcome.state.cause))
            self.put_back(outcome.run)
        else:
            self._open.discard(outcome.run.digest)
            listener.finished(outcome)
