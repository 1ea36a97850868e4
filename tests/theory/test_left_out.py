"""Penalties, R² and areas for texts left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, RidgeCV

from ntps.theory import (
    PENALTIES,
    LeftOut,
    area_cv,
    area_gain,
    choose_penalty,
    decompose_features,
    random_basis,
    share_grid,
    standardize,
    stratified_folds,
    subspace_basis,
)
from ntps.theory.factor import Array


def noisy(seed: int, texts: int = 200, width: int = 30, noise: float = 1.0) -> tuple[Array, Array]:
    """Features of unequal scales, and two targets that the first ones tell."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(texts, width)) * np.linspace(5, 0.2, width)
    return features, features[:, :3] @ rng.normal(size=(3, 2)) + noise * rng.normal(size=(texts, 2)) + 7


def left_out(features: Array, targets: Array) -> LeftOut:
    return choose_penalty(decompose_features(standardize(features).apply(features)), targets)


def gain_of(features: Array, targets: Array, directions: Array, share: Array, everything: LeftOut) -> Array:
    scaling = standardize(features)
    grid = share_grid(share, 25)
    basis = subspace_basis(scaling, directions[:, : grid.dimensions[-1]])
    return area_gain(scaling.apply(features), basis, grid, targets, everything)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.integers(2, 60), st.floats(0.01, 10.0))
def test_the_penalty_is_the_one_that_scikit_learn_chooses(seed: int, texts: int, width: int, noise: float) -> None:
    """By leave-one-out loss over the same grid."""
    features, targets = noisy(seed, texts, max(width, 3), noise)
    scaled = standardize(features).apply(features)
    decomposition = decompose_features(scaled)
    found = choose_penalty(decomposition, targets)
    expected = RidgeCV(PENALTIES * decomposition.mean_diagonal).fit(scaled, targets)
    assert found.penalty == pytest.approx(expected.alpha_)
    assert found.losses.min() / 2 == pytest.approx(-expected.best_score_, rel=1e-6)
    assert found.loss.mean() == pytest.approx(found.losses.min())


def test_the_border_of_the_grid_is_told() -> None:
    features, targets = noisy(0, noise=0.0)
    assert left_out(features, targets).border == "least"
    unrelated = LinearRegression().fit(features, noisy(1)[1]).predict(features) - noisy(1)[1]
    assert left_out(features, unrelated).border == "largest"
    assert left_out(*noisy(0, noise=3.0)).border is None


def test_r2_is_nought_for_the_mean_and_none_for_constant_targets() -> None:
    """The mean of the others is what a probe without features predicts."""
    _, targets = noisy(0)
    nothing = left_out(np.ones((200, 4)), targets)
    assert nothing.r2 == pytest.approx(0.0, abs=1e-12)
    assert nothing.degrees_of_freedom == 1.0
    assert left_out(noisy(0)[0], np.full((200, 2), 0.1)).r2 is None


