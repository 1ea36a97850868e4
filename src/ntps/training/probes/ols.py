"""The least-squares probe in closed form, from second moments or from pooled texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ntps import theory
from ntps.moments.means import Means
from ntps.theory import Factor, LinearProbe, variance_explained
from ntps.training.metrics import Array, Metrics

TOLERATED = 1e8 * theory.EPS
"""Up to this error of the Gram's factor, predictions agree with those of other solvers to six digits."""


@dataclass(frozen=True)
class LeastSquares:
    """A fitted least-squares probe.

    Attributes:
        probe: Its coefficients; minimum norm where the Gram is singular.
        rank: Directions that were used.
        condition: Condition number on them of the Gram (centred with an intercept), scaled to unit diagonal.
        warnings: What a reader must know.
    """

    probe: LinearProbe
    rank: int
    condition: float
    warnings: tuple[str, ...]


def ols_of_means(means: Means, *, intercept: bool = True) -> LeastSquares:
    """Fits from second moments alone.

    Args:
        means: Means over texts, from :meth:`ntps.Moments.means`.
        intercept: Whether a constant is fitted too.
    """
    if not intercept:
        origin = np.zeros_like(means.pooled_mean), np.zeros_like(means.target_mean)
        factor = theory.factorize(means.pooled_gram, resolution=means.resolution)
        return _fit(factor, means.pooled_target, *origin)
    factor = theory.factorize(means.pooled_covariance, np.diag(means.pooled_gram), means.resolution)
    return _fit(factor, means.cross_covariance, means.pooled_mean, means.target_mean)


def ols_of_pooled(
    pooled: Float64[Array, "texts dims"],
    targets: Float64[Array, "texts outputs"],
    *,
    intercept: bool = True,
    resolution: float = theory.EPS,
) -> LeastSquares:
    """Fits from pooled texts, which may be centred before they are squared: large means then cost no digits.

    Args:
        pooled: Pooled texts.
        targets: Target vectors.
        intercept: Whether a constant is fitted too.
        resolution: Relative rounding of the hidden states that were pooled.
    """
    pooled_mean, target_mean = (part.mean(axis=0) * intercept for part in (pooled, targets))
    rows = pooled - pooled_mean
    gram = rows.T @ rows / len(rows)
    # A difference from the mean is rounded where the mean is, and a product carries that over in proportion.
    deviation = np.sqrt(np.diag(gram))
    factor = theory.factorize(gram, deviation * (deviation + np.abs(pooled_mean)), resolution)
    return _fit(factor, rows.T @ (targets - target_mean) / len(rows), pooled_mean, target_mean)


def figures_of_means(means: Means, probe: LinearProbe) -> Metrics:
    """Squared errors and R² of any linear probe on the texts behind some moments; hits cannot be known from them.

    Args:
        means: Means over texts.
        probe: The probe.
    """
    weights = probe.coefficients
    variance = np.maximum(np.diag(means.target_gram) - means.target_mean**2, 0.0)
    explained = 2 * np.sum(weights * means.cross_covariance, axis=0)
    spread = np.sum(weights * (means.pooled_covariance @ weights), axis=0)
    bias = means.target_mean - means.pooled_mean @ weights - probe.intercept
    residual = np.maximum(variance - explained + spread + bias**2, 0.0)
    return Metrics(
        mse=float(residual.mean()), squared_loss=float(residual.sum()), r2=variance_explained(residual, variance)
    )


def _fit(
    factor: Factor,
    cross: Float64[Array, "dims outputs"],
    pooled_mean: Float64[Array, " dims"],
    target_mean: Float64[Array, " outputs"],
) -> LeastSquares:
    probe = theory.fit_probe(factor, cross, pooled_mean, target_mean)
    return LeastSquares(probe, factor.rank, factor.condition, tuple(_warnings(factor)))


def _warnings(factor: Factor) -> Iterator[str]:
    if factor.singular:
        yield (
            f"the Gram of the pooled texts has rank {factor.rank} of {len(factor.scale)}: the probe is the smallest of "
            "many that fit equally well"
        )
    if factor.error >= TOLERATED:
        yield (
            f"dimensions of the pooled texts are nearly combinations of others, or far apart in size (condition "
            f"{factor.error / theory.EPS:.0e}): another solver's probe may differ beyond the sixth digit of its "
            "predictions"
        )
