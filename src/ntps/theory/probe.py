"""The least-squares probe with intercept, in closed form from moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ntps.theory.factor import Array, Factor

TEXTS_PER_DIMENSION = 5


@dataclass(frozen=True)
class LinearProbe:
    """``ŷ = coefficientsᵀ x̄ + intercept``.

    Attributes:
        coefficients: ``(d, c)``, minimum norm where the pooled covariance is singular.
        intercept: ``(c,)``.
    """

    coefficients: Array
    intercept: Array

    def predict(self, pooled: Array) -> Array:
        """Predictions ``(n, c)`` for pooled texts ``(n, d)``."""
        return pooled @ self.coefficients + self.intercept


def fit_probe(covariance: Factor, cross_covariance: Array, pooled_mean: Array, target_mean: Array) -> LinearProbe:
    """Least squares with intercept.

    Args:
        covariance: Factor of the pooled covariance ``N − E[x̄] E[x̄]ᵀ``.
        cross_covariance: ``(d, c)`` ``M − E[x̄] E[y]ᵀ``.
        pooled_mean: ``(d,)`` E[x̄].
        target_mean: ``(c,)`` E[y].
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


def variance_explained(residual: Array, target: Array) -> float | None:
    """R² weighted by the variance of each output; None for constant targets.

    Args:
        residual: ``(c,)`` sums of squared residuals.
        target: ``(c,)`` sums of squared deviations of the targets from their mean.
    """
    # As in scikit-learn, an output that does not vary has no weight, whatever its residual.
    varies = target > 0
    total = float(np.sum(target[varies]))
    return 1.0 - float(np.sum(residual[varies])) / total if total > 0 else None
