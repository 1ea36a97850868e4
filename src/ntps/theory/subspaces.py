"""The autoregressive and the perception subspace of Theorem 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray
from scipy import linalg

from ntps.theory.factor import EPS, Array, Factor, factorize, rounding
from ntps.theory.singular import left_singular

TIE_TOLERANCE = 1e-9
"""Neighbouring eigenvalues closer than this, relative to the larger one, count as tied."""


@dataclass(frozen=True)
class Subspace:
    """Solutions of a generalized eigenproblem ``B Bᵀ w = λ A w``, largest eigenvalue first.

    Attributes:
        basis: Eigenvectors with ``Wᵀ A W = I``, in the range of A.
        values: Eigenvalues λ > 0, descending.
        cutoff: Relative singular value below which directions were left out.
    """

    basis: Float64[Array, "dims rank"]
    values: Float64[Array, " rank"]
    cutoff: float

    @property
    def rank(self) -> int:
        """Number of columns."""
        return len(self.values)

    def splits_tie(self) -> Bool[NDArray[np.bool_], " rank"]:
        """Whether cutting after the first k = 1 … r columns cuts through tied eigenvalues."""
        return tied(self.values)


def tied(values: Float64[Array, " rank"]) -> Bool[NDArray[np.bool_], " rank"]:
    """Marks each descending eigenvalue that is tied with its successor: an ``ntps(k)`` that cuts there is arbitrary."""
    cuts = np.zeros(len(values), dtype=bool)
    if len(values) > 1:
        cuts[:-1] = values[:-1] - values[1:] <= TIE_TOLERANCE * values[:-1]
    return cuts


def autoregressive_subspace(prefix: Factor, prefix_next: Float64[Array, "dims dims"]) -> Subspace:
    """V: top generalized eigenvectors of ``S Sᵀ v = λ D v`` (Theorem 1).

    Args:
        prefix: Factor of ``D = E[Σ_t c_t c_tᵀ]``.
        prefix_next: ``S = E[Σ_t c_t x_{t+1}ᵀ]``, whose columns lie in the range of D.

    Returns:
        All directions whose eigenvalue stands above rounding noise: the left singular vectors of the whitened ``S``.
    """
    whitened = prefix.whiten(prefix_next)
    if not whitened.size:
        return Subspace(np.zeros((len(prefix_next), 0)), np.zeros(0), 0.0)
    left, singular = left_singular(whitened)
    # Whitening amplifies the rounding noise of S by the square root of D's condition.
    cutoff = rounding(len(prefix_next)) * float(np.sqrt(prefix.condition))
    rank = int(np.sum(singular > cutoff * singular[0]))
    return Subspace(prefix.unwhiten(left[:, :rank]), singular[:rank] ** 2, cutoff)


def perception_subspace(
    pooled: Factor,
    pooled_target: Float64[Array, "dims outputs"],
    target_gram: Float64[Array, "outputs outputs"],
    target_noise: float | None = None,
) -> Subspace:
    """U, Λ: top generalized eigenvectors of ``M Mᵀ u = Λ N u`` (Theorem 1), exactly ``rank M`` of them.

    Args:
        pooled: Factor of ``N = E[x̄ x̄ᵀ]``.
        pooled_target: ``M = E[x̄ yᵀ]``, whose columns lie in the range of N.
        target_gram: ``E[y yᵀ]``.
        target_noise: Trace of the matrix that ``target_gram`` was computed from by subtraction, whose rounding noise
            it inherits. The trace of ``target_gram`` by default.

    Returns:
        The subspace. Beyond ``rank M`` eigenvectors of ``M Mᵀ`` would be an arbitrary basis of its kernel.
    """
    rank, cutoff = _rank(pooled, pooled_target, target_gram, target_noise)
    return _perception(pooled, pooled_target, rank, cutoff)


def ridge_perception_subspace(
    pooled_gram: Float64[Array, "dims dims"],
    pooled_target: Float64[Array, "dims outputs"],
    penalties: Float64[Array, " dims"],
    unpenalized: Subspace,
    resolution: float = EPS,
) -> Subspace:
    """The same of the ridge probe: top generalized eigenvectors of ``M Mᵀ u = Λ (N + diag p) u``.

    They span the weights ``(N + diag p)⁻¹ M`` that minimize ``E‖y − Wᵀ x̄‖² + Σ_i p_i ‖w_i‖²``. Where there are fewer
    texts than dimensions, least squares fits all targets alike and Λ are all 1; the penalty tells directions apart that
    the pooled texts know well from those that they hardly know.

    Args:
        pooled_gram: N, with zeros for dimensions that are dead.
        pooled_target: M.
        penalties: p.
        unpenalized: :func:`perception_subspace`, which decided the rank of M.
        resolution: Relative rounding of the states.
    """
    penalized = pooled_gram.copy()
    np.fill_diagonal(penalized, np.diag(pooled_gram) + penalties)
    return _perception(factorize(penalized, resolution=resolution), pooled_target, unpenalized.rank, unpenalized.cutoff)


def _perception(pooled: Factor, pooled_target: Float64[Array, "dims outputs"], rank: int, cutoff: float) -> Subspace:
    left, singular, _ = linalg.svd(pooled.whiten(pooled_target), full_matrices=False, check_finite=False)
    rank = min(rank, pooled.rank)
    return Subspace(pooled.unwhiten(left[:, :rank]), singular[:rank] ** 2, cutoff)


def _rank(
    pooled: Factor,
    pooled_target: Float64[Array, "dims outputs"],
    target_gram: Float64[Array, "outputs outputs"],
    target_noise: float | None,
) -> tuple[int, float]:
    """Rank of M, decided where its entries are correlations.

    Rows are divided by the pooled root mean squares and columns are rotated to the principal axes of the targets and
    divided by their root mean squares, so that noise is ``eps`` everywhere; in ``F⁺ M`` it would be ``eps · √cond(N)``.
    Where second moments of the means were subtracted, the noise is that of what was there before.
    """
    values, axes = linalg.eigh(target_gram)
    kept = values > rounding(len(values)) * max(float(values[-1]), 0.0)
    noise = 0.0
    if target_noise is not None:
        kept &= values > 32 * EPS * target_noise
        noise = 8 * EPS * float(np.sqrt(pooled.amplification * pooled.rank * np.sum(target_noise / values[kept])))
    alive = pooled.scale > 0
    correlations = (pooled_target[alive] / pooled.scale[alive, None]) @ (axes[:, kept] / np.sqrt(values[kept]))
    cutoff = 8 * rounding(max(pooled_target.shape))
    if not correlations.size:
        return 0, cutoff
    singular = linalg.svdvals(correlations, check_finite=False)
    # Correlations are at most 1 in size: a matrix of pure noise must not set its own scale.
    return int(np.sum(singular > max(cutoff * max(float(singular[0]), 1.0), noise))), cutoff
