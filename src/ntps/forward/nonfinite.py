"""Looks whether hidden states are finite, without making a GPU wait for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from ntps.errors import NumericalError
from ntps.forward.batch_plan import Batch
from ntps.moments.accumulator import NonFiniteStates, require_finite


@dataclass(frozen=True)
class _Sight:
    layer: int
    texts: Batch
    finite: Bool[Tensor, " batch"]
    dtype: torch.dtype


@dataclass
class NonFiniteMonitor:
    """Stops a pass whose states are not finite.

    On the processor the answer is there at once. Elsewhere it is asked for when the next batch is on its way, so that
    there is always work to do in the meantime; sums must not be saved before :meth:`flush`.

    Attributes:
        names: Names of the layers.
    """

    names: Sequence[str]
    _current: list[_Sight] = field(default_factory=list)
    _previous: list[_Sight] = field(default_factory=list)

    def record(self, layer: int, texts: Batch, finite: Bool[Tensor, " batch"], dtype: torch.dtype) -> None:
        """Takes note of one layer of one batch.

        Args:
            layer: Index of the layer.
            texts: Indices of the texts.
            finite: Whether the states of each are finite.
            dtype: Dtype of the hidden states.

        Raises:
            NumericalError: They are not; names layer, text and dtype.
        """
        sight = _Sight(layer, texts, finite, dtype)
        if finite.device.type == "cpu":
            self._require([sight])
        else:
            self._current.append(sight)

    def advance(self) -> None:
        """A batch has been sent off: looks at the one before it. Raises like :meth:`look`."""
        self._require(self._previous)
        self._previous, self._current = self._current, []

    def flush(self) -> None:
        """Looks at everything that is outstanding. Raises like :meth:`look`."""
        self._require([*self._previous, *self._current])
        self._previous, self._current = [], []

    def _require(self, sights: Sequence[_Sight]) -> None:
        for sight in sights:
            try:
                require_finite(sight.finite, sight.dtype)
            except NonFiniteStates as error:
                raise NumericalError(
                    f"hidden states of layer {sight.layer} ({self.names[sight.layer]}) are not finite for text "
                    f"{sight.texts[error.row]} in {error.dtype}: check the weights, or use a wider `dtype`"
                ) from error
