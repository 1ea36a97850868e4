"""What probes predict for held-out texts, collected while the texts stream by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from ntps.theory import LinearProbe
from ntps.validation.judged import Array, Judged, judge_held_out
from ntps.validation.labels import Ids, Labels


class HeldOut:
    """Predictions of the probe of each layer, and of that of all layers together.

    Attributes:
        labels: The labels of the texts.
        predicted: By layer, predictions of its own probe; None stands for all layers together. Those of parts of the
            texts may be added up.
    """

    def __init__(self, labels: Labels, probes: Mapping[int, LinearProbe], together: Mapping[int, LinearProbe]) -> None:
        self.labels = labels
        self._probes, self._together = probes, together
        self.predicted = {key: np.zeros_like(labels.targets) for key in (*probes, None)}

    def add(self, layer: int, texts: Ids, pooled: Float64[Array, "batch dims"]) -> None:
        """Predicts from pooled texts of one layer."""
        self.predicted[layer][texts] = self._probes[layer].predict(pooled)
        self.predicted[None][texts] += self._together[layer].predict(pooled)

    def judged(self) -> dict[int | None, Judged]:
        """How right the predictions are, once every text was seen in every layer."""
        return {key: judge_held_out(predicted, self.labels) for key, predicted in self.predicted.items()}
