"""Intervals from texts left out."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from ntps.theory import (
    Figure,
    balanced_accuracy,
    certain_share,
    choose,
    compare,
    draw_texts,
    intervals,
    mean_average_precision,
    ratio,
)
from ntps.theory.factor import Array


def test_groups_are_drawn_whole_and_as_many_as_there_are() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2])
    weights = draw_texts(6, groups, seed=0, draws=50)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(weights, draw_texts(6, groups, seed=0, draws=50))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_figures_of_equal_weights_are_the_usual_ones(seed: int, texts: int) -> None:
    rng = np.random.default_rng(seed)
    classes, predicted = rng.integers(4, size=(2, texts))
    hits = (classes == predicted).astype(float)[:, None]
    ones = np.ones((1, texts))
    recalls = [hits[classes == label].mean() for label in np.unique(classes)]
    assert balanced_accuracy(hits, classes)(ones)[0, 0] == pytest.approx(np.mean(recalls))
    assert ratio(hits, np.ones((texts, 1)))(ones)[0, 0] == pytest.approx(hits.mean())
    # A weight of two is a text that is there twice.
    weights = rng.integers(3, size=texts)
    if weights.any():
        twice = np.repeat(np.arange(texts), weights)
        found = balanced_accuracy(hits, classes)(weights[None].astype(float))[0, 0]
        recalls = [hits[twice][classes[twice] == label].mean() for label in np.unique(classes[twice])]
        assert found == pytest.approx(np.mean(recalls))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from((1, 50, 2**21)))
def test_average_precision_is_scikit_learns(seed: int, texts: int, block: int) -> None:
    """With weights, and texts of the same score; in blocks of draws or at once."""
    rng = np.random.default_rng(seed)
    sets = (rng.random((texts, 3)) < 0.4).astype(float)
    scores = [rng.integers(6, size=(texts, 3)).astype(float) for _ in range(2)]
    weights = rng.integers(3, size=(4, texts)).astype(float)
    with patch("ntps.theory.bootstrap.BLOCK", block):
        found = mean_average_precision(scores, sets)(weights)
    for row, weight in enumerate(weights):
        occur = [label for label in range(3) if weight @ sets[:, label] > 0]
        if not occur:
            assert np.isnan(found[row]).all()
            continue
        for layer, score in enumerate(scores):
            each = [average_precision_score(sets[:, j], score[:, j], sample_weight=weight) for j in occur]
            assert found[row, layer] == pytest.approx(np.mean(each))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_micro_f1_is_a_ratio_and_scikit_learns(seed: int, texts: int) -> None:
    """Twice the labels found over those found and those there; undefined where there are neither."""
    rng = np.random.default_rng(seed)
    sets, *found = (rng.random((3, texts, 3)) < 0.3).astype(int)
    hits = np.stack([(sets * each).sum(axis=1) for each in found], axis=1).astype(float)
    either = np.stack([(sets + each).sum(axis=1) for each in found], axis=1).astype(float)
    weights = rng.integers(3, size=(4, texts)).astype(float)
    for row, weight in zip(ratio(2 * hits, either)(weights), weights, strict=True):
        for layer, each in enumerate(found):
            if weight @ either[:, layer] == 0:
                assert np.isnan(row[layer])
            else:
                expected = f1_score(sets, each, average="micro", sample_weight=weight, zero_division=0)
                assert row[layer] == pytest.approx(expected)


def test_the_interval_of_a_mean_is_the_normal_one_widened() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(800, 1)) + 5
    found = intervals(ratio(values, np.ones((800, 1))), draw_texts(800, seed=0))
    half = 1.96 * values.std() / np.sqrt(800) * 1.25
    assert found.value[0] == pytest.approx(values.mean())
    assert (found.high - found.low)[0] / 2 == pytest.approx(half, rel=0.1)


def test_groups_widen_what_their_texts_share() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(100, 1)), 8, axis=0)
    figure = ratio(values, np.ones((800, 1)))
    alone = intervals(figure, draw_texts(800, seed=0))
    whole = intervals(figure, draw_texts(800, np.arange(800) // 8, seed=0))
    assert (whole.high - whole.low)[0] / (alone.high - alone.low)[0] == pytest.approx(np.sqrt(8), rel=0.15)


def test_a_figure_whose_whole_may_be_nought_has_no_interval() -> None:
    """A share of an R² that is not clearly above 0."""
    rng = np.random.default_rng(0)
    clear, unclear = rng.normal(size=(2, 400, 1)) + np.array([1.0, 0.05])[:, None, None]
    weights = draw_texts(400, seed=0)
    assert np.isfinite(intervals(ratio(clear, clear), weights).low).all()
    assert np.isnan(intervals(ratio(unclear, unclear), weights).low).all()


def test_the_best_of_equals_is_not_better() -> None:
    """20 layers of the same true accuracy, over samples: the best looks better than it is, its value does not."""
    naive, paid, covered = [], [], []
    weights = draw_texts(200, seed=0, draws=300)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hits = (rng.random((200, 20)) < 0.7).astype(float)
        choice = choose(ratio(hits, np.ones((200, 1))), weights)
        naive.append(hits.mean(axis=0)[choice.index])
        paid.append(choice.value)
        covered.append(choice.low <= 0.7 <= choice.high)
    assert np.mean(naive) > 0.74
    assert abs(np.mean(paid) - 0.7) < 0.02
    assert np.mean(covered) > 0.9


def test_a_layer_that_is_clearly_best_is_chosen_always_and_equals_none() -> None:
    rng = np.random.default_rng(0)
    hits = (rng.random((500, 3)) < [0.6, 0.9, 0.6]).astype(float)
    hits = np.concatenate((hits, hits[:, [1]]), axis=1)
    hits[:2, 3] = 1 - hits[:2, 3]
    choice = choose(ratio(hits, np.ones((500, 1))), draw_texts(500, seed=0))
    assert choice.index in (1, 3)
    assert choice.frequency[[1, 3]].sum() == 1.0
    assert choice.equals.tolist() == [False, True, False, True]
    assert choice.low < 0.9 < choice.high


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 4))
def test_choosing_gains_nothing(seed: int, texts: int, layers: int) -> None:
    """The best layer equals itself; what is paid for the choice is never negative, and nothing for a single layer."""
    hits = np.random.default_rng(seed).integers(2, size=(texts, layers)).astype(float)
    choice = choose(ratio(hits, np.ones((texts, 1))), draw_texts(texts, seed=0, draws=100))
    best = hits.mean(axis=0).max()
    assert choice.equals[choice.index] and choice.value <= best
    if layers == 1:
        assert choice.value == best


def test_layers_without_an_interval_are_not_told_apart_and_those_without_a_figure_are() -> None:
    """Two texts that are drawn often enough, and one that most draws lack."""
    wholes = np.zeros((50, 3))
    wholes[0, :2] = 1.0
    numerators = np.array([1.0, 0.0, 0.0]) * wholes
    choice = choose(ratio(numerators, wholes), draw_texts(50, seed=0))
    assert choice.value == 1.0 and np.isnan(choice.low) and choice.equals.tolist() == [True, True, False]


def test_nothing_can_be_chosen_of_layers_without_figures() -> None:
    with pytest.raises(ValueError, match="no layer has a figure"):
        choose(ratio(np.ones((10, 2)), np.zeros((10, 1))), draw_texts(10, seed=0))


def test_what_was_always_right_may_still_be_wrong() -> None:
    """(1 − p)^n = 2.5 %."""
    assert (1 - certain_share(50)) ** 50 == pytest.approx(0.025)


def accuracies(hits: Array) -> list[Figure]:
    """A figure for each model of one layer."""
    return [ratio(each[:, None], np.ones((len(each), 1))) for each in hits]


def test_models_that_are_equal_are_told_apart_in_one_of_twenty_samples() -> None:
    """Whichever of the fifteen pairs it would be."""
    weights, told = draw_texts(200, seed=0, draws=300), 0
    for seed in range(80):
        hits = (np.random.default_rng(seed).random((6, 200)) < 0.7).astype(float)
        found = compare(accuracies(hits), weights, 200)
        told += bool((found.first > 1).any())
        assert (found.first <= found.last).all()
    assert told <= 8


def test_places_are_those_of_clear_differences() -> None:
    rng = np.random.default_rng(0)
    common = rng.random(600)
    hits = np.stack([common < share for share in (0.5, 0.9, 0.9, 0.7)]).astype(float)
    hits[2, :3] = 1 - hits[2, :3]
    found = compare(accuracies(hits), draw_texts(600, seed=0), 600)
    assert found.first.tolist() == [4, 1, 1, 3] and found.last.tolist() == [4, 2, 2, 3]
    np.testing.assert_allclose(found.values, hits.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(found.difference, found.values[:, None] - found.values)
    np.testing.assert_allclose(found.half, found.half.T, rtol=1e-9)


def test_two_models_are_compared_text_by_text() -> None:
    """Whether hard texts are hard for both does not matter: the interval is that of the differences."""
    rng = np.random.default_rng(1)
    hits = np.repeat((rng.random((1, 500)) < 0.6).astype(float), 2, axis=0)
    hits[1, rng.choice(500, 20, replace=False)] = 1.0
    found = compare(accuracies(hits), draw_texts(500, seed=0), 500)
    half = 1.96 * (hits[1] - hits[0]).std() / np.sqrt(500) * 1.25
    assert found.half[0, 1] == pytest.approx(half, rel=0.15)


def test_what_all_draws_agree_in_is_certain_only_of_enough_texts() -> None:
    def places(texts: int) -> list[int]:
        hits = np.stack([np.ones(texts), np.zeros(texts)])
        return [*compare(accuracies(hits), draw_texts(texts, seed=0), texts).last]

    assert places(60) == [1, 2]
    assert compare(accuracies(np.ones((2, 60))), draw_texts(60, seed=0), 60).last.tolist() == [2, 2]
