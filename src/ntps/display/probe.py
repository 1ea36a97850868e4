"""A probe as a person uses it: its table and its words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from ntps.display.sentences import percent
from ntps.display.tables import table_of_layers

if TYPE_CHECKING:
    from ntps.training.records import FinetuneFile, ProbeFile

KINDS = {"ols": "Least squares", "logistic": "Logistic regression", "adamw": "AdamW"}


COLUMNS = {
    "accuracy": ("acc.", "accuracy"),
    "balanced_accuracy": ("bal.", "balanced over classes"),
    "mse": ("MSE", "squared error averaged over outputs"),
    "r2": ("R²", "weighted by the variance of the outputs"),
    "cross_entropy": ("CE", "cross entropy in nats"),
}
"""Title and meaning of each figure."""


def probe_table(result: ProbeFile) -> Table:
    """One row per layer; the layer of the summary is marked."""
    columns = [
        (split, name)
        for name in COLUMNS
        for split in result.summary.figures
        if any(getattr(row.figures[split], name) is not None for row in result.layers)
    ]
    titles = [f"{COLUMNS[name][0]}\n{split}" for split, name in columns]
    caption = "; ".join(": ".join(COLUMNS[name]) for name in dict.fromkeys(name for _, name in columns)) + "."
    rows = ((row, [getattr(row.figures[split], name) for split, name in columns]) for row in result.layers)
    return table_of_layers(titles, rows, result.summary.layer, caption)


def probe_words(result: ProbeFile) -> str:
    """One sentence: how the probe of the last layer does, against always answering the most frequent class."""
    summary, (texts, counted) = result.summary, counted_texts(result)
    where = f"{KINDS[result.settings.kind]}, layer {summary.layer} ({summary.name}): "
    figures, majority = summary.figures[summary.main], summary.majority_accuracy[summary.main]
    if figures.accuracy is None:
        return f"{where}R² {percent(figures.r2)}, mean squared error {figures.mse:.4g} on {counted}."
    error = standard_error(figures.accuracy, texts)
    frequent = "label set" if result.task.target_kind == "multilabel" else "class"
    return (
        f"{where}accuracy {percent(figures.accuracy)} ± {percent(error)} (one standard error) on {counted}; the "
        f"most frequent {frequent} alone gives {percent(majority)}."
    )


def counted_texts(result: ProbeFile | FinetuneFile) -> tuple[int, str]:
    """How many texts the main figures are of, and in words which."""
    test = result.task.test if result.summary.main == "test" else None
    texts = result.task.texts if test is None else test.texts
    return texts, f"{texts:,} {'training' if test is None else 'test'} texts"


def standard_error(share: float, texts: int) -> float:
    """Binomial standard error of a share of some texts."""
    return math.sqrt(share * (1 - share) / texts)
