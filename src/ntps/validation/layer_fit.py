"""The ridge probe of one layer, and what it predicts for texts left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from ntps import theory
from ntps.theory import LeftOut, LinearProbe, RidgeDecomposition, Standardization
from ntps.validation.judged import Judged, judge
from ntps.validation.labels import Labels
from ntps.validation.probabilities import fit_inverse_temperature

Pooled = Float32[NDArray[np.float32], "texts dims"] | Float64[NDArray[np.float64], "texts dims"]
"""Pooled texts of one layer."""


@dataclass(frozen=True)
class RidgeFit:
    """A ridge probe with the penalty whose loss on texts left out is least.

    Attributes:
        left_out: The penalty, and the loss of each text left out.
        judged: What folds left out whole say.
        texts: How many it was fitted to.
        inverse_temperature: What makes probabilities of its predictions, from the same folds; None for numbers.
    """

    left_out: LeftOut
    judged: Judged
    texts: int
    inverse_temperature: float | None


@dataclass(frozen=True)
class LayerFit(RidgeFit):
    """The same for one layer.

    Attributes:
        standardization: Of the layer's pooled texts.
        probe: The fit to all texts, for pooled texts as they are.
    """

    standardization: Standardization
    probe: LinearProbe

    @property
    def penalty_per_text(self) -> float:
        """What the penalty adds to the covariance, in units of each dimension's variance."""
        return self.left_out.penalty / self.texts


def fit_layer(pooled: Pooled, labels: Labels, resolution: float) -> LayerFit:
    """Fits the probe of one layer.

    Args:
        pooled: Pooled texts.
        labels: Their labels.
        resolution: Relative rounding of the hidden states that were pooled.
    """
    standardization = theory.standardize(pooled, resolution)
    features = standardization.apply(pooled)
    decomposition = theory.decompose_features(features)
    fit = fit_ridge(decomposition, labels)
    penalty = fit.left_out.penalty
    probe = theory.ridge_probe(standardization, features, decomposition, labels.targets, penalty)
    return LayerFit(**vars(fit), standardization=standardization, probe=probe)


def fit_ridge(decomposition: RidgeDecomposition, labels: Labels) -> RidgeFit:
    """Chooses the penalty by the loss of each text or group left out, and judges it on folds left out whole.

    Accuracy by leaving out single texts would be 0 where there is no signal: the text left out makes its own class
    rarer.
    """
    left_out = theory.choose_penalty(decomposition, labels.targets, labels.parts)
    predictions = [decomposition.left_out(labels.targets, left_out.penalty, folds) for folds in labels.folds]
    return RidgeFit(
        left_out,
        judge(predictions, labels, left_out.loss, left_out.baseline),
        len(labels),
        fit_inverse_temperature(predictions, labels),
    )
