"""The logistic probe is scikit-learn's, at its optimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_expit, log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ntps import Task, task_from_lists
from ntps.options.probing import LogisticProbe
from ntps.training.probes.logistic import LIMITS, Logistic, fit_logistic
from ntps.validation.labels import Labels
from tiny import Array


def problem(classes: int, texts: int = 300, width: int = 12, seed: int = 0) -> tuple[Array, Task]:
    """Pooled texts of different scales that tell classes apart in part, and the task that they belong to."""
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(texts, width)) * np.geomspace(0.1, 10, width) + 3.0
    labels = (pooled / np.geomspace(0.1, 10, width) @ rng.normal(size=(width, classes))).argmax(axis=1)
    labels = np.where(rng.random(texts) < 0.3, rng.integers(classes, size=texts), labels)
    return pooled, task_from_lists(["text"] * texts, labels, label_names=[f"class {i}" for i in range(classes)])


def objective(fit: Logistic, pooled: Array, task: Task) -> tuple[float, float]:
    """Scikit-learn's penalized loss, and the largest entry of its gradient per text."""
    rows, one_hot = StandardScaler().fit_transform(pooled), task.targets(task.train.labels)
    likely = log_softmax(fit.logits(pooled), axis=1)
    # With two classes the penalty is on the weights of the logit, not on those of both classes.
    loss = -np.sum(one_hot * likely) + 0.5 * np.sum(fit.coefficients**2)
    gradient = rows.T @ (np.exp(likely) - one_hot) + fit.coefficients
    columns = slice(1, None) if task.outputs == 2 else slice(None)
    return float(loss), float(np.abs(gradient[:, columns]).max() / len(rows))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_it_reaches_the_optimum_and_no_more_loss_than_saga(classes: int) -> None:
    pooled, task = problem(classes)
    loss, gradient = objective(fit_logistic(pooled, Labels.of(task, task.train), LogisticProbe(), 0), pooled, task)
    rows = StandardScaler().fit_transform(pooled)
    exact = LogisticRegression(tol=1e-10, max_iter=10_000).fit(rows, task.train.labels)
    best = Logistic(rows.mean(axis=0), np.ones(rows.shape[1]), np.zeros((12, classes)), np.zeros(classes), 0, ())
    if classes == 2:
        best.coefficients[:, 1], best.intercept[1] = exact.coef_[0], exact.intercept_[0]
    else:
        best.coefficients[:], best.intercept[:] = exact.coef_.T, exact.intercept_
    least = objective(best, rows, task)[0]
    assert gradient <= 1e-4
    assert least * (1 - 1e-9) <= loss <= least * (1 + 1e-5)
    saga = fit_logistic(pooled, Labels.of(task, task.train), LogisticProbe(solver="saga"), 0)
    assert loss <= objective(saga, pooled, task)[0]


@pytest.mark.parametrize("classes", [2, 4])
def test_saga_is_the_paper_s_setting(classes: int) -> None:
    pooled, task = problem(classes)
    rows = StandardScaler().fit_transform(pooled)
    model = LogisticRegression(solver="saga", max_iter=1000, tol=0.01, random_state=7).fit(rows, task.train.labels)
    logits = fit_logistic(pooled, Labels.of(task, task.train), LogisticProbe(solver="saga"), 7).logits(pooled)
    np.testing.assert_allclose(log_softmax(logits, axis=1), model.predict_log_proba(rows), atol=1e-10)


def test_a_class_without_training_texts_is_impossible() -> None:
    pooled, task = problem(4)
    task.train.labels[task.train.labels == 1] = 0
    logits = fit_logistic(pooled, Labels.of(task, task.train), LogisticProbe(), 0).logits(pooled)
    assert (logits[:, 1] == -np.inf).all() and np.isfinite(logits[:, [0, 2, 3]]).all()
    task.train.labels[task.train.labels == 3] = 2  # two of four are left
    fit = fit_logistic(pooled, Labels.of(task, task.train), LogisticProbe(), 0)
    rows = StandardScaler().fit_transform(pooled)
    model = LogisticRegression(tol=1e-8).fit(rows, task.train.labels)
    np.testing.assert_allclose(
        log_softmax(fit.logits(pooled), axis=1)[:, [0, 2]], model.predict_log_proba(rows), atol=1e-2
    )


def test_label_sets_are_one_regression_a_label() -> None:
    pooled, task = problem(3)
    sets = [["a", "c"], ["b", "c"], ["c"]]
    labels = [sets[label] for label in task.train.labels]
    many = task_from_lists(["text"] * len(labels), labels)
    assert many.kind == "multilabel" and many.outputs == 3
    fit = fit_logistic(pooled, Labels.of(many, many.train), LogisticProbe(), 0)
    logits = fit.logits(pooled)
    rows = StandardScaler().fit_transform(pooled)
    for output in range(2):
        model = LogisticRegression(tol=1e-8).fit(rows, many.train.labels[:, output])
        np.testing.assert_allclose(log_expit(logits[:, output]), model.predict_log_proba(rows)[:, 1], atol=1e-2)
    assert (logits[:, 2] == np.inf).all()  # every text has it


def test_a_solver_that_does_not_converge_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "saga", (1, 1e-9))
    pooled, task = problem(3)
    with pytest.warns(match="max_iter"):
        fit = fit_logistic(pooled, Labels.of(task, task.train), LogisticProbe(solver="saga"), 0)
    assert "did not converge in 1 iterations" in fit.warnings[0]
