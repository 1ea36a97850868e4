"""Theorem 2: the score with all columns of U bounds the excess loss from both sides; with fewer columns it does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from ntps.theory import (
    Theorem2Constants,
    alignment,
    autoregressive_subspace,
    cumulative_explained,
    factorize,
    perception_subspace,
    theorem2_constants,
)
from oracle import Array, RandomTask, projector, tasks


def excess_and_gap(
    gram: Array, cross: Array, targets: Array, v: Array
) -> tuple[Array, Array, float, Theorem2Constants]:
    """Excess loss and ``1 − ntps_full`` for every k, ``Σ Λ``, and the constants."""
    factor = factorize(gram)
    u = perception_subspace(factor, cross, targets)
    total = float(u.values.sum())
    loss = total - cumulative_explained(factor, cross, v)
    return loss, 1 - alignment(v, u.basis)[:, -1], total, theorem2_constants(gram, factor, u)


@settings(deadline=None, max_examples=60)
@given(tasks())
def test_theorem_2_holds_at_every_k(task: RandomTask) -> None:
    moments = task.moments
    v = autoregressive_subspace(factorize(moments.prefix_gram), moments.prefix_next).basis
    loss, gap, total, constants = excess_and_gap(moments.pooled_gram, moments.pooled_target, moments.target_gram, v)
    if total > 0:
        assert np.all(loss >= constants.lower * gap - 1e-12 * total)
        assert np.all(loss <= constants.upper * gap + 1e-12 * total)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.sampled_from([0, 2, 6, 10]), st.floats(0, 12))
def test_theorem_2_holds_for_any_subspace_and_any_condition(seed: int, width: int, condition: int, near: float) -> None:
    """V as near to U as ``10^-near``, N of condition ``10^condition``.

    ``1 − ntps_full`` loses digits by cancellation there, so the slack is one rounding error of the score times the
    upper constant, beside ``1e-12 ΣΛ``.
    """
    rng = np.random.default_rng(seed)
    c = min(width, 3)
    half = linalg.qr(rng.normal(size=(width, width)))[0] * np.geomspace(1, 10.0 ** (-condition / 2), width)
    gram = (half @ half.T + (half @ half.T).T) / 2
    mixing = rng.normal(size=(width, c))
    cross = half @ mixing / (2 * np.linalg.norm(mixing, 2))
    u = perception_subspace(factorize(gram), cross, np.eye(c)).basis
    v = u @ rng.normal(size=(c, c))
    v = v / np.linalg.norm(v, axis=0) + 10.0**-near * rng.normal(size=v.shape)
    loss, gap, total, constants = excess_and_gap(gram, cross, np.eye(c), v)
    assert np.all(loss >= constants.lower * gap - 1e-12 * total)
    assert np.all(loss <= constants.upper * (gap + 4 * width * np.finfo(float).eps) + 1e-12 * total)


@settings(deadline=None, max_examples=30)
@given(tasks())
def test_the_constants_are_those_of_the_definition(task: RandomTask) -> None:
    """``λ_min(N) Λ_min ‖U‖²`` and ``λ_max(N) Λ_max ‖U‖²``; the lower one is 0 for a singular N."""
    moments = task.moments
    factor = factorize(moments.pooled_gram)
    u = perception_subspace(factor, moments.pooled_target, moments.target_gram)
    found = theorem2_constants(moments.pooled_gram, factor, u)
    if not u.rank:
        assert found == Theorem2Constants(0.0, 0.0)
        return
    spread = np.linalg.svd(task.pooled, compute_uv=False) ** 2 / len(task.texts)
    energy = np.linalg.norm(u.basis) ** 2
    np.testing.assert_allclose(found.upper, spread[0] * u.values[0] * energy, rtol=1e-9)
    full = np.linalg.matrix_rank(task.pooled / np.linalg.norm(task.pooled, axis=0), tol=1e-9) == task.width
    if full:
        # N rounds by about one unit a text, and λ_min(N) with it by that part of λ_max(N).
        assert abs(found.lower - spread[-1] * u.values[-1] * energy) <= 1e-13 * found.upper
    else:
        assert found.lower == 0.0


@pytest.mark.parametrize("spread", [0.0, 3.0, 8.0])
def test_both_ends_of_a_wide_spectrum_are_found(spread: float) -> None:
    width = 256
    rng = np.random.default_rng(int(spread))
    values = np.geomspace(1, 10**-spread, width) * rng.uniform(0.5, 1, width)
    basis = linalg.qr(rng.normal(size=(width, width)))[0]
    gram = (basis * values) @ basis.T
    gram = (gram + gram.T) / 2
    factor = factorize(gram)
    u = perception_subspace(factor, gram @ rng.normal(size=(width, 3)), np.eye(3))
    found, energy = theorem2_constants(gram, factor, u), np.linalg.norm(u.basis) ** 2
    np.testing.assert_allclose(found.upper, values.max() * u.values[0] * energy, rtol=1e-9)
    np.testing.assert_allclose(found.lower, values.min() * u.values[-1] * energy, rtol=1e-6)


def test_a_wide_kernel_that_holds_the_vector_of_ones_is_no_obstacle() -> None:
    """As a layer norm without gains leaves it; iterations that begin with ones would see nothing at all."""
    width = 200
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, width))
    rows -= rows.mean(axis=1, keepdims=True)
    gram = rows.T @ rows / 400
    factor = factorize(gram)
    u = perception_subspace(factor, gram[:, :2], np.eye(2))
    found = theorem2_constants(gram, factor, u)
    largest = np.linalg.svd(rows, compute_uv=False)[0] ** 2 / 400
    assert found.lower == 0.0
    assert found.upper == pytest.approx(largest * u.values[0] * np.linalg.norm(u.basis) ** 2, rel=1e-9)


def test_theorem_2_is_an_equality_where_the_constants_meet() -> None:
    """N = I and equal Λ: the excess loss is the upper constant times ``1 − ntps_full``, and so is the lower."""
    rng = np.random.default_rng(2)
    width, c = 7, 3
    u = linalg.qr(rng.normal(size=(width, width)))[0][:, :c]
    loss, gap, total, constants = excess_and_gap(np.eye(width), 0.5 * u, np.eye(c), rng.normal(size=(width, width)))
    assert constants.lower == pytest.approx(constants.upper, rel=1e-12)
    np.testing.assert_allclose(loss, constants.upper * gap, atol=1e-12 * total)


def test_theorem_2_fails_with_fewer_columns_of_u() -> None:
    """The counterexample: N = I, Λ = (1, 0.9). The score with U₁ = u₁ alone bounds neither reading of the excess loss.

    V₁ = u₂ scores 0. The loss beyond that of U₁ is 1 − 0.9 = 0.1, far below the ``Λ ‖u₁‖² (1 − 0)`` of the theorem,
    which is 1 or 0.9; the loss beyond that of all of U is 1, below the 1.8 of the constant with both columns. V₁ = u₁
    scores 1, which promises no loss, and loses the 0.9 of u₂. With both columns of U the bounds hold.
    """
    cross = np.diag(np.sqrt([1.0, 0.9]))
    u = perception_subspace(factorize(np.eye(2)), cross, np.eye(2))
    np.testing.assert_allclose(u.values, [1.0, 0.9], rtol=1e-14)
    np.testing.assert_allclose(np.abs(u.basis), np.eye(2), atol=1e-14)

    second = np.array([[0.0], [1.0]])
    loss, gap, _, constants = excess_and_gap(np.eye(2), cross, np.eye(2), second)
    assert constants.lower == pytest.approx(1.8)
    assert constants.upper == pytest.approx(2.0)
    assert alignment(second, u.basis)[0, 0] == 0.0
    beyond_first_column = loss[0] - u.values[1]
    assert beyond_first_column == pytest.approx(0.1)
    assert beyond_first_column < 0.9 * float(np.sum(u.basis[:, 0] ** 2)) * (1 - 0.0)
    assert loss[0] == pytest.approx(1.0)
    assert loss[0] < constants.lower * (1 - 0.0)
    assert gap[0] == pytest.approx(0.5)
    assert constants.lower * gap[0] <= loss[0] <= constants.upper * gap[0] + 1e-14

    first = np.array([[1.0], [0.0]])
    loss, gap, _, _ = excess_and_gap(np.eye(2), cross, np.eye(2), first)
    assert alignment(first, u.basis)[0, 0] == 1.0
    assert loss[0] == pytest.approx(0.9)
    assert loss[0] > constants.upper * (1 - 1.0)
    assert constants.lower * gap[0] - 1e-14 <= loss[0] <= constants.upper * gap[0]


def test_the_gap_to_one_is_the_part_of_u_outside_the_span() -> None:
    rng = np.random.default_rng(8)
    v, u = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    for k in range(1, 4):
        outside = u - projector(v[:, :k]) @ u
        expected = np.sum(outside**2) / np.sum(u**2)
        assert abs(1 - alignment(v, u)[k - 1, -1] - expected) < 1e-13
