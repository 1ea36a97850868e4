"""Figure 1: words in the planes of U and V."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntps.plots.point_labels import place_labels
from ntps.plots.style import Mark, legend_below, mark_handles, marks, quiet_axes

PLANES = {"u": "perception subspace U", "v": "autoregressive subspace V"}


def draw_words(words: pd.DataFrame, title: str, eigenvalues: Mapping[str, Sequence[float]] | None = None) -> Figure:
    """Words of each list in the first two directions of U (left) and of V (right).

    Where a subspace has one direction only, as U has for two classes, its lists lie on lines of their own.

    Args:
        words: ``list, word, u1, u2, v1, v2``; columns of directions that do not exist are absent.
        title: Of the figure.
        eigenvalues: Of the axes, by ``u`` and ``v``; shown with the axes where known.
    """
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    chosen = marks(list(dict.fromkeys(words["list"])))
    panels = figure.subplots(1, 2)
    for letter, axes in zip(PLANES, panels, strict=True):
        _plane(axes, words, letter, chosen, (eigenvalues or {}).get(letter, ()))
    figure.suptitle(title, fontsize=11)
    legend_below(figure, mark_handles(chosen), 6)
    # Labels go where the finished layout leaves room.
    figure.draw_without_rendering()
    for letter, axes in zip(PLANES, panels, strict=True):
        if f"{letter}1" in words:
            place_labels(figure, axes, _points(words, letter), words["word"].tolist())
    return figure


def _points(words: pd.DataFrame, letter: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    if f"{letter}2" in words:
        return words[[f"{letter}1", f"{letter}2"]].to_numpy(dtype=np.float64)
    lines = {name: -float(row) for row, name in enumerate(dict.fromkeys(words["list"]))}
    return np.column_stack([words[f"{letter}1"], words["list"].map(lines)]).astype(np.float64)


def _plane(axes: Axes, words: pd.DataFrame, letter: str, chosen: dict[str, Mark], values: Sequence[float]) -> None:
    axes.set_title(PLANES[letter], fontsize=11, loc="left")
    if f"{letter}1" not in words:
        axes.text(0.5, 0.5, "has no direction here", ha="center", transform=axes.transAxes)
        return
    quiet_axes(axes)
    points = _points(words, letter)
    for name, mark in chosen.items():
        own = points[(words["list"] == name).to_numpy()]
        axes.plot(own[:, 0], own[:, 1], mark.marker, color=mark.colour, markersize=7)
    axes.margins(0.16)
    labels = [
        f"{letter}{axis}ᵀx" + (f" (eigenvalue {value:.3g})" if value else "")
        for axis, value in zip("₁₂", [*values, 0.0, 0.0], strict=False)
    ]
    axes.set_xlabel(labels[0])
    if f"{letter}2" in words:
        axes.set_ylabel(labels[1])
    else:
        axes.set_yticks(-np.arange(len(chosen)), list(chosen))
        axes.set_ylim(-len(chosen) + 0.3, 0.7)
