"""How right predictions of unseen texts are: text by text, and as figures with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps import theory
from ntps.tasks.task import TargetKind
from ntps.validation.labels import Labels

Array = NDArray[np.float64]

CRITERION: dict[TargetKind, str] = {"classes": "accuracy", "multilabel": "mean_average_precision", "regression": "r2"}
"""The figure by which probes are compared."""


@dataclass(frozen=True)
class Judged:
    """Predictions of one probe for texts that it has not seen; rows are texts.

    Attributes:
        loss: Squared error, summed over outputs.
        baseline: The same of the mean of the targets.
        hits: For classes, 1 where the largest value is that of the right one, as a mean over repeated folds.
        overlap: For label sets, twice the labels that are found (from 0.5 on) and right.
        size: For label sets, the labels that are found and those that are right, counted together.
        scores: For label sets, the predictions.
    """

    loss: Float64[Array, " texts"]
    baseline: Float64[Array, " texts"]
    hits: Float64[Array, " texts"] | None = None
    overlap: Float64[Array, " texts"] | None = None
    size: Float64[Array, " texts"] | None = None
    scores: Float64[Array, "texts outputs"] | None = None


@dataclass(frozen=True)
class Estimate:
    """A figure for new texts with its 95 % interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def judge(
    predictions: Sequence[Float64[Array, "texts outputs"]],
    labels: Labels,
    loss: Float64[Array, " texts"],
    baseline: Float64[Array, " texts"],
) -> Judged:
    """Compares predictions with labels.

    Args:
        predictions: Of the same texts, as often as they were made.
        labels: Their labels.
        loss: Squared error of each text.
        baseline: That of the mean of the targets.
    """
    if labels.kind == "classes":
        right = [each.argmax(axis=1) == labels.classes for each in predictions]
        return Judged(loss, baseline, hits=np.mean(right, axis=0, dtype=np.float64))
    if labels.kind == "regression":
        return Judged(loss, baseline)
    (scores,), there = predictions, labels.targets > 0.5
    found = scores >= 0.5
    overlap, size = 2.0 * (found & there).sum(axis=1), (found.sum(axis=1) + there.sum(axis=1)).astype(np.float64)
    return Judged(loss, baseline, overlap=overlap, size=size, scores=scores)


def judge_held_out(predicted: Float64[Array, "texts outputs"], labels: Labels) -> Judged:
    """Predictions of a fixed probe for held-out texts, beside the mean of their own targets, as R² is defined."""
    deviations = labels.targets - labels.targets[0]
    # As in scikit-learn, an output that does not vary has no weight.
    varies = (deviations != 0).any(axis=0)
    loss = ((labels.targets - predicted)[:, varies] ** 2).sum(axis=1)
    return judge([predicted], labels, loss, ((deviations - deviations.mean(axis=0)) ** 2).sum(axis=1))


def figures(judged: Sequence[Judged], labels: Labels) -> Iterator[tuple[str, theory.Figure]]:
    """Every figure that the kind of labels has, by name: of some probes, in columns."""
    ones = np.ones((len(labels), 1))
    if labels.kind == "classes":
        hits = np.stack([each.hits for each in judged if each.hits is not None], axis=1)
        yield "accuracy", theory.ratio(hits, ones)
        yield "balanced_accuracy", theory.balanced_accuracy(hits, labels.classes)
    elif labels.kind == "multilabel":
        scores = [each.scores for each in judged if each.scores is not None]
        yield "mean_average_precision", theory.mean_average_precision(scores, labels.targets)
        overlap = np.stack([each.overlap for each in judged if each.overlap is not None], axis=1)
        size = np.stack([each.size for each in judged if each.size is not None], axis=1)
        yield "f1", theory.ratio(overlap, size)
    baseline = np.stack([each.baseline for each in judged], axis=1)
    yield "r2", theory.ratio(baseline - np.stack([each.loss for each in judged], axis=1), baseline)


def baseline(labels: Labels) -> float:
    """What the figure by which probes are compared is without looking at the texts.

    The share of the most frequent class; for label sets the mean share of texts that have a label, which is the average
    precision of any fixed order; for numbers the R² of their mean.
    """
    if labels.kind == "regression":
        return 0.0
    shares = labels.targets.mean(axis=0)
    return float(shares.max() if labels.kind == "classes" else shares[shares > 0].mean() if shares.any() else 0.0)


def criterion(judged: Sequence[Judged], labels: Labels) -> theory.Figure:
    """The figure by which probes are compared: of some probes, in columns."""
    return dict(figures(judged, labels))[CRITERION[labels.kind]]


def estimates(judged: Judged, labels: Labels, *, refitted: bool) -> dict[str, Estimate]:
    """Every figure of a probe, by name.

    One probe at a time: its last bits must not depend on what else is measured.

    Args:
        judged: The probe.
        labels: The labels of the texts.
        refitted: Whether each text was predicted by a fit to others, as in cross-validation, and not by one fit to all
            others: the fits then share most of their texts, which widens the intervals.
    """
    widening = theory.WIDENING if refitted else 1.0
    return {name: estimate(name, figure, labels, widening) for name, figure in figures([judged], labels)}


def estimate(name: str, figure: theory.Figure, labels: Labels, widening: float = 1.0) -> Estimate:
    """One figure of a probe.

    Args:
        name: Of the figure.
        figure: The figure, of one probe.
        labels: The labels of the texts.
        widening: How much wider than the spread of the draws its interval is.
    """
    whole = theory.intervals(figure, labels.draws, widening)
    return bounded(name, float(whole.value[0]), float(whole.low[0]), float(whole.high[0]), labels.units)


def bounded(name: str, value: float, low: float, high: float, units: int) -> Estimate:
    """A figure within what it can be, not certain of what all texts agree in; NaN is what is undefined.

    Args:
        name: Of the figure.
        value: Its value.
        low: Lower end of its interval.
        high: Its upper end.
        units: How many texts or groups stand for themselves.
    """
    if np.isnan(value):
        return Estimate(None)
    if np.isnan(low):
        return Estimate(value)
    if name != "r2":
        # A share that is 0 or 1 in all texts is so in all draws.
        margin = theory.certain_share(units)
        low = min(low, 1.0 - margin) if value == 1.0 else low
        high = max(high, margin) if value == 0.0 else high
        low, high = max(low, 0.0), min(high, 1.0)
    return Estimate(value, low, min(high, 1.0))
