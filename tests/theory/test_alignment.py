"""NTPS and explained energy for every k, against brute force, scikit-learn and the invariances of the design."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from sklearn.linear_model import LinearRegression

from ntps.theory import (
    Subspace,
    alignment,
    autoregressive_subspace,
    cumulative_explained,
    factorize,
    ordered_basis,
    perception_subspace,
)
from ntps.theory.factor import EPS
from oracle import (
    Array,
    RandomTask,
    cuts_that_count,
    excess_losses,
    least_squares_loss,
    make_task,
    next_token_rows,
    ntps,
    projector,
    solve_dense,
    solve_masked,
    solve_rows,
    tasks,
)

SEEDS = st.integers(0, 2**32 - 1)
WELL_CONDITIONED = ("one-token texts", "real targets", "dependent label columns", "one class")
SINGULAR = (*WELL_CONDITIONED, "fewer texts than dimensions", "duplicated features", "constant feature")


def subspaces(task: RandomTask) -> tuple[Subspace, Subspace]:
    moments = task.moments
    return (
        autoregressive_subspace(factorize(moments.prefix_gram), moments.prefix_next),
        perception_subspace(factorize(moments.pooled_gram), moments.pooled_target, moments.target_gram),
    )


def excess(task: RandomTask, directions: Array, *, centered: bool = False) -> Array:
    """Equation 35 from moments."""
    moments = task.moments
    if centered:
        factor, cross = factorize(moments.covariance, np.diag(moments.pooled_gram)), moments.cross_covariance
    else:
        factor, cross = factorize(moments.pooled_gram), moments.pooled_target
    return np.asarray(np.sum(factor.whiten(cross) ** 2) - cumulative_explained(factor, cross, directions))


def compare_every_cut(v: Subspace, u: Subspace, v_truth: tuple[Array, Array], u_truth: tuple[Array, Array]) -> None:
    """NTPS of Algorithm 1 and with all columns of U, at each k that splits no tie."""
    (v_basis, v_values), (u_basis, u_values) = v_truth, u_truth
    curves = alignment(v.basis, u.basis)
    assert curves.shape == (v.rank, u.rank)
    sound_v, sound_u = cuts_that_count(v_values), cuts_that_count(u_values)
    for k in range(1, v.rank + 1):
        for k_u in {min(k, u.rank), u.rank}:
            if sound_v[k - 1] and sound_u[k_u - 1]:
                assert abs(curves[k - 1, k_u - 1] - ntps(v_basis, u_basis, k, k_u)) < 1e-6


# --- against brute force ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(tasks(WELL_CONDITIONED))
def test_ntps_at_every_k_is_that_of_algorithm_1_solved_densely(task: RandomTask) -> None:
    moments, (v, u) = task.moments, subspaces(task)
    basis, values = solve_dense(moments.pooled_gram, moments.pooled_target)
    perception = basis[:, : u.rank], values[: u.rank]
    compare_every_cut(v, u, solve_dense(moments.prefix_gram, moments.prefix_next), perception)


@settings(deadline=None, max_examples=30)
@given(tasks(SINGULAR))
def test_ntps_at_every_k_is_that_of_masked_whitening_where_gram_matrices_are_singular(task: RandomTask) -> None:
    moments, (v, u) = task.moments, subspaces(task)
    compare_every_cut(
        v,
        u,
        solve_masked(moments.prefix_gram, moments.prefix_next, v.rank),
        solve_masked(moments.pooled_gram, moments.pooled_target, u.rank),
    )


@settings(deadline=None, max_examples=40)
@given(tasks())
def test_ntps_at_every_k_is_that_of_the_raw_rows_whatever_the_task(task: RandomTask) -> None:
    v, u = subspaces(task)
    if not v.rank or not u.rank:
        assert alignment(v.basis, u.basis).shape == (v.rank, u.rank)
        return
    n = len(task.texts)
    compare_every_cut(v, u, solve_rows(*next_token_rows(task.texts), n), solve_rows(task.pooled, task.targets, n))


@settings(deadline=None, max_examples=50)
@given(tasks(), st.booleans())
def test_excess_loss_at_every_k_is_the_difference_of_two_least_squares_losses(task: RandomTask, center: bool) -> None:
    """Equation 35 = ``L*(V_k) − L*(x̄)`` by definition; with an intercept when the moments are centred."""
    v, _ = subspaces(task)
    expected = excess_losses(task.pooled, task.targets, v.basis, centered=center)
    np.testing.assert_allclose(excess(task, v.basis, centered=center), expected, atol=1e-8 * task.moments.target_energy)


@settings(deadline=None, max_examples=15)
@given(tasks(("real targets", "one-token texts", "duplicated features"), max_width=10))
def test_excess_loss_is_the_difference_of_two_scikit_learn_fits(task: RandomTask) -> None:
    v, _ = subspaces(task)
    pooled, targets, n = task.pooled, task.targets, len(task.texts)

    def loss(features: Array) -> float:
        fit = LinearRegression(fit_intercept=False).fit(features, targets)
        return float(np.sum((targets - fit.predict(features).reshape(targets.shape)) ** 2) / n)

    best = loss(pooled)
    expected = [loss(pooled @ v.basis[:, :k]) - best for k in range(1, v.rank + 1)]
    np.testing.assert_allclose(excess(task, v.basis), expected, atol=1e-8 * task.moments.target_energy)


@settings(deadline=None, max_examples=30)
@given(tasks(SINGULAR))
def test_excess_loss_is_equation_35(task: RandomTask) -> None:
    """``Σ_i Λ_i (1 − ‖projection of N^{1/2} u_i on N^{1/2} V_k‖²)`` with the symmetric root of N."""
    v, u = subspaces(task)
    values, axes = linalg.eigh(task.moments.pooled_gram)
    root = axes * np.sqrt(np.where(values > 1e-12 * values[-1], values, 0.0)) @ axes.T
    found = excess(task, v.basis)
    for k in range(1, v.rank + 1):
        kept = np.sum((projector(root @ v.basis[:, :k]) @ root @ u.basis) ** 2, axis=0)
        assert abs(found[k - 1] - np.sum(u.values * (1 - kept))) < 1e-8 * task.moments.target_energy


@settings(deadline=None, max_examples=30)
@given(tasks(SINGULAR), SEEDS)
def test_scores_do_not_move_under_noise_of_1e_12_on_the_hidden_states(task: RandomTask, seed: int) -> None:
    """Beyond rank M the columns of U would be chosen by rounding, and the score with them."""
    rng = np.random.default_rng(seed)
    moved = RandomTask([x * (1 + 1e-12 * rng.normal(size=x.shape)) for x in task.texts], task.targets, task.traits)
    (v, u), (v_moved, u_moved) = subspaces(task), subspaces(moved)
    assert (v.rank, u.rank) == (v_moved.rank, u_moved.rank)
    compare_every_cut(v_moved, u_moved, (v.basis, v.values), (u.basis, u.values))


# --- curves ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(tasks())
def test_curves_never_decrease_stay_within_bounds_and_end_exactly(task: RandomTask) -> None:
    moments, (v, u) = task.moments, subspaces(task)
    if not v.rank or not u.rank:
        return
    curves = alignment(v.basis, u.basis)
    assert curves.min() >= 0.0
    assert curves.max() <= 1.0
    assert np.all(np.diff(curves, axis=0) >= 0)
    assert abs(curves[-1, -1] - ntps(v.basis, u.basis, v.rank, u.rank)) < 1e-8
    factor = factorize(moments.pooled_gram)
    explained = cumulative_explained(factor, moments.pooled_target, v.basis)
    total = float(np.sum(factor.whiten(moments.pooled_target) ** 2))
    assert explained.min() >= 0.0
    assert explained.max() <= total
    assert np.all(np.diff(explained) >= 0)
    energy, n = float(np.sum(task.targets**2)) / len(task.texts), len(task.texts)
    lost = least_squares_loss(task.pooled @ v.basis, task.targets, n)
    assert abs(explained[-1] - (energy - lost)) < 1e-8 * energy


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(2, 12), st.integers(1, 4))
def test_curves_end_exactly_for_dependent_columns_and_a_rank_deficient_metric(seed: int, width: int, c: int) -> None:
    """V with repeated and dependent columns in the middle, N of lower rank: a spanning V explains everything."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, width + 1))
    rows = rng.normal(size=(30, rank)) @ rng.normal(size=(rank, width))
    gram, cross = rows.T @ rows / 30, rows.T @ rng.normal(size=(30, c)) / 30
    first = rng.normal(size=(width, int(rng.integers(1, width + 1))))
    directions = np.concatenate([first[:, :1], 3 * first[:, :1], first, first @ rng.normal(size=(len(first.T), 2))], 1)
    directions = np.concatenate([directions, rng.normal(size=(width, width))], axis=1)
    factor = factorize(gram)
    explained = cumulative_explained(factor, cross, directions)
    total = float(np.sum(factor.whiten(cross) ** 2))
    assert abs(explained[-1] - total) <= 1e-12 * total
    assert explained[1] == explained[0]
    assert np.all(np.diff(explained) >= 0)
    for k in (1, 3, directions.shape[1] - width):
        half = factor.coordinates(directions[:, :k])
        kept = float(np.sum((projector(half) @ factor.whiten(cross)) ** 2))
        assert abs(explained[k - 1] - kept) <= 1e-8 * total
    curves = alignment(directions, rng.normal(size=(width, c)))
    np.testing.assert_allclose(curves[-1], 1.0, atol=1e-13)
    assert np.array_equal(curves[0], curves[1])


