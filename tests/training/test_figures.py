"""Figures are what scikit-learn says they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_squared_error, r2_score

from ntps import Task, task_from_lists
from ntps.training.metrics import figures_of_logits, figures_of_values, majority_accuracy
from ntps.validation.labels import Labels

SEEDS = st.integers(0, 2**32 - 1)


def classes(names: int) -> Task:
    return task_from_lists(["text"] * names, range(names), label_names=[f"class {i}" for i in range(names)])


def of(labels: Any, task: Task) -> Labels:
    return Labels(task.kind, task.targets(labels))


@given(SEEDS, st.integers(2, 5), st.integers(2, 40))
def test_classes(seed: int, names: int, texts: int) -> None:
    rng = np.random.default_rng(seed)
    labels, outputs = rng.integers(names, size=texts), rng.normal(size=(texts, names))
    task = classes(names)
    values, logits = figures_of_values(outputs, of(labels, task)), figures_of_logits(outputs, of(labels, task))
    for figures in (values, logits):
        assert figures.accuracy == pytest.approx(accuracy_score(labels, outputs.argmax(axis=1)))
        recalls = [np.mean(outputs[labels == label].argmax(axis=1) == label) for label in set(labels.tolist())]
        assert figures.balanced_accuracy == pytest.approx(np.mean(recalls))
    one_hot = np.eye(names)[labels]
    assert values.mse == pytest.approx(mean_squared_error(one_hot, outputs))
    assert values.squared_loss == pytest.approx(names * mean_squared_error(one_hot, outputs))
    probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    assert logits.cross_entropy == pytest.approx(log_loss(labels, probabilities, labels=range(names)))
    assert values.cross_entropy is logits.mse is logits.r2 is logits.squared_loss is None


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    values = np.eye(3)[[0, 0, 1, 1, 2, 0]]
    figures = figures_of_values(values, of(labels, classes(3)))
    assert figures.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, values.argmax(axis=1)))
    assert figures.accuracy != figures.balanced_accuracy


@given(SEEDS, st.integers(1, 4), st.integers(2, 40))
def test_real_targets(seed: int, outputs: int, texts: int) -> None:
    rng = np.random.default_rng(seed)
    labels, values = rng.normal(size=(texts, outputs)), rng.normal(size=(texts, outputs))
    task = task_from_lists(["text"] * texts, labels)
    figures = figures_of_values(values, of(labels, task))
    assert figures == figures_of_logits(values, of(labels, task))
    assert figures.mse == pytest.approx(mean_squared_error(labels, values))
    assert figures.r2 == pytest.approx(r2_score(labels, values, multioutput="variance_weighted"))
    assert figures.accuracy is figures.cross_entropy is majority_accuracy(of(labels, task), of(labels, task)) is None


def test_label_sets_are_right_as_a_whole() -> None:
    labels = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    task = task_from_lists(["text"] * 4, [["a"], ["a", "b"], [], ["a", "b"]])
    logits = np.array([[1.0, -1.0], [1.0, -1.0], [-1.0, -1.0], [2.0, 3.0]])
    figures = figures_of_logits(logits, of(labels, task))
    assert figures.accuracy == 0.75
    assert figures.balanced_accuracy is None
    probabilities = 1 / (1 + np.exp(-logits))
    expected = -np.mean(labels * np.log(probabilities) + (1 - labels) * np.log(1 - probabilities))
    assert figures.cross_entropy == pytest.approx(expected)
    assert figures_of_values(labels * 0.4 + 0.3, of(labels, task)).accuracy == 1.0
    assert majority_accuracy(of(labels, task), of(labels, task)) == 0.5


def test_an_impossible_class_costs_no_finite_amount() -> None:
    task = classes(3)
    figures = figures_of_logits(np.array([[1.0, 0.0, -np.inf]]), of(np.array([2]), task))
    assert (figures.cross_entropy, figures.accuracy) == (None, 0.0)


def test_intervals_of_held_out_texts_are_those_of_independent_texts_or_groups() -> None:
    """About two standard errors on either side, whether or not every text has a double."""
    rng = np.random.default_rng(0)
    labels, outputs = rng.integers(3, size=400), rng.normal(size=(400, 3))
    outputs[np.arange(400), labels] += 1.0
    task = classes(3)
    single = figures_of_logits(outputs, of(labels, task), held_out=True)
    doubled = Labels("classes", np.repeat(task.targets(labels), 2, axis=0), np.repeat(np.arange(400), 2))
    twice = figures_of_logits(np.repeat(outputs, 2, axis=0), doubled, held_out=True)
    assert single.accuracy is not None and single.accuracy_interval is not None and twice.accuracy_interval is not None
    error = np.sqrt(single.accuracy * (1 - single.accuracy) / 400)
    for low, high in (single.accuracy_interval, twice.accuracy_interval):
        assert low == pytest.approx(single.accuracy - 1.96 * error, abs=0.3 * error)
        assert high == pytest.approx(single.accuracy + 1.96 * error, abs=0.3 * error)
    assert figures_of_logits(outputs, of(labels, task)).accuracy_interval is None


def test_the_majority_is_that_of_the_training_texts() -> None:
    train, test = np.array([0, 1, 1, 2]), np.array([0, 0, 0, 1])
    task = classes(3)
    assert majority_accuracy(of(train, task), of(train, task)) == 0.5
    assert majority_accuracy(of(train, task), of(test, task)) == 0.25
