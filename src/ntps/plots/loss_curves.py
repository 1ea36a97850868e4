"""Figure S1: training losses."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ntps.plots.hover import say_at
from ntps.plots.style import QUIET, legend_below, marks, panel_grid, quiet_axes, running_mean

LINES: dict[str, Literal["-", "-.", ":"]] = {"lora": "-", "full": "-.", "scratch": ":"}
METHODS = {"lora": "LoRA", "full": "full fine-tuning", "scratch": "from scratch"}
SMOOTHED = 25
"""A running mean takes this part of a run: single batches are noisy."""


def draw_losses(losses: pd.DataFrame, columns: int = 4) -> Figure:
    """One panel a task: training loss of every model and method as a running mean, losses on other texts as points.

    Those on test texts are larger than those on training texts held back.

    Args:
        losses: ``model, task, method, split, step, cross_entropy`` in nats.
        columns: Panels side by side.
    """
    tasks, models = (list(dict.fromkeys(losses[name])) for name in ("task", "model"))
    columns = min(columns, len(tasks))
    figure = panel_grid(len(tasks), columns, width=3.0, height=2.5, below=0.6 + 0.2 * (len(models) // 4))
    chosen = marks(models)
    rows = -(-len(tasks) // columns)
    for place, task in enumerate(tasks, start=1):
        axes = figure.add_subplot(rows, columns, place)
        quiet_axes(axes)
        for (model, method, split), run in losses[losses["task"] == task].groupby(["model", "method", "split"]):
            run = run.dropna(subset=["cross_entropy"]).sort_values("step")
            mark = chosen[model]
            for _, at in run.tail(1).iterrows():
                words = f"{model}, {METHODS[method]}, {split}, step {at['step']:,}: {at['cross_entropy']:.3f}"
                say_at(axes, [at["step"]], [at["cross_entropy"]], [words])
            if split == "train":
                smooth = running_mean(run["cross_entropy"].tolist(), max(1, len(run) // SMOOTHED))
                axes.plot(run["step"], smooth, LINES[method], color=mark.colour, linewidth=1.4)
            else:
                face = mark.colour if method == "lora" else "none"
                axes.plot(
                    run["step"],
                    run["cross_entropy"],
                    mark.marker,
                    color=mark.colour,
                    markerfacecolor=face,
                    markersize=4 if split == "test" else 2,
                )
        axes.set_ylim(bottom=0)
        axes.set_title(task, fontsize=10, loc="left")
        axes.tick_params(labelsize=8)
        # Each panel has its own: a narrow page sets them below one another.
        axes.set_xlabel("step", fontsize=9)
        axes.set_ylabel("cross entropy (nats)", fontsize=9)
    handles = [Line2D([], [], color=mark.colour, marker=mark.marker, label=name) for name, mark in chosen.items()]
    methods = [name for name in LINES if name in set(losses["method"])]
    handles += [Line2D([], [], color=QUIET, linestyle=LINES[name], label=METHODS[name]) for name in methods]
    legend_below(figure, handles, 4 if columns > 2 else 2)
    return figure


def last_losses(losses: pd.DataFrame) -> pd.DataFrame:
    """Where the training of each run ended: mean of the last part of its losses, and the last loss on test texts."""
    rows = []
    for (model, task, method), run in losses.groupby(["model", "task", "method"], sort=False):
        train, test = (run[run["split"] == split].sort_values("step")["cross_entropy"] for split in ("train", "test"))
        tail = train.tail(max(1, len(train) // SMOOTHED))
        rows.append(
            {
                "model": model,
                "task": task,
                "method": method,
                "train": float(tail.mean()) if len(tail) else np.nan,
                "test": float(test.iloc[-1]) if len(test) else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=["model", "task", "method", "train", "test"])
