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
LOSSES = ("eval_mse", "eval_cross_entropy")
"""What the loss of an evaluation is called in the Trainer's log: for real targets, and for all others."""
Texts = Int64[NDArray[np.int64], " texts"]


def held_back(labels: Labels, seed: int) -> tuple[Texts, Texts]:
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
        """The evaluation with the least loss, the first one among equals; None where there was none.

        Args:
            log: The Trainer's log, which is part of each checkpoint.
        """
        found = [(entry["step"], loss_of(entry)) for entry in log if any(name in entry for name in LOSSES)]
        if not found:
            return None
        best = min(range(len(found)), key=lambda place: found[place][1])
        return cls(found[best][0], len(found) - 1 - best)


def loss_of(entry: Mapping[str, Any]) -> float:
    """The loss of an evaluation: squared error for real targets, cross entropy for all others.

    Raises:
        NumericalError: It is not finite.
    """
    loss = next((float(entry[name]) for name in LOSSES if name in entry), math.nan)
    if not math.isfinite(loss):
        raise NumericalError("the loss on texts held back is no finite number: lower `learning_rate`")
    return loss
