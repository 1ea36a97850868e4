"""Every row that is not used, and why, in words: for the screen, the warnings and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntps.jobs.blocks import TaskBlock

CHOSEN = frozenset({"beyond the limit", "held out", "not held out"})
"""Reasons that lie in how texts were chosen, and not in the rows."""


def unused_rows(task: TaskBlock, *, unusable: bool = False) -> list[str]:
    """One sentence for each split with rows that are not used.

    Args:
        task: The ``task`` block of a result.
        unusable: Only splits with rows that cannot be used, for want of a text or a label.
    """
    sentences = []
    for split in filter(None, (task, task.test)):
        dropped = split.dropped
        if dropped.keys() - CHOSEN if unusable else dropped:
            rows = split.texts + sum(dropped.values())
            listed = ", ".join(f"{why}: {count:,}" for why, count in dropped.items())
            where = f"the split '{split.split}'" if split.split else "all parts"
            sentences.append(f"{sum(dropped.values()):,} of {rows:,} rows of {where} are not used ({listed})")
    return sentences
