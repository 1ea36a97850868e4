"""What each layer of a score reaches on new texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.plots.hover import say_at
from ntps.plots.score_curves import save_figure
from ntps.plots.style import INK, OKABE_ITO, QUIET, WIDTH, legend_below, quiet_axes
from ntps.scoring.record import ScoreFile
from ntps.training.records import FiguresBlock, ProbeFile

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
    figure = Figure(figsize=(2 * WIDTH, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _reached(left, result, criterion)
    _area(right, result)
    for axes in (left, right):
        quiet_axes(axes)
        name_layers(axes, [row.name for row in result.layers])
    handles = {line.get_label(): line for axes in (left, right) for line in axes.get_lines()}
    legend_below(figure, [line for label, line in handles.items() if not str(label).startswith("_")], 3)
    if path is not None:
        figure.suptitle(f"{result.model.id} on {result.task.id}")
    save_figure(figure, path)
    return figure


def draw_probe_layers(result: ProbeFile) -> Figure:
    """What each layer reaches on texts left out, by a ridge probe, and on test texts, by the probe that was asked for.

    Args:
        result: The result; it must have left texts out.
    """
    figure = Figure(figsize=(WIDTH, 4.9), layout="constrained")
    axes = figure.subplots()
    _reached(axes, result, str(result.summary.criterion))
    quiet_axes(axes)
    name_layers(axes, [row.name for row in result.layers])
    # Side by side, its entries are wider than the panel.
    legend_below(figure, axes.get_lines(), 1)
    return figure


def name_layers(axes: Axes, names: Sequence[str]) -> None:
    """Names of layers below an axis, as many as have room: the first, and from there every second, third …"""
    shown = range(0, len(names), -(-len(names) // MOST_NAMES))
    axes.set_xticks(
        list(shown), [names[each] for each in shown], rotation=45, ha="right", rotation_mode="anchor", fontsize=9
    )


def _reached(axes: Axes, result: ScoreFile | ProbeFile, criterion: str) -> None:
    """Every layer on texts left out and on test texts, all together, and what takes no look at the texts."""
    layers, summary, together = result.layers, result.summary, result.all_layers
    names = [row.name for row in layers]
    _points(axes, names, _series(layers, f"{criterion}_cv"), "texts left out", OKABE_ITO[0], -0.08)
    tested = _series(layers, f"{criterion}_test")
    if isinstance(result, ProbeFile) and criterion in FiguresBlock.model_fields:
        tested = _series([row.test for row in result.layers], criterion)
    if np.isfinite(tested).any():
        _points(axes, names, tested, "test texts", OKABE_ITO[1], 0.08)
    if together is not None and len(layers) > 1 and (value := getattr(together, f"{criterion}_cv")) is not None:
        name = "all layers together, texts left out"
        axes.axhline(100 * value, color=OKABE_ITO[2], linewidth=1.2, label=name)
        if (ends := getattr(together, f"{criterion}_cv_interval")) is not None:
            axes.axhspan(100 * ends[0], 100 * ends[1], color=OKABE_ITO[2], alpha=0.12, linewidth=0)
        middle = (len(layers) - 1) / 2
        say_at(axes, [middle], [100 * value], [f"{name}: {100 * value:.1f} %"])
    if summary.baseline_cv is not None:
        name = (
            "the most frequent class of the training texts"
            if criterion == "accuracy"
            else "without looking at the texts"
        )
        axes.axhline(100 * summary.baseline_cv, color=QUIET, linestyle=":", linewidth=1.2, label=name)
        say_at(axes, [0], [100 * summary.baseline_cv], [f"{name}: {100 * summary.baseline_cv:.1f} %"])
    place = [row.layer for row in layers].index(summary.layer)
    chosen = getattr(layers[place], f"{criterion}_cv")
    if chosen is not None:
        name = "the layer that is chosen"
        axes.plot(place - 0.08, 100 * chosen, "o", markersize=13, markerfacecolor="none", color=INK, label=name)
    axes.set_ylabel(LABELS[criterion])


def _area(axes: Axes, result: ScoreFile) -> None:
    """Area of every layer, beside that of random directions."""
    layers = result.layers
    names = [row.name for row in layers]
    _points(axes, names, _series(layers, "area_cv"), "area", OKABE_ITO[3], 0.0, share=True)
    chance = [np.nan if row.chance_area_cv is None else row.chance_area_cv for row in layers]
    name = "area of random directions"
    axes.plot(range(len(layers)), chance, color=QUIET, linestyle=":", linewidth=1.2, label=name)
    words = [f"{row.name}, random directions: {share:.2f}" for row, share in zip(layers, chance, strict=True)]
    say_at(axes, range(len(layers)), chance, words)
    axes.set_ylabel("area: share of the R² that is kept")


def _series(rows: Sequence[Any], key: str) -> NDArray[np.float64]:
    """Of each layer a figure and both ends of its interval, NaN where they are not known."""
    found = [
        (getattr(row, key, None), *(getattr(row, f"{key}_interval", None) or (None, None))) if row else (None,) * 3
        for row in rows
    ]
    return np.array(found, dtype=np.float64)


def _points(
    axes: Axes,
    names: Sequence[str],
    found: NDArray[np.float64],
    label: str,
    colour: str,
    shift: float,
    *,
    share: bool = False,
) -> None:
    """A figure of every layer with its interval, in percent or as a share."""
    scale, unit, digits = (1, "", 2) if share else (100, " %", 1)
    values, low, high = scale * found.T
    places = np.arange(len(names)) + shift
    axes.plot(places, values, "-o", color=colour, markersize=4, linewidth=1, label=label)
    axes.vlines(places, low, high, color=colour, linewidth=1.2)
    words = [
        f"{name}, {label}: {value:.{digits}f}{unit}"
        + ("" if np.isnan(start) else f" ({start:.{digits}f} to {end:.{digits}f})")
        for name, value, start, end in zip(names, values, low, high, strict=True)
    ]
    say_at(axes, places, values, words)
