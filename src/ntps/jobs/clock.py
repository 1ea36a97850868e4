"""Where the seconds of a run went."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PHASES = ("tokenize", "forward", "statistics", "theory")


class Clock:
    """Adds up seconds by phase, from its creation on.

    Args:
        phases: Names of the phases.
    """

    def __init__(self, phases: Sequence[str] = PHASES) -> None:
        self._began = time.perf_counter()
        self._phases = dict.fromkeys(phases, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts what happens inside towards a phase."""
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Counts seconds that were measured elsewhere."""
        self._phases[name] += seconds

    def seconds(self) -> dict[str, float]:
        """Seconds by phase, and in total."""
        rounded = {name: round(value, 3) for name, value in self._phases.items()}
        return {**rounded, "total": round(time.perf_counter() - self._began, 3)}
