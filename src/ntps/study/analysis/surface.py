"""The correlation surface: Spearman's coefficient over tasks for every layer and k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Surface:
    """Coefficients of one model and measure.

    Attributes:
        title: Of the panel.
        names: Names of the layers.
        fractions: k as a fraction of the columns of V.
        coefficients: ``(layers, fractions)``; NaN where undefined.
        selected: Layer and fraction, as positions, of the strongest pair; None where there is none.
    """

    title: str
    names: Sequence[str]
    fractions: Sequence[float]
    coefficients: NDArray[np.float64]
    selected: tuple[int, int] | None
