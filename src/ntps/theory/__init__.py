"""Closed forms of the Next Token Perception Score: arrays in, arrays out, no models and no files.

Every function takes means over texts (the symbols of arXiv 2505.17169) in float64; d is the width of the hidden
states, c the width of the targets.
"""

from ntps.theory.alignment import alignment, cumulative_explained, ordered_basis
from ntps.theory.bounds import Theorem2Constants, theorem2_constants
from ntps.theory.factor import DEAD, EPS, Factor, carries, factorize, rounding
from ntps.theory.heads import next_token_head, next_token_loss, perception_head, perception_loss
from ntps.theory.probe import (
    TEXTS_PER_DIMENSION,
    LinearProbe,
    PredictionSums,
    adjusted_r2,
    few_texts,
    fit_probe,
    variance_explained,
)
from ntps.theory.released import FRACTIONS, released_subspaces
from ntps.theory.subspaces import Subspace, autoregressive_subspace, perception_subspace, tied

__all__ = [
    "DEAD",
    "EPS",
    "FRACTIONS",
    "TEXTS_PER_DIMENSION",
    "Factor",
    "LinearProbe",
    "PredictionSums",
    "Subspace",
    "Theorem2Constants",
    "adjusted_r2",
    "alignment",
    "autoregressive_subspace",
    "carries",
    "cumulative_explained",
    "factorize",
    "few_texts",
    "fit_probe",
    "next_token_head",
    "next_token_loss",
    "ordered_basis",
    "perception_head",
    "perception_loss",
    "perception_subspace",
    "released_subspaces",
    "rounding",
    "theorem2_constants",
    "tied",
    "variance_explained",
]
