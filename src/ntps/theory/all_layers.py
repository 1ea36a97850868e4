"""One ridge over all layers: the mean of their kernels, each scaled to unit mean diagonal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ntps.theory.factor import Array
from ntps.theory.probe import LinearProbe
from ntps.theory.ridge import Standardization, unstandardized

TEXTS = 4000
"""Most texts whose kernel is decomposed; beyond, leading features are, whose number does not grow with the texts."""
FEATURES = 2048
"""Leading features of all layers together."""


@dataclass(frozen=True)
class LayersProbe:
    """``ŷ = Σ_l coefficients_lᵀ x̄_l + intercept``, for pooled texts of every layer.

    Attributes:
        coefficients: For each layer ``(d, c)``, of the features before standardization.
        intercept: ``(c,)``.
        shares: ``(L,)`` what each layer holds of the squared norm that the penalty weighs: not negative, and 1 in sum,
            or 0 where the probe predicts the mean.
    """

    coefficients: tuple[Array, ...]
    intercept: Array
    shares: Array

    def predict(self, layers: Iterable[Array]) -> Array:
        """Predictions ``(n, c)`` for pooled texts ``(n, d)`` of each layer."""
        seen = zip(layers, self.coefficients, strict=True)
        return np.asarray(self.intercept + sum(pooled @ coefficients for pooled, coefficients in seen))


@dataclass(frozen=True)
class LeadingFeatures:
    """The leading principal components of every layer, whose inner products are about the mean kernel.

    They leave out a kernel whose norm is at most ``dropped``: fitted values and what they are made of are off by at
    most ``dropped / α``, relatively. Nothing is left out, and the kernel is exact, where every layer has as few
    dimensions.

    Attributes:
        features: ``(n, m)`` F, centred, those of the first layer first.
        axes: For each layer ``(d, m_l)``: its part of F is Z_l times these.
        dropped: Bound of the norm of the kernel that is missing.
    """

    features: Array
    axes: tuple[Array, ...]
    dropped: float

    def weights(self, duals: Array) -> list[Array]:
        """For each layer, weights ``(d, c)`` of its standardized features.

        Args:
            duals: ``(n, c)`` of the ridge on F (:meth:`~ntps.theory.ridge.RidgeDecomposition.duals`).
        """
        ends = np.cumsum([axes.shape[1] for axes in self.axes])
        parts = np.split(self.features.T @ duals, ends[:-1])
        return [axes @ part for axes, part in zip(self.axes, parts, strict=True)]


def mean_kernel(layers: Iterable[Array], count: int) -> Array:
    """``K = Σ_l Z_l Z_lᵀ / (L p_l)`` with p_l the mean of ``‖z‖²`` over texts; a layer that does not vary adds nothing.

    Args:
        layers: Standardized features ``(n, d)`` of one layer after the other; one is held at a time.
        count: L, how many there are.
    """
    kernels = (features @ features.T * _weight(features, count) for features in layers)
    total = next(kernels)
    for kernel in kernels:
        total += kernel
    return total


def kernel_weights(features: Array, duals: Array, count: int) -> Array:
    """Weights ``(d, c)`` of one layer's standardized features ``(n, d)``, from the ridge on :func:`mean_kernel`."""
    return np.asarray(features.T @ duals * _weight(features, count))


def leading_features(layers: Iterable[Array], count: int, most: int = FEATURES) -> LeadingFeatures:
    """Principal components of each layer, an equal number of them, with their part of the mean kernel.

    Args:
        layers: Standardized features ``(n, d)`` of one layer after the other; one is held at a time.
        count: L, how many there are.
        most: Largest number of components of all layers together, at least L.
    """
    parts, kept, dropped = [], [], 0.0
    for features in layers:
        weight = _weight(features, count)
        values, vectors = linalg.eigh(features.T @ features, driver="evd", overwrite_a=True, check_finite=False)
        leading = min(most // count, len(values))
        axes = np.sqrt(weight) * vectors[:, ::-1][:, :leading]
        parts.append(features @ axes)
        kept.append(axes)
        if leading < len(values):
            dropped += weight * max(float(values[-1 - leading]), 0.0)
    return LeadingFeatures(np.concatenate(parts, axis=1), tuple(kept), dropped)


def layers_probe(
    standardizations: Sequence[Standardization], weights: Sequence[Array], targets: Array
) -> LayersProbe:
    """The probe on features before standardization.

    Args:
        standardizations: Of each layer.
        weights: For each layer ``(d, c)``, of its standardized features.
        targets: ``(n, c)`` of the fit.
    """
    single: list[LinearProbe] = [
        unstandardized(standardization, part, np.zeros((1, targets.shape[1])))
        for standardization, part in zip(standardizations, weights, strict=True)
    ]
    # The kernel of a layer was divided by its p, the number of features that vary: so was what its weights cost.
    energy = np.array(
        [np.sum(part**2) * np.sum(each.scale > 0) for each, part in zip(standardizations, weights, strict=True)]
    )
    return LayersProbe(
        coefficients=tuple(probe.coefficients for probe in single),
        intercept=targets.mean(axis=0) + np.sum([probe.intercept for probe in single], axis=0),
        shares=energy / (energy.sum() or 1.0),
    )


def _weight(features: Array, count: int) -> float:
    """``1 / (L p)``, 0 for a layer that does not vary."""
    squares = float(np.vdot(features, features))
    return len(features) / (count * squares) if squares else 0.0
