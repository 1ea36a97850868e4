"""What the closed forms need of one layer: factors of its Grams, and the two subspaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps import theory
from ntps.moments.means import Means
from ntps.theory import Factor, Subspace

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Factors and subspaces of one layer.

    Attributes:
        means: The means that everything comes from; of deviations, where the problems are centred.
        prefix: Factor of D.
        pooled: Factor of N.
        covariance: Factor of the pooled covariance ``N − E[x̄] E[x̄]ᵀ``.
        cross_covariance: ``M − E[x̄] E[y]ᵀ``.
        target_variance: Trace of Cov(y).
        autoregressive: V and λ.
        perception: U and Λ.
    """

    means: Means
    prefix: Factor
    pooled: Factor
    covariance: Factor
    cross_covariance: Float64[Array, "dims outputs"]
    target_variance: float
    autoregressive: Subspace
    perception: Subspace

    @classmethod
    def of(cls, means: Means, centered: bool = False) -> Spectra:
        """Factorizes and solves, from means over texts.

        Args:
            means: The means.
            centered: Whether both problems get an intercept: all second moments are replaced by covariances.
        """
        deviations = _pooled_deviations(means)
        covariance = theory.factorize(deviations.pooled_gram, np.diag(means.pooled_gram), means.resolution)
        if centered:
            chosen = _prefix_deviations(deviations)
            noise, pooled, target_noise = np.diag(means.prefix_gram), covariance, float(np.trace(means.target_gram))
        else:
            chosen, noise, target_noise = means, None, None
            pooled = theory.factorize(means.pooled_gram, resolution=means.resolution)
        prefix = theory.factorize(chosen.prefix_gram, noise, means.resolution)
        return cls(
            means=chosen,
            prefix=prefix,
            pooled=pooled,
            covariance=covariance,
            cross_covariance=deviations.pooled_target,
            target_variance=_target_variance(means),
            autoregressive=theory.autoregressive_subspace(prefix, chosen.prefix_next),
            perception=theory.perception_subspace(pooled, chosen.pooled_target, chosen.target_gram, target_noise),
        )

    @cached_property
    def explained_centered(self) -> float:
        """Target variance that the best probe with intercept explains."""
        return float(np.sum(self.covariance.whiten(self.cross_covariance) ** 2))

    @property
    def lost(self) -> bool:
        """Whether rounding left nothing of how the pooled texts vary, because their mean is so large against it."""
        return not self.covariance.rank and bool(self.covariance.scale.any())

    @property
    def r2(self) -> float | None:
        """R² of the least-squares probe with intercept; None where the targets do not vary, or the states are lost."""
        if not self.target_variance or self.lost:
            return None
        return min(self.explained_centered / self.target_variance, 1.0)


def _pooled_deviations(means: Means) -> Means:
    """The same of deviations from the mean pooled text and the mean target."""
    # Where the targets do not vary, what is left of their covariances is rounding noise, which has no rank.
    varies = float(_target_variance(means) > 0)
    return replace(
        means,
        pooled_gram=means.pooled_covariance,
        pooled_target=varies * means.cross_covariance,
        target_gram=varies * (means.target_gram - np.outer(means.target_mean, means.target_mean)),
    )


def _prefix_deviations(means: Means) -> Means:
    """The same of deviations from the mean prefix sum and the mean state that follows one."""
    # Texts of one token have no prefix.
    prefixes = means.prefixes or 1.0
    return replace(
        means,
        prefix_gram=means.prefix_gram - np.outer(means.prefix_sum, means.prefix_sum) / prefixes,
        prefix_next=means.prefix_next - np.outer(means.prefix_sum, means.next_sum) / prefixes,
        next_energy=means.next_energy - float(means.next_sum @ means.next_sum) / prefixes,
    )


def _target_variance(means: Means) -> float:
    """Trace of Cov(y); exactly 0 where only rounding noise of the subtraction is left."""
    energy = float(np.trace(means.target_gram))
    variance = energy - float(means.target_mean @ means.target_mean)
    return variance if variance > 64 * theory.EPS * energy else 0.0
