"""How wrong forecasts are for tasks and models that they have not seen, beside simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps.advice.calibration import outside, stretch
from ntps.advice.cells import Cell
from ntps.advice.forecast import Forecaster

Array = NDArray[np.float64]

RIVALS: dict[str, Callable[[Cell], float | None]] = {
    "accuracy of all layers": lambda cell: cell.all_layers,
    "the last layer below all": lambda cell: cell.final - cell.all_layers,
    "area": lambda cell: cell.area,
    "NTPS at 95 %": lambda cell: cell.ntps,
}
"""What else might tell LoRA's gain: a line through it is fitted to the other tasks."""


@dataclass(frozen=True)
class ForecastErrors:
    """Errors on cells that a forecast had not seen; shares, not points.

    Attributes:
        name: What the forecast rests on.
        accuracy: Median absolute error of LoRA's accuracy.
        gain: Root mean square error of its gain over the probe of all layers.
        rank: Spearman's correlation with the gain.
        coverage: Share of the cells whose accuracy lies within the 95 % interval; None where there is none.
        gain_coverage: The same of the gain.
    """

    name: str
    accuracy: float
    gain: float
    rank: float | None
    coverage: float | None = None
    gain_coverage: float | None = None


def left_out_errors(cells: Sequence[Cell], by: str) -> list[ForecastErrors]:
    """The forecast and its rivals, each fitted without the cells that it is judged on.

    Args:
        cells: All cells.
        by: What is left out whole: ``task`` or ``model``.
    """
    held = [(cell, [other for other in cells if getattr(other, by) != getattr(cell, by)]) for cell in cells]
    fits = {getattr(cell, by): Forecaster.fit(others) for cell, others in held}
    predicted = []
    for cell, others in held:
        fit, wider = fits[getattr(cell, by)], stretch(tuple(outside(others, cell)))
        predicted.append((fit.accuracy(cell, wider), fit.gain(cell, wider)))
    within = [
        (
            accuracy.interval[0] <= cell.lora_test <= accuracy.interval[1],
            gain.interval[0] <= cell.gain <= gain.interval[1],
        )
        for cell, (accuracy, gain) in zip(cells, predicted, strict=True)
    ]
    forecast = np.array([gain.value for _, gain in predicted])
    means = np.array([np.mean([other.gain for other in others]) for _, others in held])
    coverage, gain_coverage = np.mean(within, axis=0).tolist()
    return [
        replace(_judged("forecast", cells, forecast, forecast), coverage=coverage, gain_coverage=gain_coverage),
        _judged("no gain", cells, np.zeros(len(cells))),
        _judged("mean gain", cells, means),
        *_rivals(cells, held),
    ]


def _judged(
    name: str,
    cells: Sequence[Cell],
    predicted: Float64[Array, " cells"],
    ranked: Float64[Array, " cells"] | None = None,
) -> ForecastErrors:
    """Errors of predicted gains, and the rank correlation of whatever ranks them."""
    gains = np.array([cell.gain for cell in cells])
    missed = np.abs([cell.all_layers - cell.lora_test for cell in cells] + predicted)
    varies = ranked is not None and np.ptp(ranked) > 0 and np.ptp(gains) > 0
    rank = float(pd.Series(ranked).rank().corr(pd.Series(gains).rank())) if varies else None
    return ForecastErrors(name, float(np.median(missed)), float(np.sqrt(np.mean((predicted - gains) ** 2))), rank)


def _rivals(cells: Sequence[Cell], held: Sequence[tuple[Cell, Sequence[Cell]]]) -> Iterator[ForecastErrors]:
    """A line through one figure each; its rank is that of the figure itself, which nothing was fitted to."""
    for name, figure in RIVALS.items():
        if any(figure(cell) is None for cell in cells):
            continue
        predicted = []
        for cell, others in held:
            rows = np.array([[1.0, figure(other) or 0.0] for other in others])
            constant, slope = np.linalg.lstsq(rows, [other.gain for other in others])[0]
            predicted.append(constant + slope * (figure(cell) or 0.0))
        yield _judged(name, cells, np.array(predicted), np.array([figure(cell) or 0.0 for cell in cells]))
