"""A probe as a person uses it: its table and its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from ntps.display.sentences import FIGURES, all_layers_words, listed, percent, with_interval
from ntps.display.tables import TITLES, marked, plain_table, three_decimals, with_half_interval

if TYPE_CHECKING:
    from ntps.training.records import FinetuneFile, ProbeFile

KINDS = {
    "ridge": "Ridge regression",
    "ols": "Least squares",
    "logistic": "Logistic regression",
    "adamw": "AdamW",
    "tangent": "Ridge regression with tangent features",
}


COLUMNS = {
    "accuracy": ("acc. %", "accuracy"),
    "balanced_accuracy": ("bal. %", "accuracy balanced over classes"),
    "mse": ("MSE", "squared error averaged over outputs"),
    "r2": ("R² %", "weighted by the variance of the outputs"),
    "cross_entropy": ("CE", "cross entropy in nats"),
}
"""Title and meaning of each figure."""


def probe_table(result: ProbeFile, split: str | None = None) -> Table:
    """One row per layer, and one for all together where they were probed; the layer of the summary is marked.

    Args:
        result: The result.
        split: Whose figures are shown; by default those that count, beside those of texts left out.
    """
    summary, shown = result.summary, split or result.summary.main
    criterion, together = (summary.criterion, result.all_layers) if split is None else (None, None)
    names = [name for name in COLUMNS if any(getattr(row.figures[shown], name) is not None for row in result.layers)]
    titles, meanings = [f"{COLUMNS[name][0]}\n{shown}" for name in names], [": ".join(COLUMNS[name]) for name in names]
    if criterion is not None:
        titles.insert(0, f"{TITLES[criterion]}\nleft out")
        whose = "the" if result.settings.kind == "tangent" else "a ridge"
        meanings.insert(0, f"left out: {FIGURES[criterion]} of {whose} probe on training texts left out")
    if several := together is not None and len(result.layers) > 1:
        meanings.append("all layers: a ridge probe of all together")
    table = plain_table(titles, f"{'; '.join(meanings)}. ±: at 95 %.")
    for row in result.layers:
        mark, style = marked(row, summary)
        left_out = [] if criterion is None else [with_half_interval(row, f"{criterion}_cv")]
        figures = [_cell(row.figures[shown], name) for name in names]
        table.add_row(f"{row.layer} {row.name}{mark}", *left_out, *figures, style=style)
    if several and criterion is not None:
        tested = [_cell(together, f"{name}_{shown}") for name in names]
        table.add_row("all layers", with_half_interval(together, f"{criterion}_cv"), *tested)
    return table


def _cell(figures: object, name: str) -> str:
    """A share in percent, with its interval if there is one, or another figure; a dash where it is not known."""
    if not hasattr(figures, name):
        return "–"
    percent = "%" in COLUMNS[name.removesuffix("_test")][0]
    return with_half_interval(figures, name) if percent else three_decimals(getattr(figures, name))


def probe_words(result: ProbeFile) -> list[str]:
    """How the probe does, against always answering the most frequent class, and how its layer was chosen."""
    summary = result.summary
    majority = summary.majority_accuracy[summary.main]
    frequent = "label set" if result.task.target_kind == "multilabel" else "class"
    than = "" if majority is None else f"; the most frequent {frequent} alone gives {percent(majority)}"
    probe, figure = f"{KINDS[result.settings.kind]}, layer {summary.layer} ({summary.name})", main_figure(result)
    if result.settings.kind in ("ridge", "tangent") and summary.criterion is not None and summary.main == "train":
        (row,) = (row for row in result.layers if row.layer == summary.layer)
        value, ends = (getattr(row, f"{summary.criterion}_cv{end}") for end in ("", "_interval"))
        figure = f"{FIGURES[summary.criterion]} {with_interval(value, ends)} on training texts left out"
        than = than if summary.criterion == "accuracy" else ""
    return [f"{probe}: {figure}{than}.", *_choice(result), *all_layers_words(result)]


def main_figure(result: ProbeFile | FinetuneFile) -> str:
    """The figure that counts, with its interval, and the texts that it is of."""
    figures = result.summary.figures[result.summary.main]
    test = result.task.test if result.summary.main == "test" else None
    if test is None:
        texts = f"the {result.task.texts:,} training texts, which it was fitted to"
    else:
        texts = f"{test.texts:,} test texts"
    if figures.accuracy is None:
        return f"R² {with_interval(figures.r2, figures.r2_interval)}, mean squared error {figures.mse:.4g} on {texts}"
    return f"accuracy {with_interval(figures.accuracy, figures.accuracy_interval)} on {texts}"


def _choice(result: ProbeFile) -> Iterator[str]:
    summary, several = result.summary, len(result.layers) > 1
    if summary.criterion is None:
        # One layer is no choice.
        if several:
            yield f"That is {summary.rule}."
        return
    figure, reached = FIGURES[summary.criterion], with_interval(summary.chosen_cv, summary.chosen_cv_interval)
    if not several:
        if summary.main == "test":
            yield f"On training texts left out, it reaches {figure} {reached}."
        return
    yield (
        f"{summary.name} is the layer where a ridge probe has the highest {figure} on training texts left out; chosen "
        f"like this, that probe reaches {reached} on new texts."
    )
    others = [name for name in summary.equals or () if name != summary.name]
    if others:
        yield f"{listed([row.name for row in result.layers], others)} cannot be told from {summary.name}."
