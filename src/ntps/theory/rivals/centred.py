"""Centred features by one thin SVD, which several scores share, and how far their covariance is shrunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array, rounding
from ntps.theory.ridge import Ids


@dataclass(frozen=True)
class CentredFeatures:
    """``Z = U diag(s) Vᵀ`` for features from their mean; V is not needed, as no score here depends on it.

    Attributes:
        vectors: U.
        values: s > 0, descending.
        width: Number of features d.
    """

    vectors: Float64[Array, "texts rank"]
    values: Float64[Array, " rank"]
    width: int

    @classmethod
    def of(cls, features: Float64[Array, "texts dims"]) -> CentredFeatures:
        """Centres and decomposes features."""
        vectors, values, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
        kept = values > rounding(max(features.shape)) * values[0]
        return cls(vectors[:, kept], values[kept], features.shape[1])

    @property
    def rows(self) -> Float64[Array, "texts rank"]:
        """The features, rotated into the space that they span."""
        return self.vectors * self.values

    @property
    def eigenvalues(self) -> Float64[Array, " rank"]:
        """Those of the covariance ``Zᵀ Z / n`` that are not 0."""
        return np.asarray(self.values**2 / len(self.vectors))

    @property
    def shrinkage(self) -> float:
        """How far Ledoit and Wolf move the covariance towards a multiple of the identity."""
        norms = np.einsum("ij,ij->i", self.rows, self.rows)
        return ledoit_wolf(norms, float(np.sum(self.eigenvalues**2)), self.width)

    def leading(self, energy: float) -> Float64[Array, "texts components"]:
        """Coordinates on the fewest principal components that hold a share of the variance."""
        share = np.cumsum(self.eigenvalues) / np.sum(self.eigenvalues)
        return np.asarray(self.rows[:, : int(np.searchsorted(share, energy)) + 1])


def ledoit_wolf(norms: Float64[Array, " texts"], squares: float, width: int) -> float:
    """The shrinkage of Ledoit and Wolf (2004), from 0 to 1, as in scikit-learn.

    The best estimate of a covariance of the form ``(1 − a) S + a (trace S / d) I`` has about
    ``a = (E‖z‖⁴ − ‖S‖²) / (n (‖S‖² − (trace S)² / d))``.

    Args:
        norms: ``‖z‖²`` of each centred text.
        squares: ``‖S‖²``, the sum of the squared entries of their covariance S.
        width: Number of features d.
    """
    noise = (float(np.mean(norms**2)) - squares) / len(norms)
    spread = squares - float(norms.mean()) ** 2 / width
    return min(1.0, noise / spread) if noise > 0 and spread > 0 else 0.0


def class_means(
    rows: Float64[Array, "texts dims"], classes: Int64[Ids, " texts"], count: int
) -> tuple[Float64[Array, "{count} dims"], Float64[Array, " {count}"]]:
    """The mean of each class, 0 for classes without texts, and how many texts each has."""
    members = np.eye(count)[classes]
    sizes = members.sum(axis=0)
    return np.asarray(members.T @ rows / np.maximum(sizes, 1.0)[:, None]), sizes
