"""Factorization of a positive semidefinite matrix, with its numerical rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas, lapack

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)

DEAD = 16 * EPS
"""Size of a dimension, relative to the largest one, up to which it is rounding noise of a float64 rotation."""


def rounding(width: int) -> float:
    """Relative rounding noise of sums and products over ``width`` dimensions.

    The noise of a Gram was measured at 6 to 12 eps whatever its width, hence the floor for small ones.
    """
    return max(width, 64) * EPS


@dataclass(frozen=True)
class Factor:
    """``A = F Fᵀ`` for a positive semidefinite ``A`` of width d and numerical rank r.

    ``F`` is d × r. Vectors that are mapped back from factor coordinates lie in the range of ``A``, so solutions of
    singular problems are the minimum-norm ones.

    Attributes:
        scale: Square roots of the diagonal of A; zero for dimensions that carry nothing.
        rank: Numerical rank r.
        cutoff: Eigenvalues of the unit-diagonal matrix up to this value counted as zero.
        condition: Condition number ``‖A‖₁ ‖A⁺‖₁`` of the unit-diagonal matrix on its range; where the matrix has full
            rank, as LAPACK estimates it.
        amplification: Largest ratio, among the dimensions that carry something, of the mean square that A was computed
            from by subtraction to what is left; 1 where nothing was subtracted.
        triangle: Lower Cholesky factor of the unit-diagonal matrix; None where it is numerically singular.
        half: F; None where ``triangle`` is used.
        inverse: Columns w_i in the range of A with ``wᵀ A w = I``; None where ``triangle`` is used.
        left_inverse: The same up to components outside the range of A. It keeps more digits where dimensions
            differ in scale, and serves where vectors in the range are mapped forward.
    """

    scale: Float64[Array, " dims"]
    rank: int
    cutoff: float
    condition: float
    amplification: float = 1.0
    triangle: Float64[Array, "dims dims"] | None = None
    half: Float64[Array, "dims rank"] | None = None
    inverse: Float64[Array, "dims rank"] | None = None
    left_inverse: Float64[Array, "dims rank"] | None = None

    @property
    def error(self) -> float:
        """About the largest relative error of what is solved with this factor."""
        spread = 1.0
        if self.inverse is not self.left_inverse:
            # The projection on the range adds dimensions of all sizes up.
            sizes = self.scale[self.scale > 0]
            spread = float(sizes.max() / sizes.min())
        return EPS * max(self.condition, self.amplification, spread)

    @property
    def singular(self) -> bool:
        """Whether the rank is below the width."""
        return self.rank < len(self.scale)

    def whiten(self, columns: Float64[Array, "dims columns"]) -> Float64[Array, "rank columns"]:
        """``F⁺ B`` for ``B`` with columns in the range of A."""
        if self.triangle is not None:
            return _solve(self.triangle, np.divide(columns, self.scale[:, None], order="F"), transposed=False)
        assert self.left_inverse is not None
        return self.left_inverse.T @ columns

    def unwhiten(self, coordinates: Float64[Array, "rank columns"]) -> Float64[Array, "dims columns"]:
        """The minimum-norm ``B`` with ``Fᵀ B = P``."""
        if self.triangle is not None:
            solution = _solve(self.triangle, np.array(coordinates, order="F"), transposed=True)
            solution /= self.scale[:, None]
            return solution
        assert self.inverse is not None
        return self.inverse @ coordinates

    def coordinates(self, columns: Float64[Array, "dims columns"]) -> Float64[Array, "rank columns"]:
        """``Fᵀ B``: inner products of the results are those of ``B`` in the metric A."""
        if self.triangle is not None:
            scaled = np.multiply(columns, self.scale[:, None], order="F")
            return np.asarray(blas.dtrmm(1.0, self.triangle, scaled, trans_a=1, lower=1, overwrite_b=1))
        assert self.half is not None
        return self.half.T @ columns

    def coordinate_noise(self, columns: Float64[Array, "dims columns"]) -> Float64[Array, " columns"]:
        """Rounding noise in the length of each column of :meth:`coordinates`."""
        magnitude = np.linalg.norm(self.scale[:, None] * columns, axis=0)
        return np.asarray(rounding(len(self.scale)) * magnitude)


def carries(
    diagonal: Float64[Array, " dims"], noise: Float64[Array, " dims"] | None = None, resolution: float = EPS
) -> Bool[NDArray[np.bool_], " dims"]:
    """Which dimensions carry anything: all but the dead ones, whose size is that of the others' rounding noise.

    A dimension is dead where its root mean square is at most ``resolution`` (or :data:`DEAD`, if that is more) times
    the largest one: had the model rotated its states, rounding would have left nothing of it. Scaled to the size of
    the others, it would be weighed as if it were as well known as they are.

    Args:
        diagonal: Mean squares.
        noise: Mean squares that ``diagonal`` was computed from by subtraction, if it was.
        resolution: Relative rounding of the states: about 1e-7 for float32.
    """
    alive: NDArray[np.bool_] = diagonal > max(DEAD, resolution) ** 2 * diagonal.max(initial=0.0)
    return alive if noise is None else alive & (diagonal > 8 * rounding(len(diagonal)) * noise)


def factorize(
    matrix: Float64[Array, "dims dims"], noise_diagonal: Float64[Array, " dims"] | None = None, resolution: float = EPS
) -> Factor:
    """Factorizes a positive semidefinite matrix and decides its rank.

    The matrix is scaled to unit diagonal first: hidden dimensions differ in scale by orders of magnitude, and the
    scaling removes that part of the condition number; dead dimensions (:func:`carries`) are left out. Where the scaled
    matrix is safely positive definite, a Cholesky factor is used; otherwise a masked eigendecomposition, whose vectors
    are projected back on the range of the unscaled matrix.

    Args:
        matrix: Symmetric positive semidefinite.
        noise_diagonal: Diagonal of the matrix that ``matrix`` was computed from by subtraction (the
            uncentred Gram of a covariance), whose rounding noise it inherits. The diagonal of ``matrix`` by default.
        resolution: Relative rounding of the states that the matrix was summed from.

    Returns:
        The factor, of rank 0 where nothing stands above rounding noise. All cut-offs are relative:
        ``max(d, 64) · eps · λ_max``, or, where something was subtracted, ``32 · eps · Σ noise_i / A_ii`` if that is
        more.
    """
    width = len(matrix)
    diagonal = np.diag(matrix)
    alive = carries(diagonal, noise_diagonal, resolution)
    scale = np.sqrt(np.where(alive, diagonal, 0.0))
    if not alive.any():
        return _nothing(scale)
    part = scale[alive]
    inherited, amplification = 0.0, 1.0
    if noise_diagonal is not None:
        ratios = noise_diagonal[alive] / diagonal[alive]
        inherited, amplification = 32 * EPS * float(ratios.sum()), float(ratios.max())
    scaled = _unit_diagonal(matrix if alive.all() else matrix[np.ix_(alive, alive)], part)
    norm = _one_norm(scaled)
    if alive.all():
        lower, failed = lapack.dpotrf(scaled, lower=1, clean=1)
        if failed == 0:
            reciprocal = float(lapack.dpocon(lower, norm, uplo="L")[0])
            # Far enough from singular that the eigen-path would keep every dimension too.
            if reciprocal * norm > 100 * max(rounding(width) * norm, inherited):
                return Factor(scale, width, inherited, 1 / reciprocal, amplification, triangle=lower)
    values, vectors = linalg.eigh(scaled, driver="evd", overwrite_a=True)
    cutoff = max(rounding(len(part)) * float(values[-1]), inherited)
    kept = values > cutoff
    if not kept.any():
        return _nothing(scale, cutoff, amplification)
    root = np.sqrt(values[kept])
    half, left_inverse = (np.zeros((width, len(root)), order="F") for _ in range(2))
    half[alive] = part[:, None] * (vectors[:, kept] * root)
    whitener = vectors[:, kept] / root
    left_inverse[alive] = whitener / part[:, None]
    inverse = left_inverse
    if not kept.all():
        # Undoing the scaling moved the columns out of the range of A; the component outside is free, and we choose 0.
        range_basis = linalg.qr(half[alive], mode="economic")[0]
        inverse = np.zeros_like(left_inverse)
        inverse[alive] = range_basis @ (range_basis.T @ left_inverse[alive])
    condition = norm * _one_norm(whitener @ whitener.T)
    return Factor(scale, len(root), cutoff, condition, amplification, None, half, inverse, left_inverse)


def _nothing(scale: Float64[Array, " dims"], cutoff: float = 0.0, amplification: float = 1.0) -> Factor:
    """A factor of rank 0."""
    empty = np.zeros((len(scale), 0))
    return Factor(scale, 0, cutoff, 1.0, amplification, None, empty, empty, empty)


def _one_norm(matrix: Float64[Array, "dims dims"]) -> float:
    return float(lapack.dlange("1", matrix))


def _unit_diagonal(matrix: Float64[Array, "dims dims"], scale: Float64[Array, " dims"]) -> Float64[Array, "dims dims"]:
    """The matrix with rows and columns divided by the scale, in Fortran order."""
    scaled = np.divide(matrix.T, scale, order="F")
    scaled /= scale[:, None]
    return scaled


def _solve(
    lower: Float64[Array, "dims dims"], right: Float64[Array, "dims columns"], *, transposed: bool
) -> Float64[Array, "dims columns"]:
    """Solves in place for a right side in Fortran order."""
    if not right.size:
        return right
    return np.asarray(blas.dtrsm(1.0, lower, right, trans_a=int(transposed), lower=1, overwrite_b=1))
