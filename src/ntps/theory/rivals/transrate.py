"""TransRate: how much shorter the features of a class can be coded than those of all texts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array
from ntps.theory.ridge import Ids
from ntps.theory.rivals.centred import CentredFeatures

DISTORTION = 1e-4
"""ε of the authors."""


def transrate(features: CentredFeatures, classes: Int64[Ids, " texts"]) -> float:
    """``R(Z) − Σ_c (n_c / n) R(Z_c)`` (Huang et al. 2022, arXiv 2106.09362).

    ``R(Z) = ½ log det(I + Zᵀ Z / (n ε))`` is the rate that codes n texts up to a distortion ``ε = 10⁻⁴``, in nats, and
    Z_c are the rows of a class, from the mean of all texts. The authors' listing weighs every class the same; that
    makes no difference for classes of one size.

    Args:
        features: Of all texts.
        classes: Numbers from 0 on.

    Returns:
        From 0 on, without an upper limit; higher is better. It grows with the scale of the features, so it only
        compares layers and models whose states are of one size.
    """
    rows = features.rows
    found = _rate(rows)
    for number in np.unique(classes):
        own = rows[classes == number]
        found -= len(own) / len(rows) * _rate(own)
    return found


def _rate(rows: Float64[Array, "texts rank"]) -> float:
    texts, rank = rows.shape
    gram = rows.T @ rows if rank < texts else rows @ rows.T
    return 0.5 * float(np.linalg.slogdet(np.eye(len(gram)) + gram / (texts * DISTORTION))[1])
