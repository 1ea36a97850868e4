"""What the folder of a run says, and which runs are made."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What a run's folder says."""

    done = "done"
    failed = "failed"
    interrupted = "interrupted"
    missing = "missing"
    other = "other"
    """There is a result, but of another run."""
    busy = "busy"
    """Somebody else is at it."""


class Overwrite(StrEnum):
    """Which runs are made."""

    always = "always"
    """Every one, anew."""
    never = "never"
    """Those whose folder holds nothing yet."""
    only_missing = "only-missing"
    """Those without a result that did not fail; interrupted ones go on."""
    failed = "failed"
    """Those, and the ones that failed."""
