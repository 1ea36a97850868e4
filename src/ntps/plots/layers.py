"""What each layer of a score reaches on new texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntps.errors import InputError
from ntps.plots.score_curves import save_figure
from ntps.plots.style import OKABE_ITO, legend_below, quiet_axes
from ntps.scoring.record import ScoreFile

LABELS = {"accuracy": "accuracy (%)", "mean_average_precision": "mean average precision (%)", "r2": "R² (%)"}
MOST_NAMES = 16
"""Layers whose names stand below an axis without overlapping."""


def draw_layers(result: ScoreFile, path: Path | None) -> Figure:
    """The figure by which layers are compared on the left, area on the right.

    Args:
        result: The result.
        path: Where to write it, if anywhere.

    Raises:
        InputError: Nothing is known of new texts, or the file cannot be written.
    """
    criterion = result.summary.criterion
    if criterion is None:
        raise InputError("no text was left out, so there is nothing to draw: score again with `cv_texts` above 0")
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    layers = result.layers
    _points(left, layers, f"{criterion}_cv", 100, "texts left out", OKABE_ITO[0], -0.08)
    if any(getattr(row, f"{criterion}_test") is not None for row in layers):
        _points(left, layers, f"{criterion}_test", 100, "test texts", OKABE_ITO[1], 0.08)
    together = result.all_layers
    if together is not None and len(layers) > 1 and (value := getattr(together, f"{criterion}_cv")) is not None:
        left.axhline(100 * value, color=OKABE_ITO[2], linewidth=1.2, label="all layers together, texts left out")
        if (ends := getattr(together, f"{criterion}_cv_interval")) is not None:
            left.axhspan(100 * ends[0], 100 * ends[1], color=OKABE_ITO[2], alpha=0.12, linewidth=0)
    if result.summary.baseline_cv is not None:
        name = "the most frequent class" if criterion == "accuracy" else "without looking at the texts"
        left.axhline(100 * result.summary.baseline_cv, color="#555555", linestyle=":", linewidth=1.2, label=name)
    _points(right, layers, "area_cv", 1, "area", OKABE_ITO[0], 0.0)
    chance = [np.nan if row.chance_area_cv is None else row.chance_area_cv for row in layers]
    right.plot(
        range(len(layers)), chance, color="#555555", linestyle=":", linewidth=1.2, label="area of random directions"
    )
    place = [row.layer for row in layers].index(result.summary.layer)
    chosen = getattr(layers[place], f"{criterion}_cv")
    if chosen is not None:
        left.plot(place - 0.08, 100 * chosen, "o", markersize=13, markerfacecolor="none", color="#222222")
    left.set_ylabel(LABELS[criterion])
    right.set_ylabel("area: share of the R² that is kept")
    for axes in (left, right):
        quiet_axes(axes)
        shown = range(0, len(layers), -(-len(layers) // MOST_NAMES))
        axes.set_xticks(list(shown), [layers[each].name for each in shown], rotation=45, ha="right")
    handles = {line.get_label(): line for axes in (left, right) for line in axes.get_lines()}
    legend_below(figure, [line for label, line in handles.items() if not str(label).startswith("_")], 3)
    figure.suptitle(f"{result.model.id} on {result.task.id}")
    save_figure(figure, path)
    return figure


def _points(axes: Axes, rows: Sequence[Any], key: str, scale: float, label: str, colour: str, shift: float) -> None:
    """A figure of every layer with its interval."""
    values = np.array([getattr(row, key) for row in rows], dtype=np.float64) * scale
    ends = [getattr(row, f"{key}_interval") or (np.nan, np.nan) for row in rows]
    places = np.arange(len(rows)) + shift
    axes.plot(places, values, "-o", color=colour, markersize=4, linewidth=1, label=label)
    low, high = np.array(ends, dtype=np.float64).T * scale
    axes.vlines(places, low, high, color=colour, linewidth=1.2)
