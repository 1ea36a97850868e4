"""The inverse temperature is the maximum of a likelihood, and makes probabilities that hold for new texts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression

from ntps.tasks.task import TargetKind
from ntps.theory.factor import Array
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import fit_layer
from ntps.validation.probabilities import LEAST, fit_inverse_temperature, logits_of, probabilities


def drawn(texts: int, classes: int, seed: int = 0) -> tuple[Array, Labels]:
    """Predictions that know something about the classes."""
    rng = np.random.default_rng(seed)
    targets = np.eye(classes)[rng.integers(classes, size=texts)]
    return 0.3 * targets + 0.2 * rng.normal(size=targets.shape), Labels("classes", targets)


def loss_of(beta: float, values: Array, labels: Labels) -> float:
    """Minus the log likelihood, with one text more that is labelled blindly, spread over all texts."""
    blind = 1 / (len(labels) + 1)
    logs = log_softmax(beta * values, axis=1)
    right = logs[np.arange(len(labels)), labels.classes]
    return float(-((1 - blind) * right + blind * logs.mean(axis=1)).sum())


@pytest.mark.parametrize("classes", [2, 5])
def test_it_is_the_maximum_of_the_likelihood(classes: int) -> None:
    values, labels = drawn(200, classes)
    found = fit_inverse_temperature([values], labels)
    best = minimize_scalar(loss_of, bounds=(0, 200), args=(values, labels), method="bounded", options={"xatol": 1e-9})
    assert found == pytest.approx(best.x, rel=1e-6)
    # Folds that are dealt twice count as often.
    assert fit_inverse_temperature([values, values], labels) == pytest.approx(found, rel=1e-9)


def test_two_classes_are_a_logistic_regression_without_intercept() -> None:
    values, labels = drawn(300, 2)
    margins = (values[:, 1] - values[:, 0])[:, None]
    blind = 1 / (len(labels) + 1)
    weights = np.concatenate([np.full(300, 1 - blind / 2), np.full(300, blind / 2)])
    fit = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10).fit(
        np.vstack((margins, margins)), np.concatenate((labels.classes, 1 - labels.classes)), weights
    )
    assert fit_inverse_temperature([values], labels) == pytest.approx(fit.coef_.item(), rel=1e-4)


def test_label_sets_are_one_logistic_regression_of_all_labels() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((150, 4)) < 0.4).astype(float)
    values = 0.2 + 0.5 * targets + 0.3 * rng.normal(size=targets.shape)
    found = fit_inverse_temperature([values], Labels("multilabel", targets))
    blind = 1 / 151
    margins, there = (values - 0.5).reshape(-1, 1), targets.reshape(-1)
    weights = np.concatenate([np.full(600, 1 - blind / 2), np.full(600, blind / 2)])
    fit = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10).fit(
        np.vstack((margins, margins)), np.concatenate((there, 1 - there)), weights
    )
    assert found == pytest.approx(fit.coef_.item(), rel=1e-4)
    made = probabilities(logits_of(values, found or 0.0), "multilabel")
    assert ((made >= 0.5) == (values >= 0.5)).all()


def test_it_is_finite_where_all_are_right_and_positive_where_nothing_is() -> None:
    targets = np.eye(3)[np.arange(60) % 3]
    labels = Labels("classes", targets)
    assert 5 < (fit_inverse_temperature([targets], labels) or 0.0) < 50
    assert fit_inverse_temperature([1 - targets], labels) == LEAST
    alike = np.full((60, 3), 0.3)
    made = probabilities(logits_of(alike, fit_inverse_temperature([alike], labels) or 0.0), "classes")
    np.testing.assert_allclose(made, 1 / 3)
    assert fit_inverse_temperature([targets], Labels("regression", targets)) is None


@pytest.mark.parametrize("kind", ["classes", "multilabel"])
@pytest.mark.parametrize("texts", [80, 400])
def test_probabilities_of_a_ridge_probe_hold_for_new_texts(kind: TargetKind, texts: int) -> None:
    """They lose less than what is not calibrated, and nearly as little as the best temperature in hindsight."""
    rng = np.random.default_rng(texts)
    pooled = rng.normal(size=(texts + 4000, 20))
    told = pooled[:, :4] + rng.normal(size=(len(pooled), 4))
    targets = np.eye(4)[told.argmax(axis=1)] if kind == "classes" else (told > 1).astype(float)
    fit = fit_layer(pooled[:texts], Labels(kind, targets[:texts]), 1e-12)
    values, truth = fit.probe.predict(pooled[texts:]), targets[texts:]

    def loss(beta: float) -> float:
        logits = logits_of(values, beta)
        if kind == "classes":
            return float((logsumexp(logits, axis=1) - (truth * logits).sum(axis=1)).mean())
        return float(np.logaddexp(0, np.where(truth > 0.5, -logits, logits)).sum(axis=1).mean())

    assert fit.inverse_temperature is not None
    found, best = loss(fit.inverse_temperature), minimize_scalar(loss, bounds=(0, 100), method="bounded").fun
    assert best <= found < best + 0.02 and found < loss(1.0) - 0.1
    # As many are right as it is sure of, but for the chance of so few texts that were left out.
    made = probabilities(logits_of(values, fit.inverse_temperature), kind)
    sure = made.max(axis=1) if kind == "classes" else made.reshape(-1)
    right = truth[np.arange(len(truth)), made.argmax(axis=1)] if kind == "classes" else truth.reshape(-1)
    assert abs(float(sure.mean() - right.mean())) < 1.5 / texts**0.5
