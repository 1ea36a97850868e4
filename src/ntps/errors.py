"""The errors that users meet: one clear sentence each, with the exit status that the command line returns."""

from __future__ import annotations


class NtpsError(Exception):
    """Base of all errors that ntps raises on purpose.

    The message is one sentence that says what is wrong, where, and what to do.

    Attributes:
        exit_status: What the command line returns when this error ends it.
        already_reported: Whether another process of the same run has said so already.

    Examples:
        >>> try:
        ...     ntps.load_task("reviews.csv")
        ... except ntps.NtpsError as error:
        ...     print(type(error).__name__, error.exit_status)
        InputError 2
    """

    exit_status: int = 1
    already_reported: bool = False


class InputError(NtpsError):
    """The user's input cannot be used: a file, a column, an option, a folder, a model.

    Examples:
        >>> ntps.load_task("reviews.csv")
        Traceback (most recent call last):
        ntps.errors.InputError: reviews.csv does not exist: check the path, ...
    """

    exit_status = 2


class NumericalError(NtpsError):
    """A computation met numbers that it cannot go on with, such as non-finite hidden states.

    Examples:
        >>> import torch
        >>> moments = ntps.Moments(hidden_size=8, targets=2)
        >>> states = torch.full((1, 3, 8), float("nan"))
        >>> moments.update(states, torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 2))
        Traceback (most recent call last):
        ntps.moments.accumulator.NonFiniteStates: hidden states of row 0 are not finite ...
    """


class FailedRuns(NtpsError):
    """A study is finished, but some of its runs have no result."""

    exit_status = 3
