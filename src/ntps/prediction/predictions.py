"""What was predicted for some texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.tasks.task import TargetKind
from ntps.validation.probabilities import probabilities

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Predictions for some texts.

    Attributes:
        kind: What is predicted.
        label_names: Names of the classes, of the labels of sets, or of the numbers; length c.
        outputs: Logits, a label of a set being predicted from 0 on; for regression the numbers themselves.
        truncated: How many texts were longer than the limit and lost their end.
    """

    kind: TargetKind
    label_names: tuple[str, ...]
    outputs: Float64[Array, "texts outputs"]
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def labels(self) -> NDArray[Any]:
        """``(n,)`` names of classes; ``(n, c)`` truth values of the labels of sets; ``(n,)`` or ``(n, c)`` numbers."""
        if self.kind == "classes":
            return np.asarray(np.array(self.label_names)[self.outputs.argmax(axis=1)])
        if self.kind == "multilabel":
            return np.asarray(self.outputs >= 0)
        return self.outputs[:, 0] if self.outputs.shape[1] == 1 else self.outputs

    @property
    def probabilities(self) -> Float64[Array, "texts outputs"]:
        """Of every class, or of every label.

        Raises:
            InputError: Numbers are predicted.
        """
        if self.kind == "regression":
            raise InputError("numbers are predicted, which have no probabilities: leave them out")
        return probabilities(self.outputs, self.kind)
