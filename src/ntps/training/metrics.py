"""How well some outputs fit some labels: the same figures for every probe and every trained model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.special import log_softmax

from ntps import theory
from ntps.theory import PredictionSums
from ntps.validation.judged import estimate, judge_held_out
from ntps.validation.labels import Labels

Array = NDArray[np.float64]
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Metrics:
    """Figures of some outputs, each a mean over texts; None where it means nothing.

    Attributes:
        accuracy: Share of texts whose class, or whole label set, is right.
        balanced_accuracy: Recall averaged over the classes that occur.
        mse: Squared error averaged over outputs (scikit-learn's).
        squared_loss: Squared error summed over outputs (the perception loss).
        r2: R² weighted by the variance of each output.
        cross_entropy: In nats; averaged over labels for label sets.
        accuracy_interval: Both ends at 95 %, by a bootstrap over texts or groups that are new to the probe.
        r2_interval: Likewise.
    """

    accuracy: float | None = None
    balanced_accuracy: float | None = None
    mse: float | None = None
    squared_loss: float | None = None
    r2: float | None = None
    cross_entropy: float | None = None
    accuracy_interval: Interval = None
    r2_interval: Interval = None


def figures_of_values(values: Float64[Array, "texts outputs"], labels: Labels, *, held_out: bool = False) -> Metrics:
    """Figures of predicted target vectors, as a least-squares probe or a regression head gives them.

    The class is the largest value; a label counts as predicted from 0.5 on.

    Args:
        values: Predicted target vectors.
        labels: Labels of the texts.
        held_out: Whether what predicts them has not seen the texts: figures then have intervals.
    """
    squares = (labels.targets - values) ** 2
    interval = None
    if held_out:
        judged = judge_held_out(values, labels)
        interval = _interval("r2", judged.baseline - judged.loss, judged.baseline, labels)
    return Metrics(
        **_hits(values - 0.5, labels, held_out),
        mse=float(squares.mean()),
        squared_loss=float(squares.sum(axis=1).mean()),
        r2=PredictionSums.of(values, labels.targets).r2,
        r2_interval=interval,
    )


def figures_of_logits(logits: Float64[Array, "texts outputs"], labels: Labels, *, held_out: bool = False) -> Metrics:
    """Figures of a head that was trained on cross entropy; for real targets those of :func:`figures_of_values`.

    Args:
        logits: −∞ for a class that cannot be.
        labels: Labels of the texts.
        held_out: Whether what predicts them has not seen the texts: figures then have intervals.
    """
    if labels.kind == "regression":
        return figures_of_values(logits, labels, held_out=held_out)
    if labels.kind == "classes":
        losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels.classes]
    else:
        losses = np.logaddexp(0.0, np.where(labels.targets > 0.5, -logits, logits))
    loss = float(losses.mean())
    return Metrics(**_hits(logits, labels, held_out), cross_entropy=loss if np.isfinite(loss) else None)


def majority_accuracy(train: Labels, labels: Labels) -> float | None:
    """Accuracy of always answering the most frequent class, or label set, of the training texts.

    Args:
        train: Labels of the training texts; None is returned for real targets.
        labels: Labels to be right about.
    """
    if train.kind == "regression":
        return None
    rows, counts = np.unique(train.raw.reshape(len(train), -1), axis=0, return_counts=True)
    return float((labels.raw.reshape(len(labels), -1) == rows[counts.argmax()]).all(axis=1).mean())


def _hits(logits: Float64[Array, "texts outputs"], labels: Labels, held_out: bool) -> dict[str, Any]:
    """Accuracy with its interval, and balanced accuracy, as far as there are any."""
    if labels.kind == "regression":
        return {}
    found: dict[str, Any] = {}
    if labels.kind == "multilabel":
        right = ((logits >= 0) == (labels.targets > 0.5)).all(axis=1)
    else:
        right = logits.argmax(axis=1) == labels.classes
        recalls = [float(right[labels.classes == label].mean()) for label in np.unique(labels.classes)]
        found["balanced_accuracy"] = float(np.mean(recalls))
    if held_out:
        found["accuracy_interval"] = _interval("accuracy", right.astype(np.float64), np.ones(len(right)), labels)
    return found | {"accuracy": float(right.mean())}


def _interval(name: str, share: Float64[Array, " texts"], whole: Float64[Array, " texts"], labels: Labels) -> Interval:
    found = estimate(name, theory.ratio(share[:, None], whole[:, None]), labels)
    return None if found.low is None or found.high is None else (found.low, found.high)
