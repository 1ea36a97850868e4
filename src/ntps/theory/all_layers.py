"""One ridge over all layers: the mean of their kernels, each scaled to unit mean diagonal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ntps.theory.factor import Array, rounding
from ntps.theory.ridge import Ids, Standardization, unstandardized

KERNEL_TEXTS = 4000
"""Most texts whose kernel is decomposed; of more, a sample stands for all (:func:`sampled_kernel`)."""
LANDMARKS = 2048
"""How many texts such a sample has."""


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
class SampledKernel:
    """Nyström's approximation ``K ≈ F Fᵀ``, ``F = K_nm K_mm^(-1/2)``, from the kernel's columns of m sampled texts.

    A ridge on F is the ridge on K whose function is confined to ``f(x) = Σ_j k(x, x_j) b_j`` over the sample; it is
    that of K where the sample's states span those of all texts. It holds where the sample has several times as many
    texts as the ridge has degrees of freedom. Leading principal components of the layers do not: what all layers
    together know better than one stands in directions that are small in each.

    Attributes:
        features: ``(n, r)`` F, centred.
        inverse_root: ``(m, r)`` one of the square roots of ``K_mm⁻¹``.
        missed: Share of K's trace that ``F Fᵀ`` lacks.
    """

    features: Array
    inverse_root: Array
    missed: float

    def sample_duals(self, duals: Array) -> Array:
        """``(m, c)`` b, for duals ``(n, c)`` of the ridge on F; takes the place of duals of all texts."""
        return np.asarray(self.inverse_root @ (self.features.T @ duals))


def mean_kernel(layers: Iterable[Array], count: int, sample: Ids | None = None) -> Array:
    """``K = Σ_l Z_l Z_lᵀ / (L p_l)``, where p_l features vary, so that each layer's mean diagonal is 1.

    A layer of which none varies adds nothing.

    Args:
        layers: Standardized features ``(n, d)`` of one layer after the other; one is held at a time.
        count: L, how many there are.
        sample: ``(m,)`` texts whose columns are wanted; all by default.

    Returns:
        ``(n, n)``, or ``(n, m)``.
    """
    kernel: Array | None = None
    for features in layers:
        squares = float(np.vdot(features, features))
        weight = len(features) / (count * squares) if squares else 0.0
        part = features @ (features if sample is None else features[sample]).T
        part *= weight
        kernel = part if kernel is None else np.add(kernel, part, out=kernel)
    assert kernel is not None, "no layers"
    return kernel


def sampled_kernel(columns: Array, sample: Ids) -> SampledKernel:
    """Features whose inner products are about the kernel.

    Args:
        columns: ``(n, m)`` :func:`mean_kernel` of the sample.
        sample: ``(m,)`` its texts, drawn at random without replacement.
    """
    values, vectors = np.linalg.eigh(columns[sample])
    kept = values > rounding(len(values)) * max(float(values[-1]), 0.0)
    inverse_root = vectors[:, kept] / np.sqrt(values[kept])
    features = columns @ inverse_root
    # The kernel's mean diagonal is 1, or 0 where no layer varies.
    missed = 1.0 - float(np.vdot(features, features)) / len(columns) if kept.any() else 0.0
    return SampledKernel(features, inverse_root, max(missed, 0.0))


def kernel_weights(standardization: Standardization, features: Array, duals: Array, count: int) -> Array:
    """Weights ``(d, c)`` of one layer's standardized features, from the ridge on :func:`mean_kernel`.

    Args:
        standardization: The layer's.
        features: ``(n, d)`` standardized, or ``(m, d)`` those of the sample.
        duals: ``(n, c)``, or ``(m, c)`` :meth:`SampledKernel.sample_duals`.
        count: L, the number of layers.
    """
    return np.asarray(features.T @ duals / (count * max(standardization.varying, 1)))


def layers_probe(standardizations: Sequence[Standardization], weights: Sequence[Array], targets: Array) -> LayersProbe:
    """The probe on features before standardization.

    Args:
        standardizations: Of each layer.
        weights: For each layer ``(d, c)``, :func:`kernel_weights`.
        targets: ``(n, c)`` of the fit.
    """
    layers = list(zip(standardizations, weights, strict=True))
    probes = [unstandardized(each, part, np.zeros(part.shape[1])) for each, part in layers]
    # The kernel of a layer is divided by its p, and so is what the squares of its weights cost.
    norms = np.array([each.varying * np.sum(part**2) for each, part in layers])
    return LayersProbe(
        coefficients=tuple(probe.coefficients for probe in probes),
        intercept=targets.mean(axis=0) + np.sum([probe.intercept for probe in probes], axis=0),
        shares=norms / (norms.sum() or 1.0),
    )
