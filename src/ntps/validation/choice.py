"""Which layer: the one with the highest figure on texts left out, and which others cannot be told from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ntps import theory
from ntps.validation.judged import CRITERION, Estimate, Judged, bounded, criterion, estimates
from ntps.validation.labels import Labels


@dataclass(frozen=True)
class LayerChoice:
    """The best layer.

    Attributes:
        layer: Its index.
        estimate: What a layer that is chosen like this reaches on new texts: the figure of the best of several layers
            flatters, because it was chosen for it. That of a single layer is its own.
        equals: Layers that cannot be told from it at 95 %, itself among them.
    """

    layer: int
    estimate: Estimate
    equals: tuple[int, ...]


def choose_layer(layers: Sequence[int], judged: Sequence[Judged], labels: Labels) -> LayerChoice | None:
    """Chooses by the figure of the kind of labels; None where no layer has one.

    Args:
        layers: Indices of the layers.
        judged: Their probes.
        labels: The labels of the texts.
    """
    try:
        found = theory.choose(criterion(judged, labels), labels.draws)
    except ValueError:
        return None
    figure = CRITERION[labels.kind]
    if len(layers) == 1:
        estimate = estimates(judged[0], labels, refitted=True)[figure]
    else:
        estimate = bounded(figure, found.value, found.low, found.high, labels.units)
    equals = tuple(layer for layer, equal in zip(layers, found.equals, strict=True) if equal)
    return LayerChoice(layers[found.index], estimate, equals)
