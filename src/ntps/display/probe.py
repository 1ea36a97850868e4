"""A probe as a person uses it: its table, its words, its figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ntps.display.sentences import percent
from ntps.display.tables import three_decimals

if TYPE_CHECKING:
    pass


KINDS = {"ols": "Least squares", "logistic": "Logistic regression", "adamw": "AdamW"}


COLUMNS = {
    "accuracy": "acc.",
    "balanced_accuracy": "bal.",
    "mse": "MSE",
    "r2": "R²",
    "cross_entropy": "CE",
}


def probe_table(result: Mapping[str, Any]) -> Table:
    """One row per layer; the layer of the summary is marked.

    Args:
        result: Content of ``result.json`` of a probe.
    """
    splits = [split for split in ("train", "test") if result["summary"][split] is not None]
    columns = [
        (f"{title}\n{split}", split, name)
        for name, title in COLUMNS.items()
        for split in splits
        if any(row[split][name] is not None for row in result["layers"])
    ]
    names = [title for name, title in COLUMNS.items() if any(name == column for _, _, column in columns)]
    meanings = {
        "acc.": "accuracy",
        "bal.": "balanced over classes",
        "MSE": "squared error averaged over outputs",
        "R²": "weighted by the variance of the outputs",
        "CE": "cross entropy in nats",
    }
    caption = "; ".join(f"{name}: {meanings[name]}" for name in names) + "."
    table = Table(caption=caption, caption_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("layer", no_wrap=True)
    for title, _, _ in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for row in result["layers"]:
        chosen = row["layer"] == result["summary"]["layer"]
        values = (row[split][name] for _, split, name in columns)
        shown = (three_decimals(value) for value in values)
        table.add_row(f"{row['layer']} {row['name']}{' ←' if chosen else ''}", *shown, style="bold" if chosen else None)
    return table


def probe_words(result: Mapping[str, Any]) -> str:
    """One sentence: how the probe of the last layer does, against always answering the most frequent class.

    Args:
        result: Content of ``result.json`` of a probe.
    """
    summary, task = result["summary"], result["task"]
    split = "train" if summary["test"] is None else "test"
    where = f"{KINDS[result['settings']['kind']]}, layer {summary['layer']} ({summary['name']}): "
    texts = (task if split == "train" else task["test"])["texts"]
    counted = f"{texts:,} {'training' if split == 'train' else 'test'} texts"
    figures, majority = summary[split], summary["majority_accuracy"][split]
    if figures["accuracy"] is None:
        return f"{where}R² {percent(figures['r2'])}, mean squared error {figures['mse']:.4g} on {counted}."
    error = standard_error(figures["accuracy"], texts)
    frequent = "label set" if task["target_kind"] == "multilabel" else "class"
    return (
        f"{where}accuracy {percent(figures['accuracy'])} ± {percent(error)} (one standard error) on {counted}; the "
        f"most frequent {frequent} alone gives {percent(majority)}."
    )


def standard_error(share: float, texts: int) -> float:
    """Binomial standard error of a share of some texts."""
    return math.sqrt(share * (1 - share) / texts)
