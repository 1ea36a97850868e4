"""Theorem 2: the score bounds the excess loss from both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import linalg

from ntps.theory.factor import Array, Factor, rounding
from ntps.theory.subspaces import Subspace


@dataclass(frozen=True)
class Theorem2Constants:
    """``lower · (1 − ntps_full(k)) ≤ excess_loss(k) ≤ upper · (1 − ntps_full(k))`` for every k.

    Attributes:
        lower: ``λ_min(N) Λ_min ‖U‖²``; 0 where N is singular or λ_min cannot be told from rounding noise.
        upper: ``λ_max(N) Λ_max ‖U‖²``.
    """

    lower: float
    upper: float


def theorem2_constants(
    pooled_gram: Float64[Array, "dims dims"], pooled: Factor, perception: Subspace
) -> Theorem2Constants:
    """Constants of Theorem 2, for the score with all ``rank M`` columns of U.

    They are often many orders of magnitude apart; the exact excess loss costs no more.

    Args:
        pooled_gram: N.
        pooled: Its factor.
        perception: U and Λ. With no columns both constants are 0.
    """
    if not perception.rank:
        return Theorem2Constants(0.0, 0.0)
    spectrum = linalg.eigvalsh(pooled_gram, check_finite=False)
    smallest, largest = float(spectrum[0]), float(spectrum[-1])
    if pooled.singular or smallest <= rounding(len(spectrum)) * largest:
        smallest = 0.0
    energy = float(np.sum(perception.basis**2))
    return Theorem2Constants(
        lower=smallest * float(perception.values[-1]) * energy,
        upper=largest * float(perception.values[0]) * energy,
    )
