"""The sweep that the paper's authors released, for comparison with published numbers.

It departs from Algorithm 1: eigenvectors in ascending order, so that the "top k" are the smallest; U of as many
columns as N has kept directions, far beyond ``rank M``; an absolute cut-off. We run it in float64.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy import linalg

from ntps.theory.factor import Array

FRACTIONS: tuple[float, ...] = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Fractions of the columns that the sweep visits, on both sides: 0.05 … 0.95."""

ABSOLUTE_CUTOFF = 1e-8


def released_subspaces(
    prefix_gram: Float64[Array, "dims dims"],
    prefix_next: Float64[Array, "dims dims"],
    pooled_gram: Float64[Array, "dims dims"],
    pooled_target: Float64[Array, "dims outputs"],
) -> tuple[Float64[Array, "dims directions"], Float64[Array, "dims columns"]]:
    """V and U as the released sweep orders them.

    Args:
        prefix_gram: D.
        prefix_next: S.
        pooled_gram: N.
        pooled_target: M.

    Returns:
        V and U, eigenvalues ascending. All but the last ``rank M`` columns of U are an
        arbitrary basis of a kernel, chosen by rounding: so is any score that uses them.
    """
    return _ascending(prefix_gram, prefix_next), _ascending(pooled_gram, pooled_target)


def _ascending(
    gram: Float64[Array, "dims dims"], cross: Float64[Array, "dims outputs"]
) -> Float64[Array, "dims columns"]:
    values, vectors = linalg.eigh(gram)
    kept = values > ABSOLUTE_CUTOFF
    whitener = vectors[:, kept] / np.sqrt(values[kept])
    whitened = whitener.T @ cross
    if not whitened.size:
        return np.zeros((len(gram), 0))
    return np.asarray(whitener @ linalg.eigh(whitened @ whitened.T)[1])
