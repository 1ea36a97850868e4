"""The curves over k of one layer, in both conventions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from ntps import theory
from ntps.moments.spectra import Spectra

Array = NDArray[np.float64]

MIN_EXPLAINED_SHARE = 1e-12
"""A probe that explains less than this share of its targets explains rounding noise."""


@dataclass(frozen=True)
class Curves:
    """What the first k columns of V keep, for every k that the convention visits; arrays of equal length.

    NaN stands for undefined: shares of a probe that explains nothing.

    Attributes:
        k: Columns of V.
        k_perception: Columns of U that ``ntps`` compares with.
        fraction: Fraction of the columns under ``released``; NaN under ``paper``.
        ntps: ``‖P_k U_k'‖² / ‖U_k'‖²`` (Algorithm 1).
        ntps_full: The same with all ``rank M`` columns of U, the form for which Theorem 2 is true.
        excess_loss: ``L*(V_k) − L*(U)`` (equation 35), summed over outputs.
        retained: Share of the probe's explained energy that ``V_k`` keeps.
        retained_centered: Share of the probe's R² that ``V_k`` keeps.
        next_token_share: Share of the autoregressive objective that the first k directions carry.
        tied: Whether a cut goes through tied eigenvalues, which makes ``ntps`` arbitrary there.

    Examples:
        >>> import torch
        >>> moments = ntps.Moments(hidden_size=8, targets=2)
        >>> mask = torch.ones(100, 5, dtype=torch.bool)
        >>> moments.update(torch.randn(100, 5, 8), mask, torch.eye(2)[torch.arange(100) % 2])
        >>> curves = ntps.score_moments(moments).curves
        >>> curves.k.tolist()
        [1, 2, 3, 4, 5, 6, 7, 8]
        >>> round(float(curves.retained[-1]), 6)  # all directions keep everything
        1.0
    """

    k: Int64[NDArray[np.int64], " cuts"]
    k_perception: Int64[NDArray[np.int64], " cuts"]
    fraction: Float64[Array, " cuts"]
    ntps: Float64[Array, " cuts"]
    ntps_full: Float64[Array, " cuts"]
    excess_loss: Float64[Array, " cuts"]
    retained: Float64[Array, " cuts"]
    retained_centered: Float64[Array, " cuts"]
    next_token_share: Float64[Array, " cuts"]
    tied: Bool[NDArray[np.bool_], " cuts"]

    def __repr__(self) -> str:
        cuts = f"{len(self.k):,} values of k" + (f", {self.k[0]:,} to {self.k[-1]:,}" if len(self.k) else "")
        return f"Curves({cuts}: {', '.join(vars(self))})"


def paper_curves(spectra: Spectra) -> Curves:
    """Algorithm 1 for every k from 1 to rank V, with U cut at ``min(k, rank M)``."""
    directions, perception = spectra.autoregressive, spectra.perception
    k = np.arange(1, directions.rank + 1)
    k_perception = np.minimum(k, perception.rank)
    tied = directions.splits_tie()
    if perception.rank:
        shares = theory.alignment(directions.basis, perception.basis)
        ntps, ntps_full = shares[k - 1, k_perception - 1], shares[:, -1]
        tied = tied | perception.splits_tie()[k_perception - 1]
    else:
        ntps = ntps_full = np.full(len(k), np.nan)
    # The autoregressive objective of the directions is their eigenvalues.
    carried = _from_zero(directions.values.cumsum())
    nowhere = np.full(len(k), np.nan)
    return _curves(spectra, directions.basis, carried, k, k_perception, nowhere, ntps, ntps_full, tied)


def regularized_ntps(spectra: Spectra, penalty_per_text: float, k: int) -> float | None:
    """``ntps`` at one k with the U of a ridge probe instead of least squares; None where the labels have no direction.

    A probe that minimizes ``‖Y − b − Z w‖² + α ‖w‖²`` over n texts with standardized features Z has, on the features
    themselves, the metric ``N + (α / n) diag σ²``, where σ are their standard deviations. With centred problems the
    first ``rank M`` columns of this U span its coefficients; otherwise N and M are second moments, as in Algorithm 1.

    Args:
        spectra: Of the layer.
        penalty_per_text: α / n.
        k: Columns of V, of which there are at least as many.
    """
    means, alive = spectra.means, spectra.pooled.scale > 0
    perception = theory.ridge_perception_subspace(
        means.pooled_gram if alive.all() else np.where(np.outer(alive, alive), means.pooled_gram, 0.0),
        means.pooled_target,
        np.where(alive, penalty_per_text * spectra.covariance.scale**2, 0.0),
        spectra.perception,
        means.resolution,
    )
    if not perception.rank:
        return None
    shares = theory.alignment(spectra.autoregressive.basis[:, :k], perception.basis[:, : min(k, perception.rank)])
    return float(shares[-1, -1])


def released_curves(spectra: Spectra) -> Curves:
    """The authors' sweep: ascending order, nineteen fractions of the columns of both sides."""
    means = spectra.means
    basis, others = theory.released_subspaces(
        means.prefix_gram, means.prefix_next, means.pooled_gram, means.pooled_target
    )
    fraction = np.array(theory.FRACTIONS)
    k = (fraction * basis.shape[1]).astype(np.int64)
    k_perception = (fraction * others.shape[1]).astype(np.int64)
    ntps, ntps_full = np.full(len(k), np.nan), np.full(len(k), np.nan)
    # With few columns int(f · columns) is 0: nothing to project, and no score.
    visited = (k > 0) & (k_perception > 0)
    if visited.any():
        ntps[visited] = theory.alignment(basis, others)[k[visited] - 1, k_perception[visited] - 1]
    if visited.any() and spectra.perception.rank:
        ntps_full[visited] = theory.alignment(basis, spectra.perception.basis)[k[visited] - 1, -1]
    # Any cut short of the last rank M columns of U goes through the kernel of M Mᵀ, where all eigenvalues are zero.
    tied = k_perception < others.shape[1] - spectra.perception.rank
    carried = _from_zero(np.sum((basis.T @ means.prefix_next) ** 2, axis=1).cumsum())
    return _curves(spectra, basis, carried, k, k_perception, fraction, ntps, ntps_full, tied)


