"""Ridge regression in closed form: one decomposition for every penalty and for every text, group or fold left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy.typing import NDArray

from ntps.theory.factor import EPS, Array, carries, rounding
from ntps.theory.probe import LinearProbe

Ids = NDArray[np.int64]
Features = NDArray[np.float32] | NDArray[np.float64]
CHUNK = 2**22
"""Numbers that are gathered at a time while parts are left out: 32 MiB."""
ROWS = 128
"""Fitted rows that are computed at a time."""


@dataclass(frozen=True)
class Standardization:
    """``z = (x − mean) / scale``, as scikit-learn's ``StandardScaler`` does it.

    Attributes:
        mean: Means.
        scale: Population standard deviations; zero for features that do not vary, which become 0.
    """

    mean: Float64[Array, " dims"]
    scale: Float64[Array, " dims"]

    @property
    def varying(self) -> int:
        """Number of features that vary, which is the mean of ``‖z‖²`` over the texts they were standardized on."""
        return int(np.count_nonzero(self.scale))

    def apply(self, features: Float[Features, "texts dims"]) -> Float64[Array, "texts dims"]:
        """Standardized features."""
        centred = np.subtract(features, self.mean, dtype=np.float64)
        centred /= np.where(self.scale > 0, self.scale, np.inf)
        return centred


def standardize(features: Float[Features, "texts dims"], resolution: float = EPS) -> Standardization:
    """Means and standard deviations, and which features vary.

    A feature is constant up to a deviation of ``n · eps`` times its mean, as in scikit-learn, and dead as
    :func:`~ntps.theory.factor.carries` says it. Scikit-learn lifts a dead feature whose mean is 0 to unit variance,
    that is rounding noise to the weight of all others; here it becomes 0.

    Args:
        features: As they are.
        resolution: Relative rounding of the features: about 1e-7 for states of a float32 model.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = np.subtract(features, mean, dtype=np.float64)
    # The mean is rounded; what is left of it would count as variance of a feature that has none.
    left = centred.mean(axis=0)
    variance = np.einsum("ij,ij->j", centred, centred) / len(features) - left**2
    deviation = np.sqrt(np.maximum(variance, 0.0))
    mean += left
    varies = carries(deviation**2, resolution=resolution)
    varies &= deviation > max(len(features) * EPS, resolution) * np.abs(mean)
    return Standardization(mean, np.where(varies, deviation, 0.0))


