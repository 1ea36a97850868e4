"""How much of one subspace lies in the first k directions of another, for every k at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from ntps.theory.factor import Array, Factor, rounding

BLOCK = 64
"""Columns that LAPACK handles at a time."""


@dataclass(frozen=True)
class OrderedCoordinates:
    """Inner products of some vectors with given columns, orthonormalized in their order.

    Attributes:
        values: ``(m, c)``: rows of zeros where a column depends on those before it.
        triangle: ``(m, m)`` upper triangle R of the columns' QR decomposition; None where columns are dependent.
    """

    values: Array
    triangle: Array | None

    def append(self, row: Array, entries: Array) -> Array:
        """The coordinates after every column and vector became longer by one entry.

        Args:
            row: ``(m,)`` the new entries of the columns, which must be independent.
            entries: ``(c,)`` those of the vectors.

        Returns:
            ``(m, c)``.
        """
        assert self.triangle is not None
        size = min(BLOCK, len(row))
        _, reflectors, blocks, _ = lapack.dtpqrt(0, size, self.triangle, row[None])
        return np.asarray(lapack.dtpmqrt(0, reflectors, blocks, self.values, entries[None], trans="T")[0])


def ordered_coordinates(columns: Array, noise: Array, vectors: Array) -> OrderedCoordinates:
    """Coordinates of some vectors in the columns, orthonormalized in their order.

    Args:
        columns: ``(r, m)``.
        noise: ``(m,)`` length below which what remains of a column is rounding noise.
        vectors: ``(r, c)``.
    """
    height, count = columns.shape
    leading = min(height, count)
    result = np.zeros((count, vectors.shape[1]))
    if not leading or not vectors.size:
        return OrderedCoordinates(result, None)
    reflectors, blocks, _ = lapack.dgeqrt(min(BLOCK, leading), columns[:, :leading])
    if np.all(np.abs(np.diag(reflectors)) > noise[:leading]):
        # The basis itself is never formed: applying the reflectors to a few vectors costs next to nothing.
        result[:leading] = lapack.dgemqrt(reflectors, blocks, vectors, trans="T")[0][:leading]
        return OrderedCoordinates(result, reflectors[:count] if count <= height else None)
    return OrderedCoordinates(np.asarray(ordered_basis(columns, noise).T @ vectors), None)


def ordered_basis(columns: Array, noise: Array) -> Array:
    """Orthonormalizes columns in their order; dependent columns become zero.

    The first k columns of the result span what the first k columns of the input span, for every k. Householder QR would
    give a dependent column an arbitrary direction and turn later ones away from it; so we go column by column, and
    project twice: once is not enough when almost nothing of the column remains.

    Args:
        columns: ``(r, m)``.
        noise: ``(m,)`` length below which what remains of a column is rounding noise.

    Returns:
        ``(r, m)``: orthonormal columns, and zeros where a column depends on those before it.
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


def alignment(autoregressive: Array, perception: Array) -> Array:
    """``‖P_k U_j‖² / ‖U_j‖²`` for every k and j (Algorithm 1).

    ``P_k`` is the orthogonal projection on the span of the first k columns of V.

    Args:
        autoregressive: ``(d, r)`` V.
        perception: ``(d, m)`` U.

    Returns:
        ``(r, m)``: entry (k-1, j-1) uses the first k columns of V and the first j of U; in [0, 1], never
        decreasing in k.
    """
    noise = rounding(len(autoregressive)) * np.linalg.norm(autoregressive, axis=0)
    captured = ordered_coordinates(autoregressive, noise, perception).values ** 2
    energy = np.cumsum(np.sum(perception**2, axis=0))
    shares: Array = np.cumsum(np.cumsum(captured, axis=0), axis=1) / energy
    return np.minimum(shares, 1.0)


def cumulative_explained(pooled: Factor, pooled_target: Array, directions: Array) -> Array:
    """Target energy that the best least-squares probe explains from the first k directions, for every k.

    The probe sees ``V_kᵀ x̄``. With ``total = ‖F⁺ M‖²``, equation 35's excess loss is ``total`` minus the result.

    Args:
        pooled: Factor of N (or of the pooled covariance).
        pooled_target: ``(d, c)`` M (or the cross covariance).
        directions: ``(d, r)`` V.

    Returns:
        ``(r,)``: never decreasing, at most ``total``.
    """
    whitened = pooled.whiten(pooled_target)
    return _explained(_seen(pooled, whitened, directions).values, whitened)


def cumulative_explained_with_mean(
    covariance: Factor, cross_covariance: Array, pooled_mean: Array, target_mean: Array, directions: Array
) -> tuple[Array, Array, float] | None:
    """:func:`cumulative_explained` for covariances and for uncentred moments, at little more than the price of one.

    With ``Cov = F Fᵀ``, N is ``[F μ] [F μ]ᵀ``: the uncentred problem is the centred one with one more row.

    Args:
        covariance: Factor of ``N − μ μᵀ``.
        cross_covariance: ``(d, c)`` ``M − μ E[y]ᵀ``.
        pooled_mean: ``(d,)`` μ.
        target_mean: ``(c,)`` E[y].
        directions: ``(d, r)`` V.

    Returns:
        ``(r,)`` centred and ``(r,)`` uncentred energies, and the uncentred energy that all directions explain; None
        where the covariance is singular.
    """
    whitened = covariance.whiten(cross_covariance)
    seen = _seen(covariance, whitened, directions)
    if covariance.singular or seen.triangle is None:
        return None
    total = _explained_with_mean(whitened, covariance.whiten(pooled_mean[:, None])[:, 0], target_mean)
    uncentred = np.cumsum(np.sum(seen.append(pooled_mean @ directions, target_mean) ** 2, axis=1))
    return _explained(seen.values, whitened), np.minimum(uncentred, total), total


def _explained_with_mean(whitened: Array, mean: Array, target_mean: Array) -> float:
    """``Mᵀ N⁻¹ M`` summed over outputs, from ``F⁻¹ Cov(x̄, y)`` and ``F⁻¹ μ``, as a sum of squares."""
    length = float(np.linalg.norm(mean))
    direction = mean / length if length else mean
    along = direction @ whitened
    across = whitened - np.outer(direction, along)
    return float(np.sum(across**2) + np.sum((along + length * target_mean) ** 2) / (1 + length**2))


def _seen(factor: Factor, whitened: Array, directions: Array) -> OrderedCoordinates:
    return ordered_coordinates(factor.coordinates(directions), factor.coordinate_noise(directions), whitened)


def _explained(seen: Array, whitened: Array) -> Array:
    explained: Array = np.cumsum(np.sum(seen**2, axis=1))
    return np.minimum(explained, np.sum(whitened**2))
