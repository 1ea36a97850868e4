"""Theorem 2: the score bounds the excess loss from both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.linalg import blas
from scipy.sparse.linalg import LinearOperator, eigsh

from ntps.theory.factor import Array, Factor
from ntps.theory.subspaces import Subspace

DENSE = 128
"""Width up to which the whole spectrum costs next to nothing; above it Lanczos iterations find its two ends."""


@dataclass(frozen=True)
class Theorem2Constants:
    """``lower · (1 − ntps_full(k)) ≤ excess_loss(k) ≤ upper · (1 − ntps_full(k))`` for every k.

    Attributes:
        lower: ``λ_min(N) Λ_min ‖U‖²``; 0 for a singular N.
        upper: ``λ_max(N) Λ_max ‖U‖²``.
    """

    lower: float
    upper: float


def theorem2_constants(pooled_gram: Array, pooled: Factor, perception: Subspace) -> Theorem2Constants:
    """Constants of Theorem 2, for the score with all ``rank M`` columns of U.

    They are often many orders of magnitude apart; the exact excess loss costs no more.

    Args:
        pooled_gram: ``(d, d)`` N.
        pooled: Its factor.
        perception: U and Λ. With no columns both constants are 0.
    """
    if not perception.rank:
        return Theorem2Constants(0.0, 0.0)
    smallest, largest = _extreme_eigenvalues(pooled_gram, pooled)
    energy = float(np.sum(perception.basis**2))
    return Theorem2Constants(
        lower=smallest * float(perception.values[-1]) * energy,
        upper=largest * float(perception.values[0]) * energy,
    )


def _extreme_eigenvalues(gram: Array, factor: Factor) -> tuple[float, float]:
    width = len(gram)
    if width <= DENSE:
        spectrum = linalg.eigvalsh(gram, check_finite=False)
        return 0.0 if factor.singular else max(float(spectrum[0]), 0.0), float(spectrum[-1])
    largest = _largest_eigenvalue(width, lambda vector: blas.dsymv(1.0, gram.T, vector))
    if factor.singular:
        return 0.0, largest
    inverse = _largest_eigenvalue(width, lambda vector: factor.unwhiten(factor.whiten(vector.reshape(-1, 1))))
    return 1 / inverse, largest


def _largest_eigenvalue(width: int, multiply: Callable[[Array], Array]) -> float:
    # The error of an eigenvalue is the square of its vector's.
    operator = LinearOperator((width, width), matvec=multiply, dtype=np.float64)
    found = eigsh(operator, k=1, which="LA", tol=1e-6, v0=np.ones(width), return_eigenvectors=False)
    return float(found[0])
