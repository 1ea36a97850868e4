"""Means over texts, as the closed forms take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps.theory import EPS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """Means over texts, as the closed forms take them.

    Attributes:
        texts: Number of texts n.
        prefix_gram: D.
        prefix_next: S.
        next_energy: ``E[Σ_t ‖x_{t+1}‖²]``.
        pooled_gram: N.
        pooled_target: M.
        target_gram: E[y yᵀ].
        pooled_mean: E[x̄].
        target_mean: E[y].
        prefixes: Prefixes a text, ``E[T − 1]``.
        prefix_sum: ``E[Σ_t c_t]``.
        next_sum: ``E[Σ_t x_{t+1}]``.
        resolution: Relative rounding of the hidden states.
    """

    texts: int
    prefix_gram: Float64[Array, "dims dims"]
    prefix_next: Float64[Array, "dims dims"]
    next_energy: float
    pooled_gram: Float64[Array, "dims dims"]
    pooled_target: Float64[Array, "dims outputs"]
    target_gram: Float64[Array, "outputs outputs"]
    pooled_mean: Float64[Array, " dims"]
    target_mean: Float64[Array, " outputs"]
    prefixes: float
    prefix_sum: Float64[Array, " dims"]
    next_sum: Float64[Array, " dims"]
    resolution: float = EPS

    @property
    def pooled_covariance(self) -> Float64[Array, "dims dims"]:
        """``N − E[x̄] E[x̄]ᵀ``."""
        return self.pooled_gram - np.outer(self.pooled_mean, self.pooled_mean)

    @property
    def cross_covariance(self) -> Float64[Array, "dims outputs"]:
        """``M − E[x̄] E[y]ᵀ``."""
        return self.pooled_target - np.outer(self.pooled_mean, self.target_mean)
