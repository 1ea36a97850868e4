"""One ridge over all layers: the mean of their kernels, each scaled to unit mean diagonal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ntps.theory.factor import Array, rounding
from ntps.theory.probe import LinearProbe
from ntps.theory.ridge import Ids, Standardization, unstandardized

KERNEL_TEXTS = 4000
"""Most texts whose kernel is decomposed; of more, a sample stands for all (:func:`sampled_kernel`)."""
LANDMARKS = 2048
"""How many texts such a sample has."""


@dataclass(frozen=True)
class LayersProbe:
    """``ŷ = Σ_l coefficients_lᵀ x̄_l + intercept``, for pooled texts of every layer.

    Attributes:
        coefficients: For each layer, of the features before standardization.
        intercept: The constant.
        shares: What each layer holds of the squared norm that the penalty weighs: not negative, and 1 in sum,
            or 0 where the probe predicts the mean.
    """

    coefficients: tuple[Float64[Array, "_ outputs"], ...]
    intercept: Float64[Array, " outputs"]
    shares: Float64[Array, " layers"]

    @property
    def parts(self) -> tuple[LinearProbe, ...]:
        """What each layer adds to the prediction; the first one brings the intercept."""
        nothing = 0.0 * self.intercept
        intercepts = [self.intercept, *(nothing for _ in self.coefficients[1:])]
        return tuple(map(LinearProbe, self.coefficients, intercepts))

    def predict(self, layers: Iterable[Float64[Array, "texts _"]]) -> Float64[Array, "texts outputs"]:
        """Predictions for pooled texts of each layer."""
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
        features: F, centred.
        inverse_root: One of the square roots of ``K_mm⁻¹``.
        missed: Share of K's trace that ``F Fᵀ`` lacks.
    """

    features: Float64[Array, "texts rank"]
    inverse_root: Float64[Array, "sample rank"]
    missed: float

    def sample_duals(self, duals: Float64[Array, "texts outputs"]) -> Float64[Array, "sample outputs"]:
        """b, for duals of the ridge on F; takes the place of duals of all texts."""
        return np.asarray(self.inverse_root @ (self.features.T @ duals))


def mean_kernel(
    layers: Iterable[Float64[Array, "texts _"]], count: int, sample: Int64[Ids, " sample"] | None = None
) -> Float64[Array, "texts columns"]:
    """``K = Σ_l Z_l Z_lᵀ / (L p_l)``, where p_l features vary, so that each layer's mean diagonal is 1.

    A layer of which none varies adds nothing.

    Args:
        layers: Standardized features of one layer after the other; one is held at a time.
        count: L, how many there are.
        sample: Texts whose columns are wanted; all by default.
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


def sampled_kernel(columns: Float64[Array, "texts sample"], sample: Int64[Ids, " sample"]) -> SampledKernel:
    """Features whose inner products are about the kernel.

    Args:
        columns: :func:`mean_kernel` of the sample.
        sample: Its texts, drawn at random without replacement.
    """
    values, vectors = np.linalg.eigh(columns[sample])
    kept = values > rounding(len(values)) * max(float(values[-1]), 0.0)
    inverse_root = vectors[:, kept] / np.sqrt(values[kept])
    features = columns @ inverse_root
    # The kernel's mean diagonal is 1, or 0 where no layer varies.
    missed = 1.0 - float(np.vdot(features, features)) / len(columns) if kept.any() else 0.0
    return SampledKernel(features, inverse_root, max(missed, 0.0))


def kernel_weights(
    standardization: Standardization,
    features: Float64[Array, "texts dims"],
    duals: Float64[Array, "texts outputs"],
    count: int,
) -> Float64[Array, "dims outputs"]:
    """Weights of one layer's standardized features, from the ridge on :func:`mean_kernel`.

    Args:
        standardization: The layer's.
        features: Standardized, of all texts or of the sample.
        duals: Of all texts, or :meth:`SampledKernel.sample_duals`.
        count: L, the number of layers.
    """
    return np.asarray(features.T @ duals / (count * max(standardization.varying, 1)))


def layers_probe(
    standardizations: Sequence[Standardization],
    weights: Sequence[Float64[Array, "_ outputs"]],
    targets: Float64[Array, "texts outputs"],
) -> LayersProbe:
    """The probe on features before standardization.

    Args:
        standardizations: Of each layer.
        weights: For each layer :func:`kernel_weights`.
        targets: Those of the fit.
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
