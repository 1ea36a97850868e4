"""Figures 2 and 3: one point a task, one panel a model and measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from ntps.plots.hover import say_at
from ntps.plots.style import QUIET, legend_below, mark_handles, marks, panel_grid, quiet_axes


@dataclass(frozen=True)
class Panel:
    """One scatter plot.

    Attributes:
        title: Of the panel.
        x_label: Of the horizontal axis, with its unit.
        y_label: Of the vertical axis, with its unit.
        points: ``task, x, y``, one row a task; points with a missing value are not drawn.
        note: What the panel shows, in a corner.
    """

    title: str
    x_label: str
    y_label: str
    points: pd.DataFrame
    note: str = ""


def draw_scatter(panels: Sequence[Panel], tasks: Sequence[str], columns: int) -> Figure:
    """Panels side by side, tasks told apart by marker and colour, one legend below all of them.

    Args:
        panels: The panels, row by row.
        tasks: All tasks in the order of the legend, so that figures of one study agree on their marks.
        columns: Panels side by side.
    """
    columns = min(columns, len(panels))
    entries = 3 if columns < 3 else 6
    figure = panel_grid(len(panels), columns, below=0.3 + 0.2 * -(-len(tasks) // entries))
    chosen = marks(tasks)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(-(-len(panels) // columns), columns, place)
        quiet_axes(axes)
        points = panel.points.dropna(subset=["x", "y"])
        for task, x, y in zip(points["task"], points["x"], points["y"], strict=True):
            mark = chosen[task]
            axes.plot(x, y, mark.marker, color=mark.colour, markersize=7, alpha=0.9)
            say_at(axes, [x], [y], [f"{task}\n{panel.x_label}: {x:.4g}\n{panel.y_label}: {y:.4g}"])
        axes.margins(0.1)
        axes.set_xlabel(panel.x_label, fontsize=9)
        axes.set_ylabel(panel.y_label, fontsize=9)
        axes.tick_params(labelsize=8)
        # Notes stand above the points' rectangle, where they cover none.
        axes.set_title(panel.title, fontsize=10, loc="left", pad=18 if panel.note else 6)
        axes.text(0, 1.02, panel.note, transform=axes.transAxes, fontsize=8.5, color=QUIET)
    legend_below(figure, mark_handles(chosen), entries)
    return figure
