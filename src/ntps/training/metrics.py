"""How well some outputs fit some labels: the same figures for every probe and every trained model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from scipy.special import log_softmax

from ntps.tasks.task import Task
from ntps.theory import PredictionSums

Array = NDArray[np.float64]
Labels = Int64[NDArray[np.int64], " texts"] | Float64[Array, "texts outputs"]
"""Class indices, or label sets or real targets."""


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
    """

    accuracy: float | None = None
    balanced_accuracy: float | None = None
    mse: float | None = None
    squared_loss: float | None = None
    r2: float | None = None
    cross_entropy: float | None = None


def figures_of_values(values: Float64[Array, "texts outputs"], labels: Labels, task: Task) -> Metrics:
    """Figures of predicted target vectors, as a least-squares probe or a regression head gives them.

    The class is the largest value; a label counts as predicted from 0.5 on.

    Args:
        values: Predicted target vectors.
        labels: Labels of a split.
        task: The task that the labels belong to.
    """
    targets = task.targets(labels)
    squares = (targets - values) ** 2
    accuracy, balanced = _hits(values - 0.5, labels, task)
    return Metrics(
        accuracy=accuracy,
        balanced_accuracy=balanced,
        mse=float(squares.mean()),
        squared_loss=float(squares.sum(axis=1).mean()),
        r2=PredictionSums.of(values, targets).r2,
    )


def figures_of_logits(logits: Float64[Array, "texts outputs"], labels: Labels, task: Task) -> Metrics:
    """Figures of a head that was trained on cross entropy; for real targets those of :func:`figures_of_values`.

    Args:
        logits: −∞ for a class that cannot be.
        labels: Labels of a split.
        task: The task that the labels belong to.
    """
    if task.kind == "regression":
        return figures_of_values(logits, labels, task)
    accuracy, balanced = _hits(logits, labels, task)
    if task.kind == "classes":
        losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    else:
        losses = np.logaddexp(0.0, np.where(labels > 0.5, -logits, logits))
    loss = float(losses.mean())
    return Metrics(accuracy, balanced, cross_entropy=loss if np.isfinite(loss) else None)


def majority_accuracy(
    train: Int64[NDArray[np.int64], " train"] | Float64[Array, "train outputs"], labels: Labels, task: Task
) -> float | None:
    """Accuracy of always answering the most frequent class, or label set, of the training texts.

    Args:
        train: Labels of the training texts.
        labels: Labels to be right about.
        task: The task that the labels belong to; None is returned for real targets.
    """
    if task.kind == "regression":
        return None
    rows, counts = np.unique(train.reshape(len(train), -1), axis=0, return_counts=True)
    return float((labels.reshape(len(labels), -1) == rows[counts.argmax()]).all(axis=1).mean())


def _hits(logits: Float64[Array, "texts outputs"], labels: Labels, task: Task) -> tuple[float | None, float | None]:
    """Accuracy and balanced accuracy."""
    if task.kind == "regression":
        return None, None
    if task.kind == "multilabel":
        return float(((logits >= 0) == (labels > 0.5)).all(axis=1).mean()), None
    right = logits.argmax(axis=1) == labels
    recalls = [float(right[labels == label].mean()) for label in np.unique(labels)]
    return float(right.mean()), float(np.mean(recalls))
