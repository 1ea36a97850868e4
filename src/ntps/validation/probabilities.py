"""Probabilities from what a ridge probe predicts: one number, fitted to texts that were left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.special import expit, softmax

from ntps.tasks.task import TargetKind
from ntps.validation.judged import Array
from ntps.validation.labels import Labels

LEAST, MOST = 1e-3, 1e6
"""Of the inverse temperature: it stays positive, so that the largest value keeps the largest probability, and finite
where values do not differ, so that it does not matter."""
STEPS, TOLERANCE = 100, 1e-9


def probabilities(logits: Float64[Array, "texts outputs"], kind: TargetKind) -> Float64[Array, "texts outputs"]:
    """Probabilities of classes, which add up to 1, or of labels, each for itself."""
    return np.asarray(softmax(logits, axis=1) if kind == "classes" else expit(logits))


def logits_of(values: Float64[Array, "texts outputs"], inverse_temperature: float) -> Float64[Array, "texts outputs"]:
    """Logits from predicted target vectors, 0 at the threshold of a label.

    Args:
        values: Predicted target vectors.
        inverse_temperature: Of :func:`fit_inverse_temperature`.
    """
    return inverse_temperature * (values - 0.5)


def fit_inverse_temperature(predictions: Sequence[Float64[Array, "texts outputs"]], labels: Labels) -> float | None:
    """The β > 0 under which labels of texts left out are most likely, with logits ``β (ŷ − 1/2)``; None for numbers.

    That is temperature scaling (Guo et al. 2017, arXiv 1706.04599); for two classes it is Platt's sigmoid without his
    intercept, so that the class with the largest value stays the most likely one. As in Platt's method, labels count as
    if one text more had been labelled blindly: otherwise β would be infinite where all texts left out are right.

    Args:
        predictions: Of the same texts, as often as they were left out.
        labels: Their labels.
    """
    if labels.kind == "regression":
        return None
    margins = np.concatenate([each - 0.5 for each in predictions])
    blind = 1.0 / (labels.units + 1)
    share = 1.0 / labels.targets.shape[1] if labels.kind == "classes" else 0.5
    targets = np.concatenate([(1.0 - blind) * labels.targets + blind * share] * len(predictions))

    def derivatives(beta: float) -> tuple[float, float]:
        """Of the loss, which is convex in β."""
        expected = probabilities(beta * margins, labels.kind)
        mean = expected * margins
        if labels.kind == "classes":
            spread = (mean * margins).sum() - (mean.sum(axis=1) ** 2).sum()
        else:
            spread = (mean * (1.0 - expected) * margins).sum()
        return float(((expected - targets) * margins).sum()), float(spread)

    low, high, beta = LEAST, MOST, 1.0
    if derivatives(low)[0] >= 0:
        return low
    for _ in range(STEPS):
        slope, curvature = derivatives(beta)
        low, high = (low, beta) if slope > 0 else (beta, high)
        following = beta - slope / curvature if curvature > 0 else math.inf
        if not low < following < high:
            following = math.sqrt(low * high)
        if abs(following - beta) <= TOLERANCE * beta:
            return following
        beta = following
    return beta
