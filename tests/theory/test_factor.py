"""Factors of positive semidefinite matrices: identities, minimum norm, and the rank that was built in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from ntps.theory import Factor, factorize
from ntps.theory.factor import Array

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def dependent_rows(draw: st.DrawFn, max_width: int = 16) -> tuple[Array, int, int, int]:
    """Rows ``z B`` of known rank, d wide, scales up to 1e6 apart; also the rank, the seed and the scale exponent."""
    width = draw(st.integers(1, max_width))
    rank = draw(st.integers(1, width))
    seed, spread = draw(SEEDS), draw(st.sampled_from([0, 2, 6]))
    rng = np.random.default_rng(seed)
    mix = linalg.qr(rng.normal(size=(width, width)))[0][:rank] * 10.0 ** rng.uniform(-spread / 2, spread / 2, width)
    return rng.normal(size=(4 * width + 8, rank)) @ mix, rank, seed, spread


def gram(rows: Array) -> Array:
    return rows.T @ rows / len(rows)


def transposed_factor(factor: Factor) -> Array:
    """``Fᵀ``."""
    return factor.coordinates(np.eye(len(factor.scale)))


@settings(deadline=None, max_examples=60)
@given(dependent_rows())
def test_the_factor_times_its_transpose_is_the_matrix(case: tuple[Array, int, int, int]) -> None:
    matrix = gram(case[0])
    half = transposed_factor(factorize(matrix))
    unit = np.sqrt(np.diag(matrix))
    assert np.max(np.abs(half.T @ half - matrix) / np.outer(unit, unit)) < 1e-13


@settings(deadline=None, max_examples=60)
@given(dependent_rows())
def test_the_rank_is_the_rank_that_was_built_in(case: tuple[Array, int, int, int]) -> None:
    rows, rank, _, _ = case
    factor = factorize(gram(rows))
    assert factor.rank == rank
    assert factor.singular == (rank < rows.shape[1])


@settings(deadline=None, max_examples=60)
@given(dependent_rows())
def test_whitening_inverts_the_factor_on_its_range(case: tuple[Array, int, int, int]) -> None:
    rows, rank, _, spread = case
    factor = factorize(gram(rows))
    half = transposed_factor(factor)
    tolerance = 1e-11 * 10.0**spread
    np.testing.assert_allclose(factor.whiten(half.T), np.eye(rank), atol=tolerance)
    np.testing.assert_allclose(half @ factor.unwhiten(np.eye(rank)), np.eye(rank), atol=tolerance)


@settings(deadline=None, max_examples=60)
@given(dependent_rows())
def test_unwhitening_gives_the_solution_of_minimum_norm(case: tuple[Array, int, int, int]) -> None:
    """The minimum-norm solution of ``Fᵀ B = P`` is the one that lies in the span of the rows the matrix came from."""
    rows, _, seed, spread = case
    factor = factorize(gram(rows))
    solution = factor.unwhiten(np.random.default_rng(seed).normal(size=(factor.rank, 3)))
    kernel = linalg.null_space(rows, rcond=1e-11)
    assert kernel.shape[1] == rows.shape[1] - factor.rank
    assert np.linalg.norm(kernel.T @ solution) <= 1e-11 * 10.0**spread * np.linalg.norm(solution)


@pytest.mark.parametrize("width", [2, 3, 4, 6, 8, 32])
@pytest.mark.parametrize("texts", [50, 1000, 20_000])
def test_multiples_of_one_vector_have_rank_one(width: int, texts: int) -> None:
    """However many rows rounding had to be summed over: a second direction would be an invention."""
    rng = np.random.default_rng(width * texts)
    for _ in range(20 if texts < 20_000 else 5):
        rows = rng.integers(1, 9, size=(texts, 1)) * rng.normal(size=width)
        assert factorize(gram(rows)).rank == 1


@pytest.mark.parametrize("width", [3, 4, 8, 32])
def test_states_that_sum_to_zero_lose_one_rank_also_when_summed_in_small_batches(width: int) -> None:
    """A final layer norm without bias makes the Gram matrix exactly singular, along the vector of ones."""
    rng = np.random.default_rng(width)
    for _ in range(10):
        rows = rng.normal(size=(20_000, width))
        rows -= rows.mean(axis=1, keepdims=True)
        total = np.zeros((width, width))
        for start in range(0, len(rows), 32):
            total += rows[start : start + 32].T @ rows[start : start + 32]
        assert factorize(total / len(rows)).rank == width - 1


@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("width", [3, 16, 64])
def test_a_covariance_keeps_the_rank_of_its_variation_below_a_large_mean(width: int, offset: float) -> None:
    """The covariance is a difference of two large matrices; what rounding left there is no direction."""
    rng = np.random.default_rng(int(offset) + width)
    for _ in range(10):
        mean = offset * rng.normal(size=width)
        rows = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, width)) + mean
        total, seen = np.zeros((width, width)), np.zeros(width)
        for start in range(0, len(rows), 64):
            part = rows[start : start + 64]
            total += part.T @ part
            seen += part.sum(axis=0)
        second, first = total / len(rows), seen / len(rows)
        assert factorize(second - np.outer(first, first), np.diag(second)).rank == 2


def test_a_feature_that_never_varies_carries_nothing_in_the_covariance() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(500, 6))
    rows[:, 2] = 0.1
    second, mean = gram(rows), rows.mean(axis=0)
    factor = factorize(second - np.outer(mean, mean), np.diag(second))
    assert factor.rank == 5
    assert factor.scale[2] == 0.0
    assert np.all(factor.unwhiten(np.ones((5, 1)))[2] == 0.0)


def test_dimensions_that_are_zero_stay_zero() -> None:
    rows = np.random.default_rng(6).normal(size=(50, 5)) * np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    factor = factorize(gram(rows))
    assert factor.rank == 3
    assert np.all(factor.unwhiten(np.eye(3))[[1, 3]] == 0.0)
    assert np.all(factor.coordinates(np.eye(5)[:, [1, 3]]) == 0.0)


def test_the_zero_matrix_has_rank_zero_and_empty_coordinates() -> None:
    factor = factorize(np.zeros((4, 4)))
    assert (factor.rank, factor.singular) == (0, True)
    assert factor.whiten(np.zeros((4, 2))).shape == (0, 2)
    assert factor.coordinates(np.ones((4, 3))).shape == (0, 3)
    assert np.array_equal(factor.unwhiten(np.zeros((0, 2))), np.zeros((4, 2)))


def test_a_covariance_that_is_lost_below_its_mean_has_rank_zero() -> None:
    """The noise that it inherits exceeds every eigenvalue."""
    factor = factorize(np.eye(256), 1e12 * np.ones(256))
    assert (factor.rank, factor.singular, factor.condition) == (0, True, 1.0)
    assert factor.cutoff > 1
    assert factor.whiten(np.ones((256, 2))).shape == (0, 2)
    assert np.array_equal(factor.unwhiten(np.zeros((0, 2))), np.zeros((256, 2)))


@settings(deadline=None, max_examples=40)
@given(dependent_rows(), st.integers(-200, 200))
def test_one_global_scale_by_a_power_of_four_changes_no_digit(case: tuple[Array, int, int, int], power: int) -> None:
    """Cut-offs are relative, so the whole computation commutes with a change of units."""
    matrix = gram(case[0])
    here, there = factorize(matrix), factorize(matrix * 4.0**power)
    assert (here.rank, here.condition, here.cutoff) == (there.rank, there.condition, there.cutoff)
    assert np.array_equal(transposed_factor(here) * 2.0**power, transposed_factor(there))


@pytest.mark.parametrize("near", [1.0, 1e-2, 1e-4, 4e-6, 1e-6, 5e-7])
def test_the_condition_number_is_one_number_whichever_way_the_matrix_is_factorized(near: float) -> None:
    """``‖A‖₁ ‖A⁻¹‖₁`` of the unit-diagonal matrix; scales of single dimensions do not count.

    Rows of two dimensions that differ by ``near`` go from a Cholesky factor to eigenvectors on the way.
    """
    rng = np.random.default_rng(7)
    basis = linalg.qr(rng.normal(size=(40, 12)), mode="economic")[0]
    basis[:, 1] = (basis[:, 0] + near * basis[:, 1]) / np.hypot(1, near)
    rows = basis * 10.0 ** np.arange(-6, 6)
    factor = factorize(gram(rows))
    truth = float(np.linalg.cond(basis.T @ basis, 1))
    assert factor.rank == 12
    assert (factor.triangle is None) == (near <= 1e-6)
    assert factor.condition == pytest.approx(truth, rel=0.1)


@settings(deadline=None, max_examples=40)
@given(dependent_rows(), SEEDS)
def test_coordinate_noise_bounds_what_remains_of_a_kernel_vector(case: tuple[Array, int, int, int], seed: int) -> None:
    """A vector that the matrix does not see has zero coordinates; what rounding leaves is below the stated noise."""
    rows, rank, _, _ = case
    scales = np.linalg.norm(rows, axis=0)
    kernel = linalg.null_space(rows / scales, rcond=1e-10)
    if rank == rows.shape[1]:
        return
    columns = kernel @ np.random.default_rng(seed).normal(size=(kernel.shape[1], 2)) / scales[:, None]
    factor = factorize(gram(rows))
    assert np.all(np.linalg.norm(factor.coordinates(columns), axis=0) <= factor.coordinate_noise(columns))