@pytest.mark.parametrize("width", [2, 3, 8])
def test_a_repeated_column_of_v_adds_nothing(width: int) -> None:
    """A multiple of the first column, rounded: not a second direction, in any width."""
    for seed in range(500):
        rng = np.random.default_rng(seed)
        first, u = rng.normal(size=(width, 1)), rng.normal(size=(width, 1))
        assert np.ptp(alignment(np.concatenate([first, 3 * first, first / 7], axis=1), u)) <= 1e-13


def test_a_direction_that_the_pooled_texts_do_not_see_explains_nothing() -> None:
    """The first column of V lies in the kernel of N up to the rounding of V itself."""
    for seed in range(150):
        rng = np.random.default_rng(seed)
        width = 5
        turn = linalg.qr(rng.normal(size=(width, width)))[0]
        unseen = np.concatenate([np.zeros((30, 1)), rng.normal(size=(30, width - 1))], axis=1) @ turn
        targets = rng.normal(size=(30, 2))
        prefix = np.eye(width)
        rows = rng.normal(size=(40, width - 1))
        prefix[1:, 1:] = rows.T @ rows / 40
        following = linalg.block_diag([[100.0]], rng.normal(size=(width - 1, width - 1)))
        v = autoregressive_subspace(factorize(turn.T @ prefix @ turn), turn.T @ following)
        factor, cross = factorize(unseen.T @ unseen / 30), unseen.T @ targets / 30
        total = float(np.sum(factor.whiten(cross) ** 2))
        assert cumulative_explained(factor, cross, v.basis)[0] <= 1e-12 * total


