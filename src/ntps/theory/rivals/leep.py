"""LEEP of any soft assignment of texts, on which N-LEEP rests."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array
from ntps.theory.ridge import Ids


def leep(posteriors: Float64[Array, "texts parts"], classes: Int64[Ids, " texts"]) -> float:
    """``mean_i log Σ_v p(y_i | v) p(v | x_i)`` (Nguyen et al. 2020, arXiv 2002.12462).

    ``p(y | v)`` is the share of class y in what a part v holds. N-LEEP (Li et al. 2021, arXiv 2011.11200) takes the
    posteriors of a Gaussian mixture, fitted to principal components of the features, for ``p(v | x)``.

    Args:
        posteriors: ``p(v | x)``; each row sums to 1.
        classes: Numbers from 0 on.

    Returns:
        At most 0, in nats per text; higher is better.
    """
    joint = np.eye(int(classes.max()) + 1)[classes].T @ posteriors
    mass = joint.sum(axis=0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    return float(np.mean(np.log(np.einsum("iv,iv->i", posteriors, conditional[classes]))))
