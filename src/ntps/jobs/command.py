"""The command line that runs, for results to say what made them."""

from contextvars import ContextVar

COMMAND: ContextVar[str | None] = ContextVar("command", default=None)
"""None in Python, and in worker processes."""
