"""What parts of the texts reach on the others, against refits, and what is expected of twice as many."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from ntps import theory
from ntps.tasks.task import TargetKind
from ntps.theory.factor import Array
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import fit_ridge
from ntps.validation.learning_curve import FEWEST, LearningCurve, learning_curve


def separated(texts: int, signal: float, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Centred features of two classes."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(texts) % 2)
    features = rng.normal(size=(texts, 5))
    features[:, 0] += signal * classes
    return features - features.mean(axis=0), classes


def curve_of(features: Array, labels: Labels) -> LearningCurve | None:
    decomposition = theory.decompose_features(features)
    return learning_curve(decomposition, fit_ridge(decomposition, labels).judged, labels)


def refitted(features: Array, targets: Array, rows: NDArray[np.int64]) -> Array:
    """What the ridge of some texts predicts for all, at the penalty with the least loss of each of them left out."""
    own = features[rows]
    scale = ((own - own.mean(axis=0)) ** 2).sum(axis=1).mean()

    def loss(penalty: float) -> float:
        others = (np.delete(rows, left) for left in range(len(rows)))
        fits = (Ridge(alpha=penalty).fit(features[each], targets[each]) for each in others)
        return sum(
            float(((fit.predict(features[[row]]) - targets[row]) ** 2).sum())
            for fit, row in zip(fits, rows, strict=True)
        )

    best = min(theory.PENALTIES * scale, key=loss)
    return np.asarray(Ridge(alpha=best).fit(own, targets[rows]).predict(features)).reshape(targets.shape)


def test_a_half_is_what_refits_to_halves_reach() -> None:
    features, classes = separated(FEWEST, 1.0)
    labels = Labels("regression", classes[:, None].astype(np.float64))
    found = curve_of(features, labels)
    assert found is not None and found.texts == (10, 20, 40, 80)
    halves = theory.stratified_folds(labels.strata, seed=0, folds=2)
    loss = baseline = 0.0
    for half in (0, 1):
        rows, others = np.flatnonzero(halves == half), halves != half
        predicted = refitted(features, labels.targets, rows)
        loss += float(((labels.targets - predicted)[others] ** 2).sum())
        baseline += float(((labels.targets - labels.targets[rows].mean(axis=0))[others] ** 2).sum())
    assert found.reached[1].value == pytest.approx(1 - loss / baseline, abs=1e-9)


def test_more_texts_reach_more_and_none_reaches_beyond_all() -> None:
    found = curve_of(*_of_classes(*separated(200, 1.5)))
    assert found is not None
    values = [each.value for each in found.reached]
    assert None not in values and values[0] < values[-1] <= 1  # type: ignore[operator]
    for each in found.reached:
        assert each.low is not None and each.high is not None and each.low <= each.value <= each.high <= 1  # type: ignore[operator]
    # What is expected of texts that are not there is less certain than what those that are there reach.
    widths = [each.high - each.low for each in found.reached]  # type: ignore[operator]
    assert widths[3] > widths[2]


def _of_classes(features: Array, classes: NDArray[np.int64]) -> tuple[Array, Labels]:
    return features, Labels("classes", np.eye(2)[classes])


def test_no_group_is_cut() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 4)
    features = rng.normal(size=(50, 60))[groups]
    targets = np.eye(2)[(rng.permutation(50) % 2)[groups]]
    whole, cut = (
        curve_of(features - features.mean(axis=0), Labels("classes", targets, each)) for each in (groups, None)
    )
    assert whole is not None and cut is not None
    # Who has seen a text of the same group is right.
    assert all(each.value is not None and each.value > 0.8 for each in cut.reached[1:])
    assert all(each.value is not None and each.value < 0.65 for each in whole.reached)


@pytest.mark.parametrize("kind", ["classes", "multilabel", "regression"])
def test_every_kind_of_labels_has_a_curve(kind: TargetKind) -> None:
    features, classes = separated(80, 2.0)
    found = curve_of(features, Labels(kind, np.eye(2)[classes]))
    assert found is not None and all(each.value is not None and each.value > 0.3 for each in found.reached)


def test_labels_that_fit_exactly_leave_nothing_to_gain() -> None:
    features, classes = separated(80, 200.0)
    found = curve_of(*_of_classes(features, classes))
    assert found is not None and [each.value for each in found.reached] == [1.0] * 4
    assert found.reached[3].high == 1.0


def test_few_texts_have_none() -> None:
    features, classes = separated(FEWEST - 1, 1.0)
    assert curve_of(*_of_classes(features, classes)) is None
    features, classes = separated(2 * FEWEST, 1.0)
    assert curve_of(features, Labels("classes", np.eye(2)[classes], np.arange(2 * FEWEST) // 4)) is None