def test_all_hidden_states_zero_leave_nothing_to_explain() -> None:
    factor = factorize(np.zeros((4, 4)))
    assert np.array_equal(cumulative_explained(factor, np.zeros((4, 2)), np.ones((4, 3))), np.zeros(3))
    assert cumulative_explained(factor, np.zeros((4, 2)), np.zeros((4, 0))).shape == (0,)
    assert alignment(np.zeros((4, 0)), np.ones((4, 2))).shape == (0, 2)
    assert alignment(np.ones((4, 2)), np.zeros((4, 0))).shape == (2, 0)


# --- theorems about the score ----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(2, 24), st.integers(1, 6))
def test_a_perception_subspace_inside_v_scores_one_and_at_right_angles_zero(seed: int, width: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, width))
    v = rng.normal(size=(width, k))
    inside = v @ rng.normal(size=(k, c))
    np.testing.assert_allclose(alignment(v, inside)[-1], 1.0, atol=1e-12)
    outside = linalg.null_space(v.T) @ rng.normal(size=(width - k, c))
    np.testing.assert_allclose(alignment(v, outside), 0.0, atol=1e-12)
    mixed = alignment(v, inside / np.linalg.norm(inside) + outside / np.linalg.norm(outside))
    assert abs(mixed[-1, -1] - 0.5) < 1e-10


@pytest.mark.parametrize("columns", [1, 4])
def test_an_isotropic_random_perception_subspace_scores_k_over_d_on_average(columns: int) -> None:
    """The chance level, for every k; V is fixed and far from orthogonal."""
    rng = np.random.default_rng(17)
    width, trials = 12, 3000
    v = rng.normal(size=(width, width)) + 2.0
    scores = np.array([alignment(v, rng.normal(size=(width, columns)))[:, -1] for _ in range(trials)])
    error = scores.std(axis=0) / np.sqrt(trials)
    assert np.all(np.abs(scores.mean(axis=0) - np.arange(1, width + 1) / width) <= 4.5 * error + 1e-12)


@settings(deadline=None, max_examples=40)
@given(tasks(("real targets", "duplicated features", "fewer texts than dimensions", "one-token texts")), SEEDS)
def test_retained_energy_is_invariant_under_every_invertible_map(task: RandomTask, seed: int) -> None:
    """``x̄ → A x̄``, ``V → A⁻ᵀ V``: the probe sees the same features, so it explains the same."""
    moments, (v, _) = task.moments, subspaces(task)
    rng = np.random.default_rng(seed)
    width = task.width
    first, second = (linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(2))
    forward = first * np.geomspace(0.1, 10, width) @ second
    backward = first * np.geomspace(10, 0.1, width) @ second
    here = cumulative_explained(factorize(moments.pooled_gram), moments.pooled_target, v.basis)
    gram = forward @ moments.pooled_gram @ forward.T
    there = cumulative_explained(factorize((gram + gram.T) / 2), forward @ moments.pooled_target, backward @ v.basis)
    np.testing.assert_allclose(there, here, atol=1e-8 * moments.target_energy)


