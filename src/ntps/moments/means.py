"""Means over texts, as the closed forms take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntps.theory import EPS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """Means over texts, as the closed forms take them.

    Attributes:
        texts: Number of texts n.
        prefix_gram: ``(d, d)`` D.
        prefix_next: ``(d, d)`` S.
        next_energy: ``E[Σ_t ‖x_{t+1}‖²]``.
        pooled_gram: ``(d, d)`` N.
        pooled_target: ``(d, c)`` M.
        target_gram: ``(c, c)`` E[y yᵀ].
        pooled_mean: ``(d,)`` E[x̄].
        target_mean: ``(c,)`` E[y].
        prefixes: Prefixes a text, ``E[T − 1]``.
        prefix_sum: ``(d,)`` ``E[Σ_t c_t]``.
        next_sum: ``(d,)`` ``E[Σ_t x_{t+1}]``.
        resolution: Relative rounding of the hidden states.
    """

    texts: int
    prefix_gram: Array
    prefix_next: Array
    next_energy: float
    pooled_gram: Array
    pooled_target: Array
    target_gram: Array
    pooled_mean: Array
    target_mean: Array
    prefixes: float
    prefix_sum: Array
    next_sum: Array
    resolution: float = EPS

    @property
    def pooled_covariance(self) -> Array:
        """``(d, d)`` ``N − E[x̄] E[x̄]ᵀ``."""
        return self.pooled_gram - np.outer(self.pooled_mean, self.pooled_mean)

    @property
    def cross_covariance(self) -> Array:
        """``(d, c)`` ``M − E[x̄] E[y]ᵀ``."""
        return self.pooled_target - np.outer(self.pooled_mean, self.target_mean)
