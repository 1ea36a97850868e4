"""Models and tasks by a name that fits a title."""

from __future__ import annotations

from pathlib import Path


def short_name(name: str) -> str:
    """The last part of a path; a hub id or the name of a task as it is."""
    path = Path(name)
    return path.name if path.is_absolute() or name.startswith(("./", "../", "~")) else name