def _curves(
    spectra: Spectra,
    basis: Float64[Array, "dims directions"],
    carried: Float64[Array, " directions+1"],
    k: Int64[NDArray[np.int64], " cuts"],
    k_perception: Int64[NDArray[np.int64], " cuts"],
    fraction: Float64[Array, " cuts"],
    ntps: Float64[Array, " cuts"],
    ntps_full: Float64[Array, " cuts"],
    tied: Bool[NDArray[np.bool_], " cuts"],
) -> Curves:
    means = spectra.means
    total = float(np.sum(spectra.pooled.whiten(means.pooled_target) ** 2))
    total_centered = spectra.explained_centered if spectra.target_variance else 0.0
    explained = _from_zero(theory.cumulative_explained(spectra.pooled, means.pooled_target, basis))
    explained_centered = _from_zero(theory.cumulative_explained(spectra.covariance, spectra.cross_covariance, basis))
    return Curves(
        k=k,
        k_perception=k_perception,
        fraction=fraction,
        ntps=ntps,
        ntps_full=ntps_full,
        excess_loss=total - explained[k],
        retained=_share(explained[k], total, float(np.trace(means.target_gram))),
        # Where the targets do not vary, what is left of their covariances is rounding noise.
        retained_centered=_share(explained_centered[k], total_centered, spectra.target_variance),
        next_token_share=_share(carried[k], float(np.sum(spectra.autoregressive.values)), 0.0),
        tied=tied,
    )


def _from_zero(cumulative: Float64[Array, " directions"]) -> Float64[Array, " directions+1"]:
    return np.concatenate(([0.0], cumulative))


def _share(part: Float64[Array, " cuts"], total: float, energy: float) -> Float64[Array, " cuts"]:
    if total <= MIN_EXPLAINED_SHARE * energy:
        return np.full(len(part), np.nan)
    return np.minimum(part / total, 1.0)
