"""Singular vectors of a wide or square matrix on one side only, at the price of a symmetric eigenproblem."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy import linalg
from scipy.linalg import blas

from ntps.theory.factor import EPS, Array, rounding

LARGEST_TURN = 1e-6
"""Norm of a rotation up to which its square, what is left after one correction, is nothing."""


def left_singular(
    matrix: Float64[Array, "rank columns"],
) -> tuple[Float64[Array, "rank rank"], Float64[Array, " rank"]]:
    """Left singular vectors and singular values, largest first, as accurate as LAPACK's decomposition gives them.

    Eigenvectors of ``B Bᵀ`` cost a third of that, but the product squares the condition and so loses half the digits of
    the small ones. One step of a Jacobi method brings them back: the images of exact singular vectors under ``Bᵀ`` are
    orthogonal, so the inner products of the images of ours, which come from ``B`` itself, tell how far each pair has to
    be turned. Where that is more than :data:`LARGEST_TURN` (values that are tied, or too far apart), ``B`` is
    decomposed in full instead.

    Args:
        matrix: B with ``0 < rank ≤ columns``, best in Fortran order.

    Returns:
        Vectors and values.
    """
    gram = blas.dsyrk(1.0, matrix, lower=1)
    vectors = linalg.eigh(gram, lower=True, overwrite_a=True, check_finite=False, driver="evd")[1]
    image = blas.dgemm(1.0, matrix, vectors, trans_a=1)
    squares, turns = _corrections(blas.dsyrk(1.0, image, trans=1))
    largest = np.linalg.norm(turns)
    if not largest <= LARGEST_TURN:
        left, values, _ = linalg.svd(matrix, full_matrices=False, check_finite=False)
        return left, values
    if largest > EPS * len(turns):
        turned = blas.dtrmm(1.0, turns, vectors, side=1)
        turned -= blas.dtrmm(1.0, turns, vectors, side=1, trans_a=1)
        vectors += turned
    order = np.argsort(-squares, kind="stable")
    return vectors.T[order].T, np.sqrt(squares[order])


def _corrections(products: Float64[Array, "rank rank"]) -> tuple[Float64[Array, " rank"], Float64[Array, "rank rank"]]:
    """Squared singular values, and the rotation that makes images orthogonal to first order.

    Args:
        products: Inner products of the images, upper triangle, lengths about ascending; overwritten.

    Returns:
        Squares, corrected to second order, and the upper triangle of an antisymmetric matrix.
    """
    squares = np.diag(products).copy()
    np.fill_diagonal(products, 0.0)
    # Directions of which nothing but rounding noise is seen need no order among themselves.
    noise = int(np.sum(squares <= (rounding(len(squares)) ** 2) * squares.max()))
    products[:noise, :noise] = 0.0
    gaps = np.subtract.outer(squares, squares).T
    with np.errstate(divide="ignore"):
        turns = np.divide(products, gaps, out=products, where=products != 0)
    if np.isfinite(turns).all():
        taken, given = (np.einsum(f"ij,ij,ij->{axis}", turns, turns, gaps) for axis in "ij")
        squares = np.maximum(squares - taken + given, 0.0)
    return squares, turns
