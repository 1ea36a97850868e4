"""All probes of a run: one of each layer, and one of all layers together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from threadpoolctl import threadpool_limits

from ntps import theory
from ntps.theory import RidgeDecomposition
from ntps.validation.all_layers import AllLayersFit, decompose_layers, fit_all_layers
from ntps.validation.area import Area, layer_area
from ntps.validation.choice import LayerChoice, choose_layer
from ntps.validation.held_out import HeldOut
from ntps.validation.judged import Array, Estimate, estimates
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import LayerFit, Pooled, fit_layer
from ntps.validation.left_out_texts import LeftOutTexts
from ntps.validation.rivals import rival_scores

Read = Callable[[int], Pooled]
"""Pooled texts of a layer."""


@dataclass(frozen=True)
class CrossValidation:
    """Pooled texts of every layer with their labels, and the probes of them.

    Attributes:
        read: Pooled texts of a layer.
        labels: Their labels.
        fits: The probe of each layer.
        together: The probe of all layers.
    """

    read: Read
    labels: Labels
    fits: Mapping[int, LayerFit]
    together: AllLayersFit

    @property
    def penalties(self) -> dict[int, float]:
        """The penalty of each layer's probe per text."""
        return {layer: fit.penalty_per_text for layer, fit in self.fits.items()}

    @property
    def choice(self) -> LayerChoice | None:
        """The best layer."""
        return choose_layer(list(self.fits), [fit.judged for fit in self.fits.values()], self.labels)

    @property
    def left_out(self) -> LeftOutTexts:
        """How right every probe is, text by text."""
        judged = tuple(fit.judged for fit in self.fits.values())
        return LeftOutTexts(self.labels, tuple(self.fits), judged, self.together.judged)

    def estimates(self) -> tuple[dict[int, dict[str, Estimate]], dict[str, Estimate]]:
        """Every figure of the probe of each layer, and of that of all layers."""
        found = {layer: estimates(fit.judged, self.labels, refitted=True) for layer, fit in self.fits.items()}
        return found, estimates(self.together.judged, self.labels, refitted=True)

    def areas(
        self, directions: Mapping[int, tuple[Float64[Array, "dims directions"], Float64[Array, " directions"]]]
    ) -> dict[int, Area]:
        """What next-token directions keep in each layer.

        Args:
            directions: V of each layer, and the share of the objective that its first k columns carry.
        """

        def of(layer: int) -> Area:
            return layer_area(self._features(layer), self.fits[layer], self.labels, *directions[layer])

        with _layers_at_once() as pool:
            return dict(zip(directions, pool.map(of, directions), strict=True))

    def rivals(self) -> dict[int, tuple[dict[str, float | None], tuple[str, ...]]]:
        """The scores of others for each layer; see :func:`~ntps.validation.rivals.rival_scores`."""

        def of(layer: int) -> tuple[dict[str, float | None], tuple[str, ...]]:
            return rival_scores(self.read(layer), self.fits[layer].standardization, self.labels)

        # Mixtures that did not converge in a hundred steps count as they are, as their authors' do.
        with _layers_at_once() as pool, warnings.catch_warnings(action="ignore"):
            return dict(zip(self.fits, pool.map(of, self.fits), strict=True))

    def predict(self, pooled: Mapping[int, Pooled], labels: Labels) -> HeldOut:
        """What the probes predict for pooled texts of every layer.

        Args:
            pooled: Pooled texts by layer.
            labels: Their labels.
        """
        probes = {layer: fit.probe for layer, fit in self.fits.items()}
        held_out = HeldOut(labels, probes, self.together.parts)
        for layer in probes:
            held_out.add(layer, np.arange(len(labels)), np.asarray(pooled[layer], dtype=np.float64))
        return held_out

    def decomposition(self, layer: int | None) -> RidgeDecomposition:
        """Of the features of one layer, or of all together; computed anew."""
        if layer is not None:
            return theory.decompose_features(self._features(layer))
        return decompose_layers(self._features, self.together.layers, len(self.labels)).decomposition

    def _features(self, layer: int) -> Float64[Array, "texts dims"]:
        return self.fits[layer].standardization.apply(self.read(layer))


def cross_validate(
    read: Read,
    layers: Sequence[int],
    labels: Labels,
    resolution: float,
    advance: Callable[[int], None] = lambda _layers: None,
) -> CrossValidation | None:
    """Fits every probe; None where nothing can be left out, because fewer than two texts stand for themselves.

    Args:
        read: Pooled texts of a layer; of as many layers as there are threads, they are held at once.
        layers: The layers, ascending.
        labels: Labels of the texts.
        resolution: Relative rounding of the pooled texts.
        advance: Told of each layer that is done.
    """
    if labels.units < 2:
        return None
    # Before threads ask for them at once.
    _ = labels.folds, labels.parts

    def fit(layer: int) -> LayerFit:
        found = fit_layer(read(layer), labels, resolution)
        advance(1)
        return found

    with _layers_at_once() as pool:
        fits = dict(zip(layers, pool.map(fit, layers), strict=True))
    together = fit_all_layers(lambda layer: fits[layer].standardization.apply(read(layer)), fits, labels)
    return CrossValidation(read, labels, fits, together)


@contextmanager
def _layers_at_once() -> Iterator[ThreadPoolExecutor]:
    """One thread a layer, and none within: results then do not depend on how many there are."""
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield pool
