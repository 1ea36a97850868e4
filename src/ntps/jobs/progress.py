"""Who learns about progress."""

from __future__ import annotations

from typing import Protocol

from ntps.forward.stream import Progress


class Reporter(Protocol):
    """Learns how a run is going."""

    def start(self, phase: str, total: int | None, unit: str) -> Progress:
        """A phase begins; the result is told about each bit of ``total`` that is done; None where nobody knows it."""


class NullReporter:
    """A reporter that says nothing."""

    def start(self, phase: str, total: int | None, unit: str) -> Progress:
        """Ignores the phase."""
        return lambda _done: None
