"""Left singular vectors from a symmetric eigenproblem and one correction, against LAPACK's and high precision."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import linalg

import ntps.theory.singular
from ntps.theory.singular import left_singular

Array = NDArray[np.float64]
Decompose = Callable[[Array], tuple[Array, Array]]


def matrix_with(values: Array, columns: int, seed: int) -> Array:
    """A matrix with the given singular values."""
    rng = np.random.default_rng(seed)
    left = linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    right = linalg.qr(rng.normal(size=(columns, columns)))[0][: len(values)]
    return np.asfortranarray(left * values @ right)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("decomposed in full")


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    rank=st.integers(1, 24),
    more=st.integers(0, 8),
    spread=st.sampled_from([0.0, 0.5, 3.0, 5.0, 9.0, 15.0]),
    tied=st.booleans(),
    missing=st.integers(0, 3),
)
def test_vectors_and_values_are_those_of_the_full_decomposition(
    seed: int, rank: int, more: int, spread: float, tied: bool, missing: int
) -> None:
    """Whatever the spectrum: equal, graded far beyond ``√eps``, tied in pairs, with zeros."""
    values = np.geomspace(1, 10**-spread, rank)
    if tied:
        values[1::2] = values[: 2 * (rank // 2) : 2]
    values[max(1, rank - missing) :] = 0.0
    matrix = matrix_with(values, rank + more, seed)
    left, found = left_singular(matrix.copy(order="F"))
    np.testing.assert_allclose(left.T @ left, np.eye(rank), atol=1e-11)
    np.testing.assert_allclose(found, linalg.svdvals(matrix), atol=1e-13)
    image = matrix.T @ left
    np.testing.assert_allclose(image.T @ image, np.diag(found**2), atol=1e-12)
    # Inner products relative to lengths: what an eigenproblem of the square alone does not give.
    for i, j in zip(*np.triu_indices(rank, 1), strict=True):
        assert abs(image[:, i] @ image[:, j]) <= 1e-12 * max(found[i], found[j])


@pytest.mark.parametrize("spread", [1, 3, 5])
def test_spans_agree_with_high_precision_without_a_full_decomposition(
    spread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_with(np.geomspace(1, 10.0**-spread, 12), 12, spread)
    with mpmath.workdps(40):
        exact = np.array(mpmath.svd_r(mpmath.matrix(matrix.tolist()))[0].tolist(), dtype=np.float64)
    monkeypatch.setattr("ntps.theory.singular.linalg.svd", refuse)
    left, _ = left_singular(matrix)
    inner = exact.T @ left
    for k in range(1, 12):
        gap = 10 ** (-spread * k / 11) - 10 ** (-spread * (k - 1) / 11)
        assert np.linalg.norm(inner[k:, :k]) <= 1e-14 / abs(gap)


def test_the_correction_is_what_gives_the_small_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = matrix_with(np.geomspace(1, 1e-5, 64), 64, 0)
    exact = linalg.svd(matrix)[0]

    def error() -> float:
        inner = exact.T @ left_singular(matrix)[0]
        return max(float(np.linalg.norm(inner[k:, :k])) for k in range(1, 64))

    assert error() < 1e-9
    monkeypatch.setattr(
        ntps.theory.singular, "_corrections", lambda products: (np.diag(products), np.zeros_like(products))
    )
    assert error() > 1e-8


@pytest.mark.parametrize("values", [np.ones(20), np.geomspace(1, 1e-12, 20)], ids=["tied", "far apart"])
def test_what_one_correction_cannot_resolve_is_decomposed_in_full(
    values: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntps.theory.singular.linalg.svd", refuse)
    with pytest.raises(AssertionError, match="in full"):
        left_singular(matrix_with(values, 24, 1))


def test_a_zero_matrix_has_zero_values_and_orthonormal_vectors() -> None:
    left, values = left_singular(np.zeros((3, 5), order="F"))
    assert not values.any()
    np.testing.assert_allclose(left.T @ left, np.eye(3), atol=1e-14)
