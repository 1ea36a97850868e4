"""The H-score, and its form for few texts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from ntps.theory.ridge import Ids
from ntps.theory.rivals.centred import CentredFeatures, class_means


def h_score(features: CentredFeatures, classes: Int64[Ids, " texts"]) -> float:
    """``trace(Σ⁺ B)``: variance of class means in whitened features (Bao et al. 2019, arXiv 2212.10082).

    Σ is the covariance of the features and B that of their class means, both divided by n. Equal to the sum of the
    squared canonical correlations of features and classes, so it is the same for every invertible map of the features.

    Args:
        features: Of all texts.
        classes: Numbers from 0 on.

    Returns:
        From 0 to c − 1 for c classes, and c − 1 whenever the texts are no more than the features; higher is better.
    """
    means, sizes = class_means(features.vectors, classes, int(classes.max()) + 1)
    return float(sizes @ np.sum(means**2, axis=1))


def shrunk_h_score(features: CentredFeatures, classes: Int64[Ids, " texts"]) -> float:
    """``(1 − a) trace(Σ_a⁻¹ B)`` with a covariance that is shrunk (Ibrahim et al. 2022, arXiv 2110.06893).

    ``Σ_a = (1 − a) Σ + a (trace Σ / d) I``, with the a of :func:`~ntps.theory.rivals.ledoit_wolf`.

    Args:
        features: Of all texts.
        classes: Numbers from 0 on.

    Returns:
        From 0 to c − 1 for c classes; higher is better. The same for rotated and scaled features.
    """
    kept, eigenvalues = 1.0 - features.shrinkage, features.eigenvalues
    means, sizes = class_means(features.vectors, classes, int(classes.max()) + 1)
    shrunk = kept * eigenvalues + (1.0 - kept) * np.sum(eigenvalues) / features.width
    return float(sizes @ (means**2 @ (kept * eigenvalues / shrunk)))
