"""The ridge of pooled texts and tangent features together: LoRA in its linear regime, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from ntps import theory
from ntps.theory import LinearProbe, Standardization
from ntps.validation.judged import Array
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import Pooled, RidgeFit, fit_ridge

GAMMA = 10.0
"""What the kernel of tangent features counts beside that of pooled texts, each with a mean diagonal of about 1.
Anything between 1 and infinity comes to nearly the same."""

Tangents = Float32[NDArray[np.float32], "texts width"]
"""Derivatives of each pooled text by the weights of LoRA."""


@dataclass(frozen=True)
class TangentFit(RidgeFit):
    """The ridge of both, with the penalty whose loss on texts left out is least.

    Attributes:
        standardization: Of the pooled texts.
        probe: Of standardized pooled texts and tangent features of unit length, side by side.
    """

    standardization: Standardization
    probe: LinearProbe

    def predict(self, pooled: Pooled, tangents: Tangents) -> Float64[Array, "texts outputs"]:
        """Predictions for texts.

        Args:
            pooled: Their pooled states of the last layer.
            tangents: Their tangent features.
        """
        return self.probe.predict(_side_by_side(self.standardization, pooled, tangents))


def fit_tangents(pooled: Pooled, tangents: Tangents, labels: Labels, resolution: float) -> TangentFit:
    """Fits the ridge whose kernel is that of standardized pooled texts plus :data:`GAMMA` times that of the tangents.

    The first is scaled to unit mean diagonal, the second to unit diagonal: a text whose state moves easily says no
    more than another.

    Args:
        pooled: Pooled states of the last layer.
        tangents: Tangent features.
        labels: The labels.
        resolution: Relative rounding of the hidden states that were pooled.
    """
    standardization = theory.standardize(pooled, resolution)
    features = _side_by_side(standardization, pooled, tangents)
    mean = features.mean(axis=0)
    features -= mean
    decomposition = theory.decompose_features(features)
    fit = fit_ridge(decomposition, labels)
    weights = features.T @ decomposition.duals(labels.targets, fit.left_out.penalty)
    probe = LinearProbe(weights, labels.targets.mean(axis=0) - mean @ weights)
    return TangentFit(**vars(fit), standardization=standardization, probe=probe)


def _side_by_side(
    standardization: Standardization, pooled: Pooled, tangents: Tangents
) -> Float64[Array, "texts features"]:
    states = standardization.apply(pooled) / np.sqrt(max(standardization.varying, 1))
    lengths = np.linalg.norm(tangents.astype(np.float64), axis=1, keepdims=True)
    # A text that no weight moves stands where the others are on average.
    units = np.divide(tangents, lengths, out=np.zeros(tangents.shape), where=lengths > 0)
    return np.concatenate((states, np.sqrt(GAMMA) * units), axis=1)
