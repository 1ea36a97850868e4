"""Checkpoints of a training: which are complete, and which stay."""

from __future__ import annotations

from pathlib import Path

from ntps.checkpoint.owned_files import erase
from ntps.training.finetuning.saved import CHECKPOINT, COMPLETE

KEPT = 2
"""Checkpoints that stay: a loss of power may take the last one."""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in a folder, if there is one."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(found, key=_step, default=None)


def complete(folder: Path, step: int) -> None:
    """Marks a checkpoint as complete, and removes older ones: the Trainer would remove whatever is in their folders."""
    (folder / f"checkpoint-{step}" / COMPLETE).touch()
    for old in sorted((path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")), key=_step)[:-KEPT]:
        erase(folder, [f"{old.name}/{name}" for name in CHECKPOINT])


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
