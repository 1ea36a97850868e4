"""The correlation surface: Spearman's coefficient over tasks for every layer and k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ntps.plots.hover import say_at
from ntps.plots.style import panel_grid
from ntps.study.analysis.surface import Surface


def draw_surfaces(surfaces: Sequence[Surface], columns: int) -> Figure:
    """One heat map a surface, all on the scale from −1 to 1; a ring marks the strongest pair."""
    columns = min(columns, len(surfaces))
    figure = panel_grid(len(surfaces), columns)
    rows = -(-len(surfaces) // columns)
    drawn = []
    for place, surface in enumerate(surfaces, start=1):
        axes = figure.add_subplot(rows, columns, place)
        drawn.append(axes)
        step = np.diff(surface.fractions).min() if len(surface.fractions) > 1 else 1.0
        edges = np.append(np.asarray(surface.fractions) - step / 2, surface.fractions[-1] + step / 2)
        layers = np.arange(len(surface.names) + 1) - 0.5
        mesh = axes.pcolormesh(edges, layers, surface.coefficients, cmap="PuOr", vmin=-1, vmax=1, rasterized=True)
        axes.set_facecolor("#BBBBBB")
        ticks = range(0, len(surface.names), max(1, -(-len(surface.names) // 8)))
        axes.set_yticks(ticks, [surface.names[tick] for tick in ticks], fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.set_xlabel("k as a share of the columns of V", fontsize=9)
        axes.set_title(surface.title, fontsize=8.5, loc="left")
        if surface.selected is not None:
            layer, fraction = surface.selected
            where = f"{surface.names[layer]}, k = {surface.fractions[fraction]:.0%} of the columns of V"
            rho = f"ρ = {surface.coefficients[layer, fraction]:.2f}"
            say_at(axes, [surface.fractions[fraction]], [layer], [f"{where}: {rho}"])
            for colour, width in (("white", 3.5), ("black", 1.5)):
                axes.plot(
                    surface.fractions[fraction],
                    layer,
                    "o",
                    markersize=10,
                    fillstyle="none",
                    color=colour,
                    markeredgewidth=width,
                )
    if drawn:
        bar = figure.colorbar(mesh, ax=drawn, location="bottom", shrink=min(1.0, 2.0 / columns), aspect=30)
        bar.set_label("Spearman ρ over tasks", fontsize=9)
        bar.ax.tick_params(labelsize=8)
    return figure
