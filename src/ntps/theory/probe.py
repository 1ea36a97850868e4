"""The least-squares probe with intercept, in closed form from moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ntps.theory.factor import Array, Factor

TEXTS_PER_DIMENSION = 5


@dataclass(frozen=True)
class LinearProbe:
    """``ŷ = coefficientsᵀ x̄ + intercept``.

    Attributes:
        coefficients: Minimum norm where the pooled covariance is singular.
        intercept: The constant.
    """

    coefficients: Float64[Array, "dims outputs"]
    intercept: Float64[Array, " outputs"]

    def predict(self, pooled: Float64[Array, "texts dims"]) -> Float64[Array, "texts outputs"]:
        """Predictions for pooled texts, which do not depend on what other texts are predicted with them."""
        # Text by text: for another number of rows, BLAS adds up in another order on some processors.
        return np.asarray((pooled[:, None] @ np.ascontiguousarray(self.coefficients))[:, 0] + self.intercept)


def fit_probe(
    covariance: Factor,
    cross_covariance: Float64[Array, "dims outputs"],
    pooled_mean: Float64[Array, " dims"],
    target_mean: Float64[Array, " outputs"],
) -> LinearProbe:
    """Least squares with intercept.

    Args:
        covariance: Factor of the pooled covariance ``N − E[x̄] E[x̄]ᵀ``.
        cross_covariance: ``M − E[x̄] E[y]ᵀ``.
        pooled_mean: E[x̄].
        target_mean: E[y].
    """
    coefficients = covariance.unwhiten(covariance.whiten(cross_covariance))
    return LinearProbe(coefficients, target_mean - pooled_mean @ coefficients)


def few_texts(texts: int, rank: int) -> bool:
    """Whether in-sample figures flatter a probe that sees ``rank`` dimensions."""
    return texts < TEXTS_PER_DIMENSION * rank


def adjusted_r2(r2: float, texts: int, rank: int) -> float | None:
    """R² corrected for fitting ``rank`` coefficients and an intercept to ``texts`` rows; None where nothing is left."""
    freedom = texts - rank - 1
    return 1.0 - (1.0 - r2) * (texts - 1) / freedom if freedom > 0 else None


def variance_explained(residual: Float64[Array, " outputs"], target: Float64[Array, " outputs"]) -> float | None:
    """R² weighted by the variance of each output; None for constant targets.

    Args:
        residual: Sums of squared residuals.
        target: Sums of squared deviations of the targets from their mean.
    """
    # As in scikit-learn, an output that does not vary has no weight, whatever its residual.
    varies = target > 0
    total = float(np.sum(target[varies]))
    return 1.0 - float(np.sum(residual[varies])) / total if total > 0 else None


class PredictionSums:
    """Residuals and hits of predictions, summed over batches of texts.

    Attributes:
        sums: Number of texts, hits, and by output: squared residuals, deviations from ``shift`` and
            their squares. Those of parts may be added up.
    """

    def __init__(self, shift: Float64[Array, " outputs"]) -> None:
        # From one of the targets: sums of large squares would cancel, and constant targets must leave exactly nothing.
        self.shift = shift
        self.sums: Float64[Array, " 2+3*outputs"] = np.zeros(2 + 3 * len(shift))

    @classmethod
    def of(cls, predicted: Float64[Array, "texts outputs"], targets: Float64[Array, "texts outputs"]) -> PredictionSums:
        """The sums of all texts at once."""
        sums = cls(targets[0])
        sums.add(predicted, targets)
        return sums

    def add(self, predicted: Float64[Array, "texts outputs"], targets: Float64[Array, "texts outputs"]) -> None:
        """Adds texts."""
        hits = (predicted.argmax(axis=1) == targets.argmax(axis=1)).sum()
        deviation = targets - self.shift
        by_output = (((targets - predicted) ** 2).sum(axis=0), deviation.sum(axis=0), (deviation**2).sum(axis=0))
        self.sums += np.concatenate(([len(targets), hits], *by_output))

    @property
    def r2(self) -> float | None:
        """R² weighted by the variance of the outputs; None for constant targets."""
        residual, total, energy = self.sums[2:].reshape(3, -1)
        return variance_explained(residual, energy - total**2 / self.sums[0])

    @property
    def accuracy(self) -> float:
        """Share of texts whose largest prediction is the right class."""
        return float(self.sums[1] / self.sums[0])
