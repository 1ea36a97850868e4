"""Transferability scores of others for the pooled texts of one layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64
from threadpoolctl import threadpool_limits

from ntps.theory import Standardization, rivals
from ntps.theory.rivals import CentredFeatures
from ntps.validation.judged import Array
from ntps.validation.labels import Ids, Labels
from ntps.validation.layer_fit import Pooled

OF_CLASSES = ("h_score", "h_score_shrunk", "discriminant_accuracy", "transrate", "knn_accuracy", "n_leep")
RIVALS = (*OF_CLASSES, "logme")
ENERGY, GAUSSIANS = 0.8, 5
"""Of N-LEEP: the share of variance that its principal components hold, and its Gaussians a class."""


def rival_scores(
    pooled: Pooled, standardization: Standardization, labels: Labels
) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """Every score by name, None where it is undefined, and why it is.

    Args:
        pooled: Pooled texts of a layer.
        standardization: Theirs; what does not vary is left out where features are centred.
        labels: Labels of the texts.
    """
    found: dict[str, float | None] = dict.fromkeys(RIVALS)
    features = np.asarray(pooled, dtype=np.float64)
    found["logme"] = rivals.logme(features, labels.targets)
    notes = list(_cautions(found["logme"], standardization, labels))
    if labels.kind != "classes" or len(np.unique(labels.classes)) < 2 or not standardization.varying:
        return found, tuple(notes)
    varies = standardization.scale > 0
    classes, parts = labels.classes, labels.parts
    centred = CentredFeatures.of(features[:, varies])
    found["h_score"] = rivals.h_score(centred, classes)
    found["h_score_shrunk"] = rivals.shrunk_h_score(centred, classes)
    found["transrate"] = rivals.transrate(centred, classes)
    found["knn_accuracy"] = float(np.mean(rivals.neighbour_answers(features, classes, parts) == classes))
    if len(labels) >= GAUSSIANS * len(np.unique(classes)):
        found["n_leep"] = _n_leep(centred.leading(ENERGY), classes)
    scaled = standardization.apply(pooled)[:, varies]
    right = [rivals.discriminant_answers(scaled, classes, folds) == classes for folds in labels.folds]
    found["discriminant_accuracy"] = float(np.mean(right))
    return found, tuple(notes)


def _cautions(logme: float | None, standardization: Standardization, labels: Labels) -> Iterator[str]:
    if logme is None:
        yield (
            "the evidence has no largest value, so that logme is undefined: fewer directions than texts hold some "
            "labels exactly"
        )
    others = ", ".join(OF_CLASSES)
    if labels.kind != "classes":
        yield f"{others} are undefined: they need classes"
    elif len(present := np.unique(labels.classes)) < 2:
        yield f"{others} are undefined: all texts are of one class"
    elif not standardization.varying:
        yield f"{others} are undefined: pooled texts do not vary"
    elif len(labels) < GAUSSIANS * len(present):
        yield f"n_leep is undefined: it needs at least {GAUSSIANS * len(present)} texts, {GAUSSIANS} a class"


def _n_leep(components: Float64[Array, "texts components"], classes: Ids) -> float:
    # Scikit-learn takes a second to import, and nothing else of a score needs it.
    from sklearn.mixture import GaussianMixture

    # What is added to the variances of the mixture does not know the scale of the features.
    scaled = components / np.sqrt(np.mean(np.sum(components**2, axis=1)))
    mixture = GaussianMixture(GAUSSIANS * len(np.unique(classes)), random_state=0)
    # Its first means come from sums by several threads, in an order of their own.
    with threadpool_limits(1, user_api="openmp"):
        posteriors = mixture.fit(scaled).predict_proba(scaled)
    return rivals.leep(posteriors, classes)
