"""Paths that users name."""

from __future__ import annotations

from pathlib import Path


def existing(name: str | Path) -> Path | None:
    """The file or folder of a name, ``~`` spelled out; None where nothing is, or can be."""
    try:
        path = Path(name).expanduser()
        return path if str(name) and path.exists() else None
    except (OSError, RuntimeError):  # a name that no file can have, a home of nobody
        return None
