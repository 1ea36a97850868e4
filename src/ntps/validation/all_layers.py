"""One ridge probe of all layers together: nothing has to be chosen then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float64

from ntps import theory
from ntps.theory import LayersProbe, LinearProbe
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


def fit_all_layers(
    read: Callable[[int], Float64[Array, "texts dims"]], fits: Mapping[int, LayerFit], labels: Labels
) -> AllLayersFit:
    """Fits one probe to the standardized pooled texts of every layer, each layer weighing the same.

    In the space of texts; of more than :data:`~ntps.theory.KERNEL_TEXTS` texts, a seeded sample spans it.

    Args:
        read: Standardized pooled texts of a layer; one layer is held at a time.
        fits: The probes of single layers.
        labels: Labels of the texts.
    """
    count, layers = len(fits), sorted(fits)
    sampled = len(labels) > theory.KERNEL_TEXTS
    sample: Ids | None = seeded_sample(len(labels), theory.LANDMARKS) if sampled else None
    kernel = theory.mean_kernel((read(layer) for layer in layers), count, sample)
    missed = 0.0
    if sample is None:
        decomposition = theory.decompose_kernel(kernel)
        fit = fit_ridge(decomposition, labels)
        duals = decomposition.duals(labels.targets, fit.left_out.penalty)
    else:
        nystrom = theory.sampled_kernel(kernel, sample)
        del kernel
        decomposition = theory.decompose_features(nystrom.features)
        fit = fit_ridge(decomposition, labels)
        duals = nystrom.sample_duals(decomposition.duals(labels.targets, fit.left_out.penalty))
        missed = nystrom.missed
    weights = []
    for layer in layers:
        features = read(layer) if sample is None else read(layer)[sample]
        weights.append(theory.kernel_weights(fits[layer].standardization, features, duals, count))
    probe = theory.layers_probe([fits[layer].standardization for layer in layers], weights, labels.targets)
    return AllLayersFit(**vars(fit), layers=tuple(layers), probe=probe, missed=missed)
