"""The errors that users meet: one clear sentence each, with the exit status that the command line returns."""

from __future__ import annotations


class NtpsError(Exception):
    """Base of all errors that ntps raises on purpose.

    The message is one sentence that says what is wrong, where, and what to do.

    Attributes:
        exit_status: What the command line returns when this error ends it.
        already_reported: Whether another process of the same run has said so already.
    """

    exit_status: int = 1
    already_reported: bool = False


class InputError(NtpsError):
    """The user's input cannot be used: a file, a column, an option, a folder, a model."""

    exit_status = 2


class NumericalError(NtpsError):
    """A computation met numbers that it cannot go on with, such as non-finite hidden states."""


class FailedRuns(NtpsError):
    """A study is finished, but some of its runs have no result."""

    exit_status = 3
