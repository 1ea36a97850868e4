"""Training texts that are held back: they say when to stop, and which weights to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from ntps import theory
from ntps.errors import NumericalError
from ntps.validation.labels import Labels

PART, MOST = 5, 1_000
"""One text in so many is held back, until they are about so many."""
Ids = NDArray[np.int64]


def held_back(labels: Labels, seed: int) -> tuple[Int64[Ids, " trained"], Int64[Ids, " held"]]:
    """Which training texts are trained on and which are held back, each in ascending order.

    Those held back have the same shares of the classes; texts of one group, and texts that are equal, are on one side.
    Nothing is held back where all texts belong together.

    Args:
        labels: Labels of the training texts.
        seed: Another one holds others back.
    """
    if labels.units < 2:
        return np.arange(len(labels)), np.arange(0)
    first = theory.stratified_folds(labels.strata, labels.parts, seed=seed, folds=parts_of(len(labels))) == 0
    return np.flatnonzero(~first), np.flatnonzero(first)


def parts_of(texts: int) -> int:
    """Into how many parts training texts are dealt, of which one is held back."""
    return max(PART, math.ceil(texts / MOST))


@dataclass(frozen=True)
class Best:
    """The best evaluation so far.

    Attributes:
        step: The step that it followed.
        since: Evaluations since then.
    """

    step: int
    since: int

    @classmethod
    def of(cls, log: Sequence[Mapping[str, Any]]) -> Best | None:
        """The most accurate evaluation, among equally accurate ones that of the least loss, then the first.

        Accuracy goes on rising long after the loss does: a head that is too sure of itself is right more often. For
        real targets, the loss alone counts. None where there was no evaluation.

        Args:
            log: The Trainer's log, which is part of each checkpoint.

        Raises:
            NumericalError: The loss of an evaluation is not finite.
        """
        found = [entry for entry in log if any(name.startswith("eval_") for name in entry)]
        if not found:
            return None
        best = min(range(len(found)), key=lambda place: _badness(found[place]))
        return cls(found[best]["step"], len(found) - 1 - best)


def _badness(evaluation: Mapping[str, Any]) -> tuple[float, float]:
    loss = evaluation.get("eval_cross_entropy", evaluation.get("eval_mse", math.nan))
    if not math.isfinite(loss):
        raise NumericalError(
            f"the loss on texts held back is no finite number at step {evaluation['step']}: lower `learning_rate`"
        )
    return -evaluation.get("eval_accuracy", 0.0), loss