@dataclass(frozen=True)
class RidgeDecomposition:
    """``Z Zᵀ = U diag(λ) Uᵀ`` for centred features Z, which solves ``min ‖y − b − Z w‖² + α ‖w‖²`` for every α.

    The fitted values are ``H y`` with ``H = 1 1ᵀ / n + U diag(λ / (λ + α)) Uᵀ``; the intercept b bears no penalty.
    Whatever part F of the texts is left out, the fit to the others misses it by ``(I − H)_FF⁻¹ ((I − H) y)_F``.
    Relative errors are about ``eps · λ_max / α``, as for any solver that sums products of features first.

    Attributes:
        vectors: U, orthogonal to the vector of ones.
        eigenvalues: λ ≥ 0.
        complete: Whether U spans everything that is orthogonal to ones. Then ``I − H`` is summed from U alone: texts
            that are fitted almost exactly would be lost in rounding if H were subtracted.
    """

    vectors: Float64[Array, "texts rank"]
    eigenvalues: Float64[Array, " rank"]
    complete: bool

    @property
    def mean_diagonal(self) -> float:
        """Mean of ``‖z‖²`` over texts, in which penalties are measured; 1 where no feature varies."""
        return float(self.eigenvalues.sum()) / len(self.vectors) or 1.0

    def degrees_of_freedom(self, penalty: float) -> float:
        """``trace H``, with the intercept."""
        return 1.0 + float(np.sum(self.eigenvalues / (self.eigenvalues + penalty)))

    def duals(self, targets: Float64[Array, "texts outputs"], penalty: float) -> Float64[Array, "texts outputs"]:
        """a with ``w = Zᵀ a``."""
        spectrum = self.vectors.T @ targets / (self.eigenvalues + penalty)[:, None]
        return np.asarray(self.vectors @ spectrum)

    def left_out(
        self, targets: Float64[Array, "texts outputs"], penalty: float, parts: Int64[Ids, " texts"] | None = None
    ) -> Float64[Array, "texts outputs"]:
        """What the fit to all other parts predicts for each part, exactly and without a refit.

        Args:
            targets: What is predicted.
            penalty: α > 0, the same for every part.
            parts: Numbers from 0 on, of the groups or folds that are left out whole, of which there are at least two;
                every text is one by default.
        """
        return targets - next(self.left_out_residuals(targets, np.array([penalty]), parts))

    def left_out_residuals(
        self,
        targets: Float64[Array, "texts outputs"],
        penalties: Float64[Array, " penalties"],
        parts: Int64[Ids, " texts"] | None = None,
    ) -> Iterator[Float64[Array, "texts outputs"]]:
        """Targets minus :meth:`left_out` for each penalty in turn."""
        # Texts come last, so that all texts of one penalty lie side by side.
        centred = np.ascontiguousarray((targets - targets.mean(axis=0)).T)
        spectrum = centred @ self.vectors
        weights = (penalties[:, None] if self.complete else self.eigenvalues) / (self.eigenvalues + penalties[:, None])
        diagonals = self._diagonals(weights)
        groups = [] if parts is None else [members for members in same_sizes(parts) if members.shape[1] > 1]
        step = max(1, ROWS // max(1, len(centred)))
        for start in range(0, len(penalties), step):
            some = weights[start : start + step]
            # Many rows at once: U is long, and reading it costs more than multiplying it.
            rows = (some[:, None] * spectrum).reshape(len(some) * len(centred), len(self.eigenvalues))
            seen = (rows @ self.vectors.T).reshape(len(some), *centred.shape)
            for kept, diagonal, part in zip(some, diagonals[start : start + step], seen, strict=True):
                residuals = part if self.complete else centred - part
                result = (residuals / diagonal).T
                for members in groups:
                    result[members] = self._solve(members, kept, residuals.T[members])
                yield result

    def _diagonals(self, weights: Float64[Array, "penalties rank"]) -> Float64[Array, "penalties texts"]:
        """Diagonals of ``I − H`` for each row of weights."""
        step = max(1, CHUNK // 16 // max(1, self.vectors.shape[1]))
        starts = range(0, len(self.vectors), step)
        squares = np.concatenate([weights @ (self.vectors[start : start + step] ** 2).T for start in starts], axis=1)
        return squares if self.complete else 1.0 - 1.0 / len(self.vectors) - squares

    def _solve(
        self,
        members: Int64[Ids, "parts size"],
        weights: Float64[Array, " rank"],
        residuals: Float64[Array, "parts size outputs"],
    ) -> Float64[Array, "parts size outputs"]:
        """``(I − H)_FF⁻¹ e_F`` for parts of one size."""
        size = members.shape[1]
        if not self.complete and size > len(weights) + 1:
            return np.stack([self._solve_long(*each, weights) for each in zip(members, residuals, strict=True)])
        solved = []
        step = max(1, CHUNK // (size * (len(weights) + size)))
        for start in range(0, len(members), step):
            halves = self.vectors[members[start : start + step]] * np.sqrt(weights)
            # Of a matrix and its own transpose, only half the products are computed.
            blocks = halves @ halves.swapaxes(1, 2)
            if not self.complete:
                blocks = np.eye(size) - 1.0 / len(self.vectors) - blocks
            solved.append(np.linalg.solve(blocks, residuals[start : start + step]))
        return np.concatenate(solved)

    def _solve_long(
        self, rows: Int64[Ids, " size"], residuals: Float64[Array, "size outputs"], weights: Float64[Array, " rank"]
    ) -> Float64[Array, "size outputs"]:
        """The same for one part of more texts than U has columns, by Woodbury's identity in the space of U."""
        halves = np.empty((len(rows), len(weights) + 1))
        halves[:, 0] = len(self.vectors) ** -0.5
        np.multiply(self.vectors[rows], np.sqrt(weights), out=halves[:, 1:])
        others = np.eye(halves.shape[1]) - halves.T @ halves
        return np.asarray(residuals + halves @ np.linalg.solve(others, halves.T @ residuals))


def same_sizes(parts: Int64[Ids, " texts"]) -> Iterator[Int64[Ids, "parts size"]]:
    """The members of all parts of one size, for each size s that occurs."""
    counts = np.bincount(parts)
    order = np.argsort(parts, kind="stable")
    starts = np.cumsum(counts) - counts
    for size in np.unique(counts[counts > 0]):
        yield order[starts[counts == size][:, None] + np.arange(size)]


def decompose_features(features: Float64[Array, "texts dims"]) -> RidgeDecomposition:
    """Decomposes centred features in the smaller of the spaces of texts and of features."""
    texts, width = features.shape
    if texts <= width:
        return decompose_kernel(features @ features.T)
    values, axes = np.linalg.eigh(features.T @ features)
    vectors = features @ axes[:, values > rounding(width) * values[-1]]
    # The images tell an eigenvalue more exactly than the products did.
    lengths = np.sqrt(np.einsum("ij,ij->j", vectors, vectors))
    vectors /= lengths
    return RidgeDecomposition(vectors, lengths**2, complete=False)


def decompose_kernel(kernel: Float64[Array, "texts texts"]) -> RidgeDecomposition:
    """Decomposes inner products of centred features."""
    # Ones are in the kernel's null space; among its other null vectors they would be lost, at −‖K‖ they stand alone.
    shifted = kernel - (float(np.linalg.norm(kernel)) or 1.0) / len(kernel)
    # NumPy's lets other threads run meanwhile, and so other layers; SciPy's does not.
    values, vectors = np.linalg.eigh(shifted)
    # An eigenvalue of 0 comes out as rounding noise of −values[0] = ‖K‖.
    kept = np.where(values[1:] > rounding(len(kernel)) * -values[0], values[1:], 0.0)
    return RidgeDecomposition(vectors[:, 1:], kept, complete=True)


def ridge_probe(
    standardization: Standardization,
    features: Float64[Array, "texts dims"],
    decomposition: RidgeDecomposition,
    targets: Float64[Array, "texts outputs"],
    penalty: float,
) -> LinearProbe:
    """The fit to all texts, in the coordinates of the features before standardization.

    Args:
        standardization: What made ``features`` of them.
        features: Standardized.
        decomposition: Theirs.
        targets: What the probe predicts.
        penalty: α > 0.
    """
    weights = features.T @ decomposition.duals(targets, penalty)
    return unstandardized(standardization, weights, targets.mean(axis=0))


def unstandardized(
    standardization: Standardization,
    weights: Float64[Array, "dims outputs"],
    target_mean: Float64[Array, " outputs"],
) -> LinearProbe:
    """Weights of standardized features as a probe on the features themselves."""
    scale = standardization.scale[:, None]
    coefficients = np.divide(weights, scale, out=np.zeros_like(weights), where=scale > 0)
    return LinearProbe(coefficients, target_mean - standardization.mean @ coefficients)
