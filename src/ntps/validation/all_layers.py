"""One ridge probe of all layers together: nothing has to be chosen then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float64

from ntps import theory
from ntps.theory import LayersProbe, LinearProbe, RidgeDecomposition, SampledKernel
from ntps.validation.judged import Array
from ntps.validation.labels import Ids, Labels, seeded_sample
from ntps.validation.layer_fit import LayerFit, RidgeFit, fit_ridge


@dataclass(frozen=True)
class AllLayersFit(RidgeFit):
    """The probe of all layers together.

    Attributes:
        layers: The layers, ascending.
        probe: The fit to all texts, for pooled texts of every layer as they are.
        missed: Share of the kernel's trace that its sample lacks; 0 where no sample stands for it.
    """

    layers: tuple[int, ...]
    probe: LayersProbe
    missed: float = 0.0

    @property
    def parts(self) -> dict[int, LinearProbe]:
        """What each layer adds to the prediction; the first one brings the intercept."""
        return dict(zip(self.layers, self.probe.parts, strict=True))


@dataclass(frozen=True)
class LayersKernel:
    """The mean kernel of some layers, decomposed in the space of texts.

    Attributes:
        decomposition: Of the kernel, or of the features that stand for it.
        sample: The texts that span it; None for all.
        nystrom: Those features, where there is a sample.
    """

    decomposition: RidgeDecomposition
    sample: Ids | None = None
    nystrom: SampledKernel | None = None

    def duals(self, targets: Float64[Array, "texts outputs"], penalty: float) -> Float64[Array, "_ outputs"]:
        """Those of the texts that span it."""
        duals = self.decomposition.duals(targets, penalty)
        return duals if self.nystrom is None else self.nystrom.sample_duals(duals)


Read = Callable[[int], Float64[Array, "texts dims"]]
"""Standardized pooled texts of a layer."""


def decompose_layers(read: Read, layers: Sequence[int], texts: int) -> LayersKernel:
    """Decomposes the mean kernel; of more than :data:`~ntps.theory.KERNEL_TEXTS` texts, a seeded sample spans it.

    Args:
        read: Standardized pooled texts of a layer; one layer is held at a time.
        layers: The layers.
        texts: How many texts there are.
    """
    sampled = texts > theory.KERNEL_TEXTS
    sample: Ids | None = seeded_sample(texts, theory.LANDMARKS) if sampled else None
    kernel = theory.mean_kernel((read(layer) for layer in layers), len(layers), sample)
    if sample is None:
        return LayersKernel(theory.decompose_kernel(kernel))
    nystrom = theory.sampled_kernel(kernel, sample)
    del kernel
    return LayersKernel(theory.decompose_features(nystrom.features), sample, nystrom)


def fit_all_layers(read: Read, fits: Mapping[int, LayerFit], labels: Labels) -> AllLayersFit:
    """Fits one probe to the standardized pooled texts of every layer, each layer weighing the same.

    Args:
        read: Standardized pooled texts of a layer; one layer is held at a time.
        fits: The probes of single layers.
        labels: Labels of the texts.
    """
    layers = sorted(fits)
    kernel = decompose_layers(read, layers, len(labels))
    fit = fit_ridge(kernel.decomposition, labels)
    duals, sample = kernel.duals(labels.targets, fit.left_out.penalty), kernel.sample
    missed = 0.0 if kernel.nystrom is None else kernel.nystrom.missed
    del kernel
    weights = []
    for layer in layers:
        features = read(layer) if sample is None else read(layer)[sample]
        weights.append(theory.kernel_weights(fits[layer].standardization, features, duals, len(fits)))
    probe = theory.layers_probe([fits[layer].standardization for layer in layers], weights, labels.targets)
    return AllLayersFit(**vars(fit), layers=tuple(layers), probe=probe, missed=missed)
