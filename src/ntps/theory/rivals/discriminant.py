"""Linear discriminant analysis, judged on folds left out whole."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array, rounding
from ntps.theory.ridge import Ids, decompose_features
from ntps.theory.rivals.centred import class_means, ledoit_wolf


def discriminant_answers(
    features: Float64[Array, "texts dims"], classes: Int64[Ids, " texts"], folds: Int64[Ids, " texts"]
) -> Int64[Ids, " texts"]:
    """What linear discriminants of the other folds answer for each text.

    The class with the largest ``μ_cᵀ W⁻¹ x − ½ μ_cᵀ W⁻¹ μ_c + log(n_c / n)`` (Fisher 1936), with
    ``W = (1 − a) S + a (trace S / d) I``: the covariance within classes, shrunk by the a of
    :func:`~ntps.theory.rivals.ledoit_wolf`. The share of right answers is from 0 to 1; higher is better.

    Args:
        features: Centred, and of one scale.
        classes: Numbers from 0 on.
        folds: Numbers from 0 on, of at least two folds.
    """
    texts, width = features.shape
    rows = features
    if texts <= width:
        # W does not couple what the texts span with the rest.
        decomposition = decompose_features(features)
        rows = decomposition.vectors * np.sqrt(decomposition.eigenvalues)
    answers, count = np.empty(texts, dtype=np.int64), int(classes.max()) + 1
    everything = rows.T @ rows
    least = rounding(max(features.shape)) * float(np.trace(everything)) / texts
    for fold in np.unique(folds):
        out = folds == fold
        left, labels = rows[out], classes[~out]
        means, sizes = class_means(rows[~out], labels, count)
        scatter = everything - left.T @ left - (means.T * sizes) @ means
        within = scatter / len(labels)
        norms = np.sum((rows[~out] - means[labels]) ** 2, axis=1)
        shrinkage = ledoit_wolf(norms, float(np.sum(within**2)), width)
        # Where classes do not vary in some directions, these decide.
        added = max(shrinkage * float(norms.mean()), least) / width
        weights = np.linalg.solve((1.0 - shrinkage) * within + added * np.eye(len(within)), means.T)
        with np.errstate(divide="ignore"):
            offsets = np.log(sizes / len(labels)) - 0.5 * np.einsum("cj,jc->c", means, weights)
        answers[out] = (left @ weights + offsets).argmax(axis=1)
    return answers
