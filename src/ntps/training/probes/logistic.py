"""Logistic regression on standardized pooled texts, by scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ntps.options.probing import LogisticProbe, Solver
from ntps.theory import EPS, carries
from ntps.training.metrics import Array
from ntps.validation.labels import Labels

LIMITS: dict[Solver, tuple[int, float]] = {"newton-cg": (1000, 1e-4), "saga": (1000, 0.01)}
"""Most iterations, and tolerance, of each solver."""


@dataclass(frozen=True)
class Logistic:
    """A fitted logistic probe.

    Attributes:
        mean: Mean of the training texts.
        scale: Their standard deviation; 1 in dead dimensions and those that do not vary.
        coefficients: For standardized pooled texts.
        intercept: −∞ for what no training text has, ∞ for a label that every one has.
        iterations: Most iterations that a solver took.
        warnings: What a reader must know.
    """

    mean: Float64[Array, " dims"]
    scale: Float64[Array, " dims"]
    coefficients: Float64[Array, "dims outputs"]
    intercept: Float64[Array, " outputs"]
    iterations: int
    warnings: tuple[str, ...]

    def logits(self, pooled: Float64[Array, "texts dims"]) -> Float64[Array, "texts outputs"]:
        """Logits of pooled texts."""
        return (pooled - self.mean) / self.scale @ self.coefficients + self.intercept


def fit_logistic(
    pooled: Float64[Array, "texts dims"], labels: Labels, probe: LogisticProbe, seed: int, resolution: float = EPS
) -> Logistic:
    """Fits to some texts: all classes at once, or one label after the other.

    Args:
        pooled: Pooled texts.
        labels: Their labels: classes or label sets.
        probe: The options.
        seed: Seed of ``saga``.
        resolution: Relative rounding of the hidden states that were pooled.
    """
    mean, variance = pooled.mean(axis=0), pooled.var(axis=0)
    # A difference from the mean is rounded where the mean is.
    alive = carries(variance, np.sqrt(variance) * np.abs(mean), resolution)
    scale = np.sqrt(np.where(alive, variance, 1.0))
    rows, outputs = np.where(alive, (pooled - mean) / scale, 0.0), labels.targets.shape[1]
    coefficients, intercept = np.zeros((pooled.shape[1], outputs)), np.full(outputs, -np.inf)
    iterations = 0
    for columns, chosen in _problems(labels):
        if len(np.unique(chosen)) < 2:
            intercept[columns] = np.inf if chosen[0] else -np.inf
            continue
        model = _solve(rows, chosen, probe.solver, seed)
        iterations = max(iterations, int(np.max(model.n_iter_)))
        if len(model.classes_) > 2:
            coefficients[:, model.classes_], intercept[model.classes_] = model.coef_.T, model.intercept_
        elif labels.kind == "multilabel":
            coefficients[:, columns], intercept[columns] = model.coef_.T, model.intercept_
        else:
            # Of two classes scikit-learn keeps the logit of the second against the first.
            coefficients[:, model.classes_[1]], intercept[model.classes_] = model.coef_[0], (0.0, model.intercept_[0])
    limit = LIMITS[probe.solver][0]
    notes = () if iterations < limit else (f"{probe.solver} did not converge in {limit} iterations",)
    return Logistic(mean, scale, coefficients, intercept, iterations, notes)


def _problems(labels: Labels) -> Iterator[tuple[list[int], Int64[NDArray[np.int64], " texts"]]]:
    """Outputs that are fitted together, and the labels that they are fitted to."""
    outputs = range(labels.targets.shape[1])
    if labels.kind == "classes":
        yield list(outputs), labels.classes
        return
    for output in outputs:
        yield [output], labels.targets[:, output].astype(np.int64)


def _solve(
    rows: Float64[Array, "texts dims"], labels: Int64[NDArray[np.int64], " texts"], solver: Solver, seed: int
) -> Any:
    from sklearn.linear_model import LogisticRegression

    iterations, tolerance = LIMITS[solver]
    model = LogisticRegression(solver=solver, max_iter=iterations, tol=tolerance, random_state=seed)
    return model.fit(rows, labels)
