"""Figures of one probe: loss and accuracy by epoch, or by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ntps.plots.hover import say_at
from ntps.plots.score_curves import save_figure
from ntps.plots.style import OKABE_ITO, QUIET, legend_below, quiet_axes
from ntps.training.records import ProbeFile, ProbeRecord

LABELS = {
    "cross_entropy": "cross entropy (nats)",
    "accuracy": "accuracy",
    "mse": "mean squared error",
    "r2": "R²",
}
SPLITS = {"train": ("training texts", OKABE_ITO[0], "-"), "test": ("test texts", OKABE_ITO[1], "--")}


def draw_probe(record: ProbeRecord, layers: pd.DataFrame, path: Path | None) -> Figure:
    """Loss on the left, hits on the right, where they are defined.

    Args:
        record: The result.
        layers: One row per layer, with columns such as ``train_accuracy``.
        path: Where to write it, if anywhere.

    Raises:
        InputError: The file cannot be written.
    """
    result = record.result
    if record.curves.empty:
        drawn = {split: _by_layer(layers, split) for split in SPLITS if f"{split}_mse" in layers}
        figure = _draw(result, "layer", drawn)
        where = ""
    else:
        figure = draw_epochs(record)
        where = f", layer {result.summary.name}"
    figure.suptitle(f"{result.settings.kind}: {result.model.id} on {result.task.id}{where}")
    save_figure(figure, path)
    return figure


def draw_epochs(record: ProbeRecord) -> Figure:
    """Loss and hits of the layer of the summary by epoch, for kinds that have some."""
    own = record.curves[record.curves["layer"] == record.result.summary.layer]
    return _draw(record.result, "epoch", {str(split): rows for split, rows in own.groupby("split")})


def _draw(result: ProbeFile, across: str, drawn: Mapping[str, pd.DataFrame]) -> Figure:
    names = [name for name in LABELS if name in drawn["train"] and drawn["train"][name].notna().any()]
    figure = Figure(figsize=(4.2 * len(names), 3.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        quiet_axes(axes)
        for split, (label, colour, line) in SPLITS.items():
            if split not in drawn:
                continue
            frame = drawn[split]
            values = frame[name].astype(float)
            axes.plot(frame[across], values, line, color=colour, label=label, marker=".", ms=4)
            words = [f"{label}, {across} {x}: {y:.4g}" for x, y in zip(frame[across], values, strict=True)]
            say_at(axes, frame[across], values, words)
        majority = result.summary.majority_accuracy["test" if "test" in drawn else "train"]
        if name == "accuracy" and majority is not None:
            axes.axhline(majority, color=QUIET, linestyle=":", linewidth=1, label="most frequent class")
        axes.set_xlabel(across)
        axes.set_ylabel(LABELS[name])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    legend_below(figure, list(handles.values()), len(handles))
    return figure


def _by_layer(layers: pd.DataFrame, split: str) -> pd.DataFrame:
    return pd.DataFrame({"layer": layers["layer"], **{name: layers[f"{split}_{name}"] for name in LABELS}})
