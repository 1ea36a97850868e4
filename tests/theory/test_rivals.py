"""Scores of others against literal evaluations of raw features, and against scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf, ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier

from ntps.theory import stratified_folds
from ntps.theory.factor import Array
from ntps.theory.ridge import Ids
from ntps.theory.rivals import (
    CentredFeatures,
    discriminant_answers,
    h_score,
    leep,
    logme,
    neighbour_answers,
    shrunk_h_score,
    transrate,
)

Texts = tuple[Array, Ids, Ids]


@st.composite
def labelled(draw: st.DrawFn) -> Texts:
    """Features with a mean and of unequal scales, classes of unequal sizes, and the text that each one is a copy of."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    texts, width, count = draw(st.integers(8, 40)), draw(st.integers(2, 60)), draw(st.integers(2, 4))
    classes = np.concatenate(
        [np.arange(count), rng.choice(count, texts - count, p=np.arange(1, count + 1) * 2 / (count * (count + 1)))]
    )
    features = rng.normal(size=(texts, width)) * np.geomspace(3.0, 0.1, width) + rng.normal(size=width)
    features += draw(st.floats(0.0, 2.0)) * rng.normal(size=(count, width))[classes]
    copied = np.concatenate([np.arange(texts), rng.choice(texts, draw(st.integers(0, 8)))])
    return features[copied], classes[copied], copied


def covariances(features: Array, classes: Ids) -> tuple[Array, Array]:
    """Of the features, and of the means of their classes."""
    means = np.stack([features[classes == label].mean(axis=0) for label in classes])
    return np.cov(features.T, bias=True), np.cov(means.T, bias=True)


@settings(deadline=None, max_examples=25)
@given(labelled())
def test_h_scores(texts: Texts) -> None:
    features, classes, _ = texts
    centred = CentredFeatures.of(features)
    covariance, between = covariances(features, classes)
    assert h_score(centred, classes) == pytest.approx(
        np.trace(np.linalg.pinv(covariance, rcond=1e-12) @ between), abs=1e-8
    )
    shrunk = LedoitWolf().fit(features)
    kept = 1 - shrunk.shrinkage_
    assert centred.shrinkage == pytest.approx(shrunk.shrinkage_, abs=1e-10)
    expected = np.trace(np.linalg.solve(shrunk.covariance_, kept * between)) if kept > 0 else 0.0
    assert shrunk_h_score(centred, classes) == pytest.approx(expected, abs=1e-8)
    count = len(np.unique(classes))
    assert 0 <= shrunk_h_score(centred, classes) <= h_score(centred, classes) + 1e-12 <= count - 1 + 1e-8


def test_the_h_score_is_the_same_for_every_invertible_map() -> None:
    rng = np.random.default_rng(0)
    features, classes = rng.normal(size=(50, 6)), rng.integers(3, size=50)
    mapped = CentredFeatures.of(features @ rng.normal(size=(6, 6)) + rng.normal(size=6))
    assert h_score(mapped, classes) == pytest.approx(h_score(CentredFeatures.of(features), classes), rel=1e-10)
    few = CentredFeatures.of(rng.normal(size=(20, 30)))
    assert h_score(few, classes[:20]) == pytest.approx(2.0)


def coding_rate(rows: Array) -> float:
    return 0.5 * float(np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4))[1])


@settings(deadline=None, max_examples=25)
@given(labelled())
def test_transrate(texts: Texts) -> None:
    features, classes, _ = texts
    rows = features - features.mean(axis=0)
    parts = [rows[classes == label] for label in np.unique(classes)]
    expected = coding_rate(rows) - sum(len(part) / len(rows) * coding_rate(part) for part in parts)
    assert transrate(CentredFeatures.of(features), classes) == pytest.approx(expected, abs=1e-8)
    assert expected >= 0


def test_transrate_is_the_authors_listing_for_classes_of_one_size() -> None:
    rng = np.random.default_rng(0)
    features, classes = rng.normal(size=(30, 7)), np.arange(30) % 3
    rows = features - features.mean(axis=0)
    expected = coding_rate(rows) - sum(coding_rate(rows[classes == label]) for label in range(3)) / 3
    assert transrate(CentredFeatures.of(features), classes) == pytest.approx(expected, abs=1e-10)


def evidence(features: Array, target: Array, ratio: float) -> float:
    """Log density per text of the target under the model, its covariance written out, at the best β for an α/β."""
    covariance = features @ features.T / ratio + np.eye(len(features))
    noise = target @ np.linalg.solve(covariance, target) / len(target)
    return float(multivariate_normal(np.zeros(len(target)), noise * covariance).logpdf(target)) / len(target)


@pytest.mark.parametrize(("texts", "width", "copies"), [(30, 6, 0), (30, 6, 10), (25, 40, 0), (12, 12, 0)])
@pytest.mark.parametrize("told", [0.0, 1.5])
def test_logme_is_the_largest_evidence(texts: int, width: int, copies: int, told: float) -> None:
    """Of each output, sought by SciPy in n × n matrices."""
    rng = np.random.default_rng(width)
    classes = np.repeat([0, 1, 2], [texts - 7, 5, 2])
    features = rng.normal(size=(texts, width)) + told * rng.normal(size=(3, width))[classes] + 0.3
    copied = np.concatenate([np.arange(texts), rng.choice(texts, copies)])
    features, classes = features[copied], classes[copied]
    expected = []
    for target in np.eye(3)[classes].T:
        exponents = np.arange(-6.0, 9.0, 0.5)
        best = exponents[np.argmax([evidence(features, target, 10.0**each) for each in exponents])]
        options = {"xatol": 1e-7}
        found = minimize_scalar(
            lambda each, target=target: -evidence(features, target, 10.0**each),
            bounds=(best - 0.5, best + 0.5),
            method="bounded",
            options=options,
        )
        expected.append(-found.fun)
    assert logme(features, np.eye(3)[classes]) == pytest.approx(np.mean(expected), abs=1e-8)


