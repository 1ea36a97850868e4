"""What all figures of a study share: colours, markers, grids of panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D00")
"""Told apart by colour-blind readers; the palette's yellow, which is lost on white, is darkened."""
INK, QUIET, PALE, GRID = "#222222", "#555555", "#999999", "#DDDDDD"
"""Of words and frames, of what stands behind, of what is only there for comparison, and of grids."""
WIDTH = 4.4
"""Inches of a panel that a telephone can show at its own size."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h")


@dataclass(frozen=True)
class Mark:
    """How one task is drawn in every figure: never by colour alone."""

    colour: str
    marker: str


def marks(names: Sequence[str]) -> dict[str, Mark]:
    """A mark for each name, in order; colours and markers repeat with other periods."""
    # The palette has eight colours and there are twelve markers: pairs repeat after twenty-four names.
    return {
        name: Mark(OKABE_ITO[(index + index // 24) % len(OKABE_ITO)], MARKERS[index % len(MARKERS)])
        for index, name in enumerate(names)
    }


def panel_grid(panels: int, columns: int, *, width: float = 3.4, height: float = 2.9, below: float = 0.0) -> Figure:
    """An empty figure with room for some panels, and inches below for a legend.

    Args:
        panels: How many panels.
        columns: How many side by side.
        width: Of a panel, in inches.
        height: Of a panel, in inches.
        below: Inches for the legend.
    """
    rows = -(-panels // columns)
    return Figure(figsize=(width * columns, height * rows + below), layout="constrained")


def legend_below(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """A legend under the panels, where it hides no point."""
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, fontsize=9, frameon=False)


def mark_handles(chosen: dict[str, Mark]) -> list[Line2D]:
    """Legend entries of marks."""
    return [
        Line2D([], [], linestyle="", marker=mark.marker, color=mark.colour, markersize=7, label=name)
        for name, mark in chosen.items()
    ]


def quiet_axes(axes: Axes) -> None:
    """A light grid and no box."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def running_mean(values: Sequence[float], window: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean of the last ``window`` values at each place, of fewer at the beginning."""
    sums = np.concatenate(([0.0], np.cumsum(np.asarray(values, dtype=np.float64))))
    ends = np.arange(1, len(sums))
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)
