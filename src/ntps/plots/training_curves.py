"""How the training of one classifier went: loss and accuracy by step."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntps.plots.hover import say_at
from ntps.plots.loss_curves import SMOOTHED
from ntps.plots.style import OKABE_ITO, QUIET, WIDTH, legend_below, quiet_axes, running_mean
from ntps.training.records import FinetuneFile

SPLITS = {
    "train": ("training texts, running mean", OKABE_ITO[0], "-"),
    "validation": ("training texts held back", OKABE_ITO[2], "o-"),
    "test": ("test texts", OKABE_ITO[1], "s"),
}


def draw_training(result: FinetuneFile, curves: pd.DataFrame) -> Figure:
    """Loss on the left, accuracy on the right where there is any; the step whose weights were kept is marked.

    Args:
        result: The result.
        curves: Its curves: ``step, split, loss, accuracy``.
    """
    squared = result.task.target_kind == "regression"
    shown = {"loss": "mean squared error" if squared else "cross entropy (nats)"}
    if curves["accuracy"].notna().any():
        shown["accuracy"] = "accuracy (%)"
    figure = Figure(figsize=(WIDTH * len(shown), 3.6), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        quiet_axes(axes)
        for split, own in curves.dropna(subset=[name]).groupby("split"):
            _curve(axes, own.sort_values("step"), name, str(split))
        majority = result.summary.majority_accuracy.get(result.summary.main)
        if name == "accuracy" and majority is not None:
            axes.axhline(100 * majority, color=QUIET, linestyle=":", linewidth=1.2, label="most frequent class")
        if result.summary.kept_step is not None:
            axes.axvline(result.summary.kept_step, color=QUIET, linewidth=0.8, label="weights that were kept")
        axes.set_xlabel("step")
        axes.set_ylabel(label)
    handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    legend_below(figure, list(handles.values()), 2 * len(shown))
    return figure


def _curve(axes: Axes, own: pd.DataFrame, name: str, split: str) -> None:
    label, colour, line = SPLITS[split]
    scale, unit = (100, " %") if name == "accuracy" else (1, "")
    values = (scale * own[name]).tolist()
    if split == "train":
        values = running_mean(values, max(1, len(values) // SMOOTHED)).tolist()
    steps = own["step"].tolist()
    axes.plot(steps, values, line, color=colour, linewidth=1.2, markersize=4, label=label)
    words = [f"{label}, step {step:,}: {value:.4g}{unit}" for step, value in zip(steps, values, strict=True)]
    # Of a thousand steps, each twentieth says enough.
    every = -(-len(steps) // 50)
    say_at(axes, steps[::every], values[::every], words[::every])
