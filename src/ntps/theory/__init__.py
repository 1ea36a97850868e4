"""Closed forms of the Next Token Perception Score: arrays in, arrays out, no models and no files.

Means over texts (the symbols of arXiv 2505.17169) come in in float64; d is the width of the hidden states, c the width
of the targets. Ridge regression, its folds and its intervals take the texts themselves.
"""

from ntps.theory.alignment import alignment, cumulative_explained, ordered_basis
from ntps.theory.all_layers import (
    KERNEL_TEXTS,
    LANDMARKS,
    LayersProbe,
    SampledKernel,
    kernel_weights,
    layers_probe,
    mean_kernel,
    sampled_kernel,
)
from ntps.theory.bootstrap import (
    Choice,
    Intervals,
    balanced_accuracy,
    certain_share,
    choose,
    draw_texts,
    intervals,
    mean_average_precision,
    ratio,
)
from ntps.theory.bounds import Theorem2Constants, theorem2_constants
from ntps.theory.factor import DEAD, EPS, Factor, carries, factorize, rounding
from ntps.theory.folds import FOLDS, joined_groups, number_strata, set_strata, stratified_folds
from ntps.theory.heads import next_token_head, next_token_loss, perception_head, perception_loss
from ntps.theory.left_out import (
    LEVELS,
    PENALTIES,
    LeftOut,
    ShareGrid,
    area_cv,
    area_gain,
    choose_penalty,
    random_basis,
    share_grid,
    subspace_basis,
)
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
from ntps.theory.ridge import (
    RidgeDecomposition,
    Standardization,
    decompose_features,
    decompose_kernel,
    ridge_probe,
    standardize,
)
from ntps.theory.subspaces import (
    Subspace,
    autoregressive_subspace,
    perception_subspace,
    ridge_perception_subspace,
    tied,
)

__all__ = [
    "DEAD",
    "EPS",
    "FOLDS",
    "FRACTIONS",
    "KERNEL_TEXTS",
    "LANDMARKS",
    "LEVELS",
    "PENALTIES",
    "TEXTS_PER_DIMENSION",
    "Choice",
    "Factor",
    "Intervals",
    "LayersProbe",
    "LeftOut",
    "LinearProbe",
    "PredictionSums",
    "RidgeDecomposition",
    "SampledKernel",
    "ShareGrid",
    "Standardization",
    "Subspace",
    "Theorem2Constants",
    "adjusted_r2",
    "alignment",
    "area_cv",
    "area_gain",
    "autoregressive_subspace",
    "balanced_accuracy",
    "carries",
    "certain_share",
    "choose",
    "choose_penalty",
    "cumulative_explained",
    "decompose_features",
    "decompose_kernel",
    "draw_texts",
    "factorize",
    "few_texts",
    "fit_probe",
    "intervals",
    "joined_groups",
    "kernel_weights",
    "layers_probe",
    "mean_average_precision",
    "mean_kernel",
    "next_token_head",
    "next_token_loss",
    "number_strata",
    "ordered_basis",
    "perception_head",
    "perception_loss",
    "perception_subspace",
    "random_basis",
    "ratio",
    "released_subspaces",
    "ridge_perception_subspace",
    "ridge_probe",
    "rounding",
    "sampled_kernel",
    "set_strata",
    "share_grid",
    "standardize",
    "stratified_folds",
    "subspace_basis",
    "theorem2_constants",
    "tied",
    "variance_explained",
]