@settings(deadline=None, max_examples=40)
@given(tasks(SINGULAR), SEEDS, st.sampled_from([1e-30, 1e-3, 7.0, 1e30]))
def test_everything_is_invariant_under_rotations_and_one_global_scale(
    task: RandomTask, seed: int, scale: float
) -> None:
    """Hidden states ``x → s Q x`` for an orthogonal Q: same ranks, scores, eigenvalues (λ times s²) and losses."""
    turn = scale * linalg.qr(np.random.default_rng(seed).normal(size=(task.width, task.width)))[0]
    turned = RandomTask([text @ turn for text in task.texts], task.targets, task.traits)
    (v, u), (v_turned, u_turned) = subspaces(task), subspaces(turned)
    assert (v.rank, u.rank) == (v_turned.rank, u_turned.rank)
    np.testing.assert_allclose(v_turned.values, scale**2 * v.values, atol=1e-9 * scale**2 * v.values.max(initial=0))
    np.testing.assert_allclose(u_turned.values, u.values, atol=1e-9 * u.values.max(initial=0))
    compare_every_cut(v_turned, u_turned, (v.basis, v.values), (u.basis, u.values))
    sound = cuts_that_count(v.values)
    here, there = excess(task, v.basis), excess(turned, v_turned.basis)
    np.testing.assert_allclose(there[sound], here[sound], atol=1e-6 * task.moments.target_energy)


def test_the_order_of_texts_does_not_matter() -> None:
    task = make_task(21, 8, 3, frozenset({"one-token texts"}))
    order = np.random.default_rng(0).permutation(len(task.texts))
    shuffled = RandomTask([task.texts[i] for i in order], task.targets[order], task.traits)
    (v, u), (v_other, u_other) = subspaces(task), subspaces(shuffled)
    np.testing.assert_allclose(alignment(v_other.basis, u_other.basis), alignment(v.basis, u.basis), atol=1e-10)
    np.testing.assert_allclose(excess(shuffled, v_other.basis), excess(task, v.basis), atol=1e-10)


# --- ordered_basis ---------------------------------------------------------------------------------------------------


def tolerance(columns: Array) -> Array:
    return np.asarray(len(columns) * EPS * np.linalg.norm(columns, axis=0))


@settings(deadline=None, max_examples=100)
@given(SEEDS, st.integers(1, 12), st.integers(1, 18), st.sampled_from([0, 8]), st.booleans())
def test_the_first_k_columns_of_an_ordered_basis_span_the_first_k_columns(
    seed: int, height: int, count: int, spread: int, dependent: bool
) -> None:
    """Also for wide inputs, for dependent columns anywhere, and for columns whose lengths differ by 1e±8."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(height, count))
    expected = np.arange(count) < height
    if dependent:
        expected = np.zeros(count, dtype=bool)
        rank = 0
        for index in range(count):
            if rng.random() < 0.4 or rank == height:
                columns[:, index] = columns[:, :index] @ rng.normal(size=index)
            else:
                expected[index] = True
                rank += 1
    columns = columns * 10.0 ** rng.uniform(-spread, spread, count)
    basis = ordered_basis(columns, 100 * tolerance(columns))
    assert basis.shape == (height, count)
    kept = np.any(basis != 0, axis=0)
    assert np.array_equal(kept, expected)
    np.testing.assert_allclose(basis[:, kept].T @ basis[:, kept], np.eye(int(kept.sum())), atol=1e-13)
    for k in range(1, count + 1):
        np.testing.assert_allclose(basis[:, :k] @ basis[:, :k].T, projector(columns[:, :k]), atol=1e-8)


def test_nearly_dependent_columns_above_the_noise_are_kept_and_orthogonal() -> None:
    """One projection would leave 1e-16 / 1e-9 of the earlier columns in the result; two leave nothing."""
    rng = np.random.default_rng(3)
    first = linalg.qr(rng.normal(size=(10, 10)))[0]
    columns = np.stack([first[:, 0], first[:, 0] + 1e-9 * first[:, 1], 2 * first[:, 0], first[:, 2]], axis=1)
    basis = ordered_basis(columns, tolerance(columns))
    assert np.any(basis != 0, axis=0).tolist() == [True, True, False, True]
    product = basis.T @ basis
    np.testing.assert_allclose(product, np.diag([1.0, 1.0, 0.0, 1.0]), atol=1e-14)
    np.testing.assert_allclose(abs(basis[:, 1] @ first[:, 1]), 1.0, atol=1e-12)
    np.testing.assert_allclose(abs(basis[:, 3] @ first[:, 2]), 1.0, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0)])
def test_an_empty_matrix_has_an_empty_basis(shape: tuple[int, int]) -> None:
    assert ordered_basis(np.zeros(shape), np.zeros(shape[1])).shape == shape
