"""Scores of others for pooled texts, against scikit-learn and the formulas, and where they are undefined."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from ntps.tasks.task import TargetKind
from ntps.theory import standardize
from ntps.theory.factor import Array
from ntps.theory.ridge import Ids
from ntps.validation.labels import Labels
from ntps.validation.rivals import OF_CLASSES, RIVALS, rival_scores


def pooled_texts(texts: int = 60, width: int = 12) -> tuple[Array, Ids]:
    """Pooled texts that tell three unequal classes, and a dimension that does not vary."""
    rng = np.random.default_rng(texts)
    classes = np.sort(rng.choice(3, texts, p=[0.6, 0.3, 0.1]))
    pooled = rng.normal(size=(texts, width)) + 1.5 * rng.normal(size=(3, width))[classes]
    pooled[:, 1] = 7.0
    return pooled, classes


def scores(pooled: Array, labels: Labels) -> tuple[dict[str, float | None], tuple[str, ...]]:
    return rival_scores(pooled, standardize(pooled), labels)


def test_mixtures_and_neighbours_are_those_of_scikit_learn() -> None:
    pooled, classes = pooled_texts()
    found, notes = scores(pooled, Labels("classes", np.eye(3)[classes]))
    assert set(found) == {*RIVALS} and None not in found.values() and not notes
    components = PCA(0.8, svd_solver="full").fit_transform(pooled)
    # The mixture is fitted to texts of mean square 1.
    components /= np.sqrt(np.mean(np.sum(components**2, axis=1)))
    mixture = GaussianMixture(15, random_state=0).fit(components)
    posteriors = mixture.predict_proba(components)
    conditional = np.stack([posteriors[classes == label].sum(axis=0) for label in range(3)]) / posteriors.sum(axis=0)
    likelihood = [conditional[label] @ row for label, row in zip(classes, posteriors, strict=True)]
    assert found["n_leep"] == pytest.approx(np.mean(np.log(likelihood)), abs=1e-8)
    model = KNeighborsClassifier(3)
    right = [
        model.fit(np.delete(pooled, i, axis=0), np.delete(classes, i)).predict(pooled[[i]])[0] == classes[i]
        for i in range(60)
    ]
    assert found["knn_accuracy"] == pytest.approx(np.mean(right), abs=1.5 / 60)


def test_order_rotation_and_scale_do_not_matter() -> None:
    """Beyond rounding; but for TransRate and the scale, and for what a mixture is begun with and folds."""
    pooled, classes = pooled_texts()
    pooled = np.delete(pooled, 1, axis=1)
    rng = np.random.default_rng(1)
    turned = 3.0 * pooled @ np.linalg.qr(rng.normal(size=(11, 11)))[0]
    order = rng.permutation(60)
    first, _ = scores(pooled, Labels("classes", np.eye(3)[classes]))
    second, _ = scores(turned[order], Labels("classes", np.eye(3)[classes][order]))
    for name in ("h_score", "h_score_shrunk", "logme", "knn_accuracy"):
        assert second[name] == pytest.approx(first[name], abs=1e-8)
    assert second["transrate"] > first["transrate"]  # type: ignore[operator]


def test_copies_do_not_answer_for_each_other() -> None:
    """Random labels of texts that are there three times: nothing that is judged on new texts is above chance."""
    rng = np.random.default_rng(0)
    pooled, classes = np.repeat(rng.normal(size=(100, 8)), 3, axis=0), np.repeat(rng.integers(2, size=100), 3)
    honest, _ = scores(pooled, Labels("classes", np.eye(2)[classes], np.arange(300) // 3))
    flattered, _ = scores(pooled, Labels("classes", np.eye(2)[classes]))
    for name in ("knn_accuracy", "discriminant_accuracy"):
        assert honest[name] == pytest.approx(0.5, abs=0.15)
    assert flattered["knn_accuracy"] > 0.95  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_only_logme_needs_no_classes(kind: TargetKind) -> None:
    pooled, classes = pooled_texts()
    found, notes = scores(pooled, Labels(kind, np.eye(3)[classes]))
    assert found["logme"] == scores(pooled, Labels("classes", np.eye(3)[classes]))[0]["logme"]
    assert {name for name, value in found.items() if value is None} == {*OF_CLASSES}
    assert notes == (f"{', '.join(OF_CLASSES)} are undefined: they need classes",)


def test_what_is_undefined_is_said() -> None:
    pooled, classes = pooled_texts(12)
    found, notes = scores(pooled, Labels("classes", np.eye(3)[classes % 3]))
    assert found["n_leep"] is None and found["h_score"] is not None and "at least 15 texts, 5 a class" in notes[-1]
    assert scores(pooled, Labels("classes", np.ones((12, 1))))[1][-1].endswith("all texts are of one class")
    assert scores(np.ones((12, 2)), Labels("classes", np.eye(3)[classes]))[1][-1].endswith("do not vary")
    copies, same = np.repeat(pooled[:6], 2, axis=0), np.repeat(np.arange(6) % 2, 2)
    found, notes = scores(copies, Labels("classes", np.eye(2)[same], np.arange(12) // 2))
    assert found["logme"] is None and "the evidence has no largest value" in notes[0]