def test_logme_is_where_the_authors_iteration_ends() -> None:
    """α and β from 1 on, for one target."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 8))
    target = features @ rng.normal(size=8) + rng.normal(size=50)
    alpha = beta = 1.0
    for _ in range(200):
        precision = alpha * np.eye(8) + beta * features.T @ features
        mean = beta * np.linalg.solve(precision, features.T @ target)
        gamma = 8 - alpha * np.trace(np.linalg.inv(precision))
        alpha, beta = gamma / (mean @ mean), (50 - gamma) / np.sum((target - features @ mean) ** 2)
    covariance = features @ features.T / alpha + np.eye(50) / beta
    expected = multivariate_normal(np.zeros(50), covariance).logpdf(target) / 50
    assert logme(features, target[:, None]) == pytest.approx(expected, abs=1e-10)


def test_logme_of_copies_that_are_told_exactly_has_no_largest_value() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(10, 20)), 2, axis=0)
    targets = np.repeat(np.eye(2)[np.arange(10) % 2], 2, axis=0)
    assert logme(features, targets) is None
    assert logme(features, targets[rng.permutation(20)]) is not None


def test_logme_where_one_class_gives_no_start_to_the_next() -> None:
    """The mean over outputs is that of each alone, in any order; outputs that never occur do not count."""
    rng = np.random.default_rng(0)
    features, classes = rng.normal(size=(60, 5)) + 1.0, rng.integers(3, size=60)
    targets = np.eye(3)[classes]
    alone = [logme(features, target[:, None]) for target in targets.T]
    assert None not in alone
    assert logme(features, targets[:, ::-1]) == pytest.approx(np.mean(alone), abs=1e-12)  # type: ignore[arg-type]
    assert logme(features, np.eye(5)[classes]) == pytest.approx(np.mean(alone), abs=1e-12)  # type: ignore[arg-type]
    turned = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert logme(100 * features @ turned, targets) == pytest.approx(np.mean(alone), abs=1e-10)  # type: ignore[arg-type]
    assert logme(features, features @ rng.normal(size=(5, 1))) is None
    assert logme(features, np.zeros((60, 1))) is None


@settings(deadline=None, max_examples=12)
@given(labelled())
def test_discriminants_are_those_of_scikit_learn(texts: Texts) -> None:
    """Fitted again without each fold, with the shrinkage that scikit-learn finds within classes."""
    features, classes, copied = texts
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    folds = stratified_folds(classes, copied, seed=0, folds=3)
    answers = discriminant_answers(features, classes, folds)
    for fold in np.unique(folds):
        seen = folds != fold
        means = np.stack([features[seen & (classes == label)].mean(axis=0) for label in classes[seen]])
        shrinkage = ledoit_wolf_shrinkage(features[seen] - means, assume_centered=True)
        expected = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(features[seen], classes[seen])
        scores = np.sort(expected.predict_proba(features[~seen]), axis=1)
        sure = scores[:, -1] - scores[:, -2] > 1e-8
        assert np.array_equal(answers[~seen][sure], expected.predict(features[~seen])[sure])


def test_discriminants_do_not_flatter() -> None:
    """Of classes that nothing tells: as many right answers as guesses have, with fewer texts than dimensions too."""
    rng = np.random.default_rng(0)
    classes = np.arange(400) % 4
    features = rng.normal(size=(400, 500))
    right = np.mean(discriminant_answers(features, classes, stratified_folds(classes, seed=0)) == classes)
    assert right == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 400) ** 0.5)


def test_discriminants_decide_where_classes_do_not_vary() -> None:
    classes = np.arange(30) % 3
    features = np.eye(3)[classes] - 1 / 3
    assert np.array_equal(discriminant_answers(features, classes, np.arange(30) // 3), classes)


@settings(deadline=None, max_examples=12)
@given(labelled())
def test_neighbours(texts: Texts) -> None:
    """Of three other texts that are no copies; of two classes, as scikit-learn has it too."""
    features, classes, copied = texts
    answers = neighbour_answers(features, classes, copied)
    for text, answer in enumerate(answers):
        others = np.flatnonzero(copied != copied[text])
        nearest = others[np.argsort(np.sum((features[others] - features[text]) ** 2, axis=1), kind="stable")][:3]
        votes = Counter(classes[nearest].tolist())
        first = [label for label in classes[nearest] if votes[int(label)] == max(votes.values())]
        assert answer == first[0]
        if classes.max() == 1:
            model = KNeighborsClassifier(3).fit(features[others], classes[others])
            assert answer == model.predict(features[[text]])[0]


def test_few_neighbours_vote_alone() -> None:
    features, classes = np.array([[0.0], [0.0], [1.0]]), np.array([0, 0, 1])
    assert neighbour_answers(features, classes, np.array([5, 5, 9])).tolist() == [1, 1, 0]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_leep(seed: int) -> None:
    """Literally; and where each part stands for a class alone, nothing is lost."""
    rng = np.random.default_rng(seed)
    posteriors, classes = rng.dirichlet(np.full(5, 0.3), size=30), rng.integers(3, size=30)
    total = 0.0
    for text, label in enumerate(classes):
        parts = [posteriors[classes == label, v].sum() / posteriors[:, v].sum() * posteriors[text, v] for v in range(5)]
        total += np.log(sum(parts)) / 30
    assert leep(posteriors, classes) == pytest.approx(total, abs=1e-10)
    assert leep(np.eye(4)[classes], classes) == 0.0
