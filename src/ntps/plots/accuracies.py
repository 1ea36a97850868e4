"""What every way to solve a task reaches: one panel a model, one row a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntps.plots.hover import say_at
from ntps.plots.style import PALE, WIDTH, Mark, legend_below, mark_handles, marks, quiet_axes

BAND = 0.8
"""Share of a row that marks take."""


def draw_accuracies(frame: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Marks for the ways, with their 95 % intervals, and a line where the most frequent class is.

    A panel is a model and its rows are tasks; where there are fewer tasks than models, the other way round.

    Args:
        frame: As :func:`ntps.study.analysis.accuracies.side_by_side` makes it.
        names: What each measurement that the frame has is called, in order.
    """
    tasks, models = (list(dict.fromkeys(frame[name])) for name in ("task", "model"))
    panel, across = ("model", "task") if len(tasks) >= len(models) else ("task", "model")
    panels, rows = list(dict.fromkeys(frame[panel])), list(dict.fromkeys(frame[across]))
    # Marks of a row do not touch where they are few, and no row has more than six tenths of an inch.
    height = 0.9 + len(rows) * min(0.13 * len(names) + 0.15, 0.6)
    columns = min(2, len(panels))
    below = -(-len(panels) // columns)
    entries = 2 * columns
    size = WIDTH * columns, height * below + 0.25 * -(-len(names) // entries)
    figure = Figure(figsize=size, layout="constrained")
    chosen = marks(list(names))
    for place, title in enumerate(panels, start=1):
        axes = figure.add_subplot(below, columns, place)
        quiet_axes(axes)
        own = frame[frame[panel] == title]
        for found in own.to_dict("records"):
            _row(axes, rows.index(found[across]), found, names, chosen)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("accuracy (%)" if set(own["figure"]) == {"accuracy"} else "accuracy, mAP or R² (%)")
        axes.set_title(title, fontsize=10, loc="left")
    legend_below(figure, mark_handles({names[name]: mark for name, mark in chosen.items()}), entries)
    return figure


def _row(axes: Axes, y: int, found: Mapping[Any, Any], names: Mapping[str, str], chosen: Mapping[str, Mark]) -> None:
    """One model on one task."""
    where = f"{found['model']} on {found['task']}"
    if pd.notna(found["majority"]):
        x = 100 * found["majority"]
        axes.vlines(x, y - BAND / 2, y + BAND / 2, color=PALE, linewidth=1.5)
        say_at(axes, [x], [y], [f"{where}\nmost frequent class: {x:.1f} %"])
    for name, at in zip(names, _spread(y, len(names)), strict=True):
        if pd.isna(found[name]):
            continue
        x, half = 100 * found[name], 100 * found[f"{name}_half"]
        axes.plot(x, at, chosen[name].marker, color=chosen[name].colour, markersize=5)
        interval = ""
        if pd.notna(half):
            interval = f" ± {half:.1f}"
            axes.hlines(at, x - half, x + half, color=chosen[name].colour, linewidth=1)
        layer = "" if pd.isna(found[f"{name}_layer"]) else f", {found[f'{name}_layer']}"
        say_at(axes, [x], [at], [f"{where}\n{names[name]}{layer}: {x:.1f}{interval} %"])


def _spread(y: float, count: int) -> Sequence[float]:
    return [y + BAND * ((number + 0.5) / count - 0.5) for number in range(count)]