def test_copies_of_texts_left_out_together_do_not_flatter() -> None:
    """With random labels, a copy on the other side would give its label away."""
    rng = np.random.default_rng(0)
    features, targets = np.repeat(rng.normal(size=(60, 40)), 3, axis=0), np.repeat(rng.normal(size=(60, 1)), 3, axis=0)
    decomposition = decompose_features(standardize(features).apply(features))
    flattered, honest = (
        choose_penalty(decomposition, targets),
        choose_penalty(decomposition, targets, np.arange(180) // 3),
    )
    assert flattered.r2 is not None
    assert honest.r2 is not None
    assert flattered.r2 > 0.3
    assert abs(honest.r2) < 0.05


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_grid_sums_a_curve_that_is_linear_in_the_share_exactly(raw: list[float], most: int, seed: int) -> None:
    share = np.cumsum(np.sort(np.array(raw) + 1e-9)[::-1])
    share /= share[-1]
    grid = share_grid(share, most)
    assert grid.dimensions[0] == 1
    assert grid.dimensions[-1] <= most
    assert grid.weights.sum() + grid.rest == pytest.approx(1.0)
    nodes = np.concatenate(([0.0], share[grid.dimensions - 1], [1.0]))
    values = np.concatenate(([0.0], np.random.default_rng(seed).random(len(grid.dimensions)), [1.0]))
    if grid.dimensions[-1] == len(share):
        nodes, values = nodes[:-1], values[:-1]
        assert grid.rest == 0
    expected = np.diff(share, prepend=0.0) @ np.interp(share, nodes, values)
    found = grid.weights @ values[1 : len(grid.weights) + 1] + grid.rest
    assert found == pytest.approx(expected, abs=1e-9)


def test_area_is_one_where_one_direction_tells_all_and_low_where_the_last_ones_do() -> None:
    features, _ = noisy(0, noise=0.0)
    targets = features[:, :1] + 0.1 * np.random.default_rng(1).normal(size=(200, 1))
    everything = left_out(features, targets)
    share = np.arange(1, 31) / 30
    first = area_cv(gain_of(features, targets, np.eye(30), share, everything), everything)
    last = area_cv(gain_of(features, targets, np.eye(30)[:, ::-1], share, everything), everything)
    assert first == pytest.approx(1.0, abs=0.01)
    assert last is not None
    assert last < 0.15


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_area_goes_by_the_span_of_the_first_directions(seed: int) -> None:
    """Not by their lengths, nor by what those before are added to them; nor by the order of the texts."""
    rng = np.random.default_rng(seed)
    features, targets = noisy(seed, 80, 12)
    features[:, 4] = 3.0
    directions = rng.normal(size=(12, 12))
    mixed = directions @ (np.triu(rng.normal(size=(12, 12)), 1) + np.diag(rng.uniform(1, 3, 12)))
    share = np.cumsum(0.7 ** np.arange(12)) / np.sum(0.7 ** np.arange(12))
    everything = left_out(features, targets)
    one, other = (gain_of(features, targets, each, share, everything) for each in (directions, mixed))
    np.testing.assert_allclose(one, other, atol=1e-7 * np.abs(one).max())
    order = rng.permutation(80)
    moved = gain_of(features[order], targets[order], directions, share, left_out(features[order], targets[order]))
    np.testing.assert_allclose(moved, one[order], atol=1e-7 * np.abs(one).max())


def test_area_is_none_where_a_probe_saves_nothing() -> None:
    everything = left_out(np.ones((50, 4)), noisy(0, 50)[1])
    assert area_cv(np.ones(50), everything) is None or everything.gain.sum() > 0
    constant = left_out(noisy(0, 50)[0], np.ones((50, 1)))
    assert area_cv(np.zeros(50), constant) is None


def test_random_subspaces_are_orthonormal_and_stay_within_what_varies() -> None:
    features, _ = noisy(0)
    features[:, [2, 5]] = 1.0
    scaling = standardize(features)
    basis = random_basis(scaling, 10, seed=0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(10), atol=1e-12)
    assert not basis[[2, 5]].any()
    assert not random_basis(scaling, 30, seed=0)[:, 28:].any()
    assert (random_basis(scaling, 10, seed=1) != basis).any()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.25, 0.25, 0.25, 0.25)])
def test_random_labels_are_told_by_chance(shares: tuple[float, ...]) -> None:
    """Balanced or not, over permutations: accuracy is that of the most frequent class, and R² is nought."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 60))
    decomposition = decompose_features(standardize(features).apply(features))
    classes = np.repeat(np.arange(len(shares)), (np.array(shares) * 120).astype(int))
    accuracies, r2 = [], []
    for seed in range(30):
        labels = rng.permutation(classes)
        targets = np.eye(len(shares))[labels]
        chosen = choose_penalty(decomposition, targets)
        predicted = decomposition.left_out(targets, chosen.penalty, stratified_folds(labels, seed=seed))
        accuracies.append((predicted.argmax(axis=1) == labels).mean())
        r2.append(chosen.r2)
    assert abs(np.mean(accuracies) - max(shares)) < 0.03
    assert abs(np.mean(np.array(r2, dtype=float))) < 0.02
