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
class TangentRidge:
    """Weights of the ridge of both.

    Attributes:
        states: For pooled texts as they are, with the intercept.
        coefficients: For tangent features of unit length.
    """

    states: LinearProbe
    coefficients: Float64[Array, "width outputs"]

    def predict(self, pooled: Pooled, tangents: Tangents) -> Float64[Array, "texts outputs"]:
        """Predictions for texts.

        Args:
            pooled: Their pooled states of the last layer.
            tangents: Their tangent features.
        """
        states = self.states.predict(np.asarray(pooled, dtype=np.float64))
        return np.asarray(states + _of_unit_length(tangents) @ self.coefficients)


@dataclass(frozen=True)
class TangentFit(RidgeFit):
    """The ridge of both, with the penalty whose loss on texts left out is least.

    Attributes:
        standardization: Of the pooled texts.
        ridge: The fit to all texts.
    """

    standardization: Standardization
    ridge: TangentRidge

    def predict(self, pooled: Pooled, tangents: Tangents) -> Float64[Array, "texts outputs"]:
        """Predictions for texts; as for :meth:`TangentRidge.predict`."""
        return self.ridge.predict(pooled, tangents)


def fit_tangents(
    pooled: Pooled, tangents: Tangents, labels: Labels, resolution: float, gamma: float = GAMMA
) -> TangentFit:
    """Fits the ridge whose kernel is that of standardized pooled texts plus ``gamma`` times that of the tangents.

    The first is scaled to unit mean diagonal, the second to unit diagonal: a text whose state moves easily says no
    more than another.

    Args:
        pooled: Pooled states of the last layer.
        tangents: Tangent features.
        labels: The labels.
        resolution: Relative rounding of the hidden states that were pooled.
        gamma: What the kernel of tangent features counts.
    """
    standardization = theory.standardize(pooled, resolution)
    # What features are divided by, weights are too.
    scales = np.repeat((max(standardization.varying, 1) ** -0.5, gamma**0.5), (pooled.shape[1], tangents.shape[1]))
    features = np.concatenate((standardization.apply(pooled), _of_unit_length(tangents)), axis=1)
    features *= scales
    mean = features.mean(axis=0)
    features -= mean
    decomposition = theory.decompose_features(features)
    fit = fit_ridge(decomposition, labels)
    weights = features.T @ decomposition.duals(labels.targets, fit.left_out.penalty)
    intercept = labels.targets.mean(axis=0) - mean @ weights
    of_states, of_tangents = np.split(scales[:, None] * weights, [pooled.shape[1]])
    ridge = TangentRidge(theory.unstandardized(standardization, of_states, intercept), of_tangents)
    return TangentFit(**vars(fit), standardization=standardization, ridge=ridge)


def _of_unit_length(tangents: Tangents) -> Float64[Array, "texts width"]:
    """Tangent features over their norms; zeros where no weight moves a text."""
    lengths = np.linalg.norm(tangents.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(np.divide(tangents, lengths, out=np.zeros(tangents.shape), where=lengths > 0))
