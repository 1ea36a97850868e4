"""The ridge probe of a layer, against scikit-learn's ``Ridge`` fitted again for every part that is left out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, r2_score
from sklearn.preprocessing import StandardScaler

from ntps import theory
from ntps.tasks.task import TargetKind
from ntps.theory.factor import EPS, Array
from ntps.theory.ridge import Ids
from ntps.validation.all_layers import fit_all_layers
from ntps.validation.judged import estimates, judge_held_out
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import LayerFit, fit_layer

KINDS: tuple[TargetKind, ...] = ("classes", "multilabel", "regression")


def pooled_texts(seed: int, texts: int, dims: int) -> Array:
    """Pooled texts whose dimensions have different means and scales; one of them does not vary."""
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(texts, dims)) * rng.uniform(0.1, 10, dims) + rng.normal(size=dims)
    pooled[:, 1] = 3.0
    return pooled


def labels_of(kind: TargetKind, pooled: Array, groups: Ids | None = None) -> Labels:
    """Labels that the texts tell, noise aside."""
    rng = np.random.default_rng(len(pooled))
    told = StandardScaler().fit_transform(pooled)[:, [0, 2, 3]] + 0.5 * rng.normal(size=(len(pooled), 3))
    targets = {"classes": np.eye(3)[told.argmax(axis=1)], "multilabel": (told > 0.3).astype(float), "regression": told}
    return Labels(kind, targets[kind][:, :2] if kind == "regression" else targets[kind], groups)


def refitted(features: Array, targets: Array, penalty: float, parts: Ids) -> Array:
    """Predictions for each part by a fit to all others."""
    predicted = np.empty_like(targets)
    for part in np.unique(parts):
        out = parts == part
        # Of few texts and many features, its default solver squares the condition number first.
        model = Ridge(alpha=penalty, solver="svd").fit(features[~out], targets[~out])
        predicted[out] = model.predict(features[out]).reshape(out.sum(), -1)
    return predicted


def penalties(features: Array) -> Array:
    return np.asarray(theory.PENALTIES * np.sum(features**2) / len(features))


def groups_of(texts: int, grouped: bool) -> Ids | None:
    """Groups of one to three texts, whose numbers have gaps."""
    return np.sort(np.random.default_rng(1).integers(texts // 2, size=texts)) * 3 if grouped else None


def expected_of(kind: TargetKind, labels: Labels, predictions: list[Array]) -> dict[str, float]:
    """Figures by scikit-learn, as means over repeated folds."""
    if kind == "classes":
        guesses = [each.argmax(axis=1) for each in predictions]
        return {
            "accuracy": float(np.mean([guess == labels.classes for guess in guesses])),
            "balanced_accuracy": float(np.mean([balanced_accuracy_score(labels.classes, guess) for guess in guesses])),
        }
    if kind == "multilabel":
        (scores,) = predictions
        return {
            "mean_average_precision": average_precision_score(labels.targets, scores, average="macro"),
            "f1": f1_score(labels.targets, scores >= 0.5, average="micro"),
        }
    return {}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("texts", "dims"), [(36, 8), (24, 40)])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_refits(kind: TargetKind, texts: int, dims: int, grouped: bool) -> None:
    """The penalty, R² of each text or group left out, the figures of folds left out whole, and the fit to all texts."""
    pooled = pooled_texts(texts, texts, dims)
    labels = labels_of(kind, pooled, groups_of(texts, grouped))
    fit = fit_layer(pooled, labels, EPS)
    features = StandardScaler().fit_transform(pooled)
    alone = np.arange(texts) if labels.groups is None else labels.groups
    losses = [
        np.mean((labels.targets - refitted(features, labels.targets, each, alone)) ** 2) for each in penalties(features)
    ]
    penalty = penalties(features)[int(np.argmin(losses))]
    assert fit.left_out.penalty == pytest.approx(penalty, rel=1e-12)
    assert fit.penalty_per_text == pytest.approx(penalty / texts)
    left_out = refitted(features, labels.targets, penalty, alone)
    means = refitted(np.zeros_like(features), labels.targets, 1.0, alone)
    np.testing.assert_allclose(fit.judged.loss, np.sum((labels.targets - left_out) ** 2, axis=1), atol=1e-8)
    found = {name: each.value for name, each in estimates(fit.judged, labels, refitted=True).items()}
    r2 = 1 - np.sum((labels.targets - left_out) ** 2) / np.sum((labels.targets - means) ** 2)
    predictions = [refitted(features, labels.targets, penalty, folds) for folds in labels.folds]
    assert found == pytest.approx({**expected_of(kind, labels, predictions), "r2": r2}, abs=1e-8)
    scores = fit.judged.scores
    assert (scores is None) == (kind != "multilabel")
    if scores is not None:
        np.testing.assert_allclose(scores, predictions[0], atol=1e-8)
    whole = Ridge(alpha=penalty, solver="svd").fit(features, labels.targets)
    np.testing.assert_allclose(fit.probe.predict(pooled), whole.predict(features), atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_all_layers_equal_refits_on_the_mean_of_their_kernels(kind: TargetKind) -> None:
    """As features: those of each layer, scaled so that its squares are 1 a text, then one after the other."""
    layers = {index: pooled_texts(index, 30, dims) for index, dims in ((0, 8), (2, 20), (3, 8))}
    labels = labels_of(kind, layers[2], groups_of(30, True))
    fits: dict[int, LayerFit] = {layer: fit_layer(pooled, labels, EPS) for layer, pooled in layers.items()}
    together = fit_all_layers(lambda layer: fits[layer].standardization.apply(layers[layer]), fits, labels)
    each = [StandardScaler().fit_transform(pooled) for pooled in layers.values()]
    joined = np.concatenate([one / np.sqrt(3 * np.sum(one**2) / 30) for one in each], axis=1)
    assert np.sum(joined**2) / 30 == pytest.approx(1.0)
    assert together.texts == 30
    assert labels.groups is not None
    losses = [
        np.mean((labels.targets - refitted(joined, labels.targets, one, labels.groups)) ** 2)
        for one in theory.PENALTIES
    ]
    penalty = float(theory.PENALTIES[int(np.argmin(losses))])
    assert together.left_out.relative_penalty == penalty
    assert together.left_out.penalty == pytest.approx(penalty, rel=1e-12)
    left_out = refitted(joined, labels.targets, penalty, labels.groups)
    np.testing.assert_allclose(together.judged.loss, np.sum((labels.targets - left_out) ** 2, axis=1), atol=1e-8)
    predictions = [refitted(joined, labels.targets, penalty, folds) for folds in labels.folds]
    found = {name: one.value for name, one in estimates(together.judged, labels, refitted=True).items()}
    expected = expected_of(kind, labels, predictions)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-8)
    fitted = Ridge(alpha=penalty, solver="svd").fit(joined, labels.targets).predict(joined)
    np.testing.assert_allclose(together.probe.predict(layers.values()), fitted, atol=1e-8)
    assert (together.layers, together.missed) == ((0, 2, 3), 0.0)
    new = {layer: pooled_texts(9, 7, pooled.shape[1]) for layer, pooled in layers.items()}
    summed = sum(probe.predict(new[layer]) for layer, probe in together.parts.items())
    np.testing.assert_allclose(summed, together.probe.predict(new.values()), atol=1e-12)


def test_held_out_figures_are_those_of_scikit_learn() -> None:
    """With an output that does not vary among the test texts, which has no weight."""
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=(40, 3))
    numbers = Labels("regression", np.column_stack([rng.normal(size=(40, 2)), np.full(40, 0.25)]))
    sets = Labels("multilabel", (predicted + rng.normal(size=(40, 3)) > 0.5).astype(float))
    classes = Labels("classes", np.eye(3)[(predicted + rng.normal(size=(40, 3))).argmax(axis=1)])
    for labels in (numbers, sets, classes):
        found = {
            name: each.value
            for name, each in estimates(judge_held_out(predicted, labels), labels, refitted=False).items()
        }
        expected = expected_of(labels.kind, labels, [predicted])
        expected["r2"] = r2_score(labels.targets, predicted, multioutput="variance_weighted")
        assert found == pytest.approx(expected, abs=1e-12)
