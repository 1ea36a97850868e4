"""Where a task's rows come from: a file, a folder, the hub, or memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ntps.tasks.sources.table import Table

VALIDATION = ("validation", "valid", "val", "dev")
"""Names that a validation split goes by."""


@dataclass(frozen=True)
class Source:
    """Splits that can be read, and what is known about them beforehand.

    Attributes:
        description: What the task's ``source`` says.
        splits: Names of the splits.
        read: Reads one of them.
        revision: Commit of a hub dataset.
        text: Text columns, if they are known.
        label: Label column, if it is known.
        label_names: Class names, if they are known.
        hold_out: Split 70/30 where there is neither a test nor a validation split.
        notes: Choices made so far, one sentence each.
    """

    description: str
    splits: tuple[str, ...]
    read: Callable[[str], Table]
    revision: str | None = None
    text: tuple[str, ...] = ()
    label: str | None = None
    label_names: tuple[str, ...] | None = None
    hold_out: bool = False
    notes: tuple[str, ...] = ()

    def held_out(self, scored: str) -> tuple[str, ...]:
        """Splits that can serve as the test of a scored one, in the order of preference."""
        if scored == "test":
            return ()
        names = ("test",) if scored in VALIDATION else ("test", *VALIDATION)
        return tuple(name for name in names if name in self.splits)
