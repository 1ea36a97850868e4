"""How much of one subspace lies in the first k directions of another, for every k at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.linalg import lapack

from ntps.theory.factor import Array, Factor, rounding

BLOCK = 64
"""Columns that LAPACK handles at a time."""


def ordered_coordinates(
    columns: Float64[Array, "rank columns"], noise: Float64[Array, " columns"], vectors: Float64[Array, "rank outputs"]
) -> Float64[Array, "columns outputs"]:
    """Inner products of some vectors with the columns, orthonormalized in their order.

    Args:
        columns: What is orthonormalized.
        noise: Length below which what remains of a column is rounding noise.
        vectors: The others.

    Returns:
        Rows of zeros where a column depends on those before it.
    """
    height, count = columns.shape
    leading = min(height, count)
    result = np.zeros((count, vectors.shape[1]))
    if not leading or not vectors.size:
        return result
    reflectors, blocks, _ = lapack.dgeqrt(min(BLOCK, leading), columns[:, :leading])
    if np.all(np.abs(np.diag(reflectors)) > noise[:leading]):
        # The basis itself is never formed: applying the reflectors to a few vectors costs next to nothing.
        result[:leading] = lapack.dgemqrt(reflectors, blocks, vectors, trans="T")[0][:leading]
        return result
    return np.asarray(ordered_basis(columns, noise).T @ vectors)


def ordered_basis(
    columns: Float64[Array, "rank columns"], noise: Float64[Array, " columns"]
) -> Float64[Array, "rank columns"]:
    """Orthonormalizes columns in their order; dependent columns become zero.

    The first k columns of the result span what the first k columns of the input span, for every k. Householder QR would
    give a dependent column an arbitrary direction and turn later ones away from it; so we go column by column, and
    project twice: once is not enough when almost nothing of the column remains.

    Args:
        columns: What is orthonormalized.
        noise: Length below which what remains of a column is rounding noise.

    Returns:
        Orthonormal columns, and zeros where a column depends on those before it.
    """
    height, count = columns.shape
    basis = np.zeros((height, count))
    found = np.zeros((height, min(height, count)), order="F")
    rank = 0
    for index in range(count):
        if rank == height:
            break
        rest = columns[:, index].copy()
        for _ in range(2):
            rest -= found[:, :rank] @ (found[:, :rank].T @ rest)
        length = float(np.linalg.norm(rest))
        if length > noise[index]:
            rest /= length
            rest -= found[:, :rank] @ (found[:, :rank].T @ rest)
            found[:, rank] = basis[:, index] = rest / np.linalg.norm(rest)
            rank += 1
    return basis


def alignment(
    autoregressive: Float64[Array, "dims directions"], perception: Float64[Array, "dims columns"]
) -> Float64[Array, "directions columns"]:
    """``‖P_k U_j‖² / ‖U_j‖²`` for every k and j (Algorithm 1).

    ``P_k`` is the orthogonal projection on the span of the first k columns of V.

    Args:
        autoregressive: V.
        perception: U.

    Returns:
        Entry (k-1, j-1) uses the first k columns of V and the first j of U; in [0, 1], never
        decreasing in k.
    """
    noise = rounding(len(autoregressive)) * np.linalg.norm(autoregressive, axis=0)
    captured = ordered_coordinates(autoregressive, noise, perception) ** 2
    energy = np.cumsum(np.sum(perception**2, axis=0))
    shares: Array = np.cumsum(np.cumsum(captured, axis=0), axis=1) / energy
    return np.minimum(shares, 1.0)


def cumulative_explained(
    pooled: Factor, pooled_target: Float64[Array, "dims outputs"], directions: Float64[Array, "dims directions"]
) -> Float64[Array, " directions"]:
    """Target energy that the best least-squares probe explains from the first k directions, for every k.

    The probe sees ``V_kᵀ x̄``. With ``total = ‖F⁺ M‖²``, equation 35's excess loss is ``total`` minus the result.

    Args:
        pooled: Factor of N (or of the pooled covariance).
        pooled_target: M (or the cross covariance).
        directions: V.

    Returns:
        Never decreasing, at most ``total``.
    """
    whitened = pooled.whiten(pooled_target)
    seen = ordered_coordinates(pooled.coordinates(directions), pooled.coordinate_noise(directions), whitened)
    explained: Array = np.cumsum(np.sum(seen**2, axis=1))
    return np.minimum(explained, np.sum(whitened**2))
