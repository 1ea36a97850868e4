"""Figures of one scoring result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntps.errors import InputError
from ntps.plots.hover import say_at
from ntps.plots.style import OKABE_ITO, PALE, QUIET, WIDTH, legend_below, quiet_axes
from ntps.scoring.record import ScoreRecord

LABELS = {
    "ntps": "NTPS (Algorithm 1)",
    "ntps_full": "NTPS, all columns of U",
    "excess_loss": "excess loss",
    "retained": "share of explained energy kept",
    "retained_centered": "share of the probe's R² kept",
    "next_token_share": "share of the autoregressive objective",
}

MOST_NAMED = 7
"""Curves that colours tell apart."""
HOVERED = 16
"""Points of a curve that have words."""


def draw_score(record: ScoreRecord, value: str, path: Path | None) -> Figure:
    """Heat map over layers and k on the left, one curve per layer on the right.

    Args:
        record: The result.
        value: Which curve.
        path: Where to write it, if anywhere.

    Raises:
        InputError: There is no such curve, or the file cannot be written.
    """
    if value not in LABELS:
        raise InputError(f"there is no curve {value!r} to plot: choose one of {', '.join(LABELS)}")
    if record.curves.empty:
        raise InputError("there are no curves to plot: nothing is autoregressive about texts of one token")
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _heat_map(figure, left, record, value)
    _curves(right, record, value)
    right.legend(fontsize="small", loc="best")
    figure.suptitle(f"{record.result.model.id} on {record.result.task.id}")
    save_figure(figure, path)
    return figure


def save_figure(figure: Figure, path: Path | None) -> None:
    """Writes a figure, if there is a path.

    Raises:
        InputError: The file cannot be written.
    """
    if path is not None:
        try:
            figure.savefig(path, dpi=150)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot write the figure to {path}: {error}") from error


def _heat_map(figure: Figure, axes: Axes, record: ScoreRecord, value: str) -> None:
    grid = record.curves.pivot_table(index="layer", columns="k", values=value, dropna=False)
    lowest, highest = (None, None) if value == "excess_loss" else (0.0, 1.0)
    ticks = np.arange(len(grid.index))
    # Cell borders, so that layers and k of any spacing sit where their labels are.
    columns = grid.columns.to_numpy(dtype=float)
    edges = np.append(columns - 0.5, columns[-1] + 0.5)
    rows = np.arange(len(ticks) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, grid.to_numpy(), cmap="viridis", vmin=lowest, vmax=highest)
    names = {row.layer: row.name for row in record.result.layers}
    step = max(1, len(ticks) // 16)
    axes.set_yticks(ticks[::step], [names[layer] for layer in grid.index[::step]])
    axes.set_xlabel("k, columns of V")
    axes.set_ylabel("layer")
    figure.colorbar(mesh, ax=axes, label=LABELS[value])


def draw_curves(record: ScoreRecord, value: str) -> Figure:
    """The curves of the layers alone, in the size of a page.

    Args:
        record: The result; it must have curves.
        value: Which curve.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes)
    _curves(axes, record, value)
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    legend_below(figure, lines, 2)
    return figure


def _curves(axes: Axes, record: ScoreRecord, value: str) -> None:
    """A line a layer, the chosen one in bold; where there are many, all but the first, the chosen and the last pale."""
    layers, chosen = record.result.layers, record.result.summary.layer
    named = {row.layer for row in layers} if len(layers) <= MOST_NAMED else {layers[0].layer, chosen, layers[-1].layer}
    colours = dict(zip(sorted(named), OKABE_ITO, strict=False))
    others = "other layers"
    for row in layers:
        curve = record.curves[record.curves["layer"] == row.layer]
        label = f"{row.name} (summary)" if row.layer == chosen else row.name
        if row.layer not in named:
            label, others = others, "_other layers"
        width, above = (2.5, 3) if row.layer == chosen else (1.2, 2) if row.layer in named else (0.7, 1)
        colour = colours.get(row.layer, PALE)
        axes.plot(curve["k"], curve[value], color=colour, linewidth=width, label=label, zorder=above)
        some = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, HOVERED).astype(int))]
        words = [f"{row.name}, k = {k:,}: {share:.2f}" for k, share in zip(some["k"], some[value], strict=True)]
        say_at(axes, some["k"], some[value], words)
    if value != "excess_loss":
        width = record.result.model.hidden_size or 0
        axes.plot([0, width], [0, 1], color=QUIET, linestyle=":", linewidth=1, label="random directions")
        axes.set_ylim(0, 1.02)
    axes.set_xlabel("k, columns of V")
    axes.set_ylabel(LABELS[value])
