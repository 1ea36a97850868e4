"""The page of one fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ntps.display.comparison import comparison
from ntps.display.finetune import finetune_words
from ntps.plots.training_curves import draw_training
from ntps.report.parts import Report, ReportFigure, Section
from ntps.report.single.facts import facts, subject
from ntps.report.single.splits import FIGURES, figures_row
from ntps.report.tabular import Column, ReportTable, with_values
from ntps.training.records import FinetuneFile, FinetuneRecord

METHODS = {"lora": "LoRA", "full": "Full fine-tuning", "scratch": "Training from scratch"}


def finetune_report(folder: Path) -> Report:
    """How well the classifier does, how its training went, and every figure.

    Raises:
        InputError: The result cannot be read.
    """
    record = FinetuneRecord.read(folder)
    result = record.result
    return Report(
        f"{METHODS[result.measurement]} of {subject(result)}",
        (finetune_words(result), *comparison(result, record.held_out, ())),
        (
            Section("training", "How training went", (), tuple(_training(result, record.curves))),
            Section("figures", "Every figure", (), (_figures(result),)),
        ),
        (*facts(result), *_recipe(result)),
        result.warnings,
    )


def _recipe(result: FinetuneFile) -> Iterator[tuple[str, str]]:
    summary, settings = result.summary, result.settings.to_dict()
    stopped = f" ({summary.stopped})" if summary.stopped else ""
    yield "steps", f"{summary.steps:,} of {settings['batch_size']} texts{stopped}, recipe {settings['recipe']}"
    yield "parameters", f"{summary.trainable_parameters:,} of {summary.total_parameters:,} trained"
    shown = {name: settings.get(name) for name in ("learning_rate", "rank", "alpha", "weight_decay", "seed")}
    yield "settings", ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)


def _training(result: FinetuneFile, curves: pd.DataFrame) -> Iterator[ReportFigure]:
    if curves.empty:
        return
    yield ReportFigure(
        "training",
        "How training went",
        "Loss and accuracy by step; the upright line marks the step whose weights were kept and measured.",
        curves,
        draw_training(result, curves),
    )


def _figures(result: FinetuneFile) -> ReportTable:
    summary = result.summary
    test = 0 if result.task.test is None else result.task.test.texts
    held_back = summary.validation_texts
    splits = {
        "test": (test, summary.test),
        "held back": (held_back, summary.validation),
        "training": (result.task.texts - held_back, summary.train),
    }
    rows = [
        {"split": name, "texts": texts, **figures_row(figures)}
        for name, (texts, figures) in splits.items()
        if figures is not None
    ]
    frame = pd.DataFrame(rows)
    return ReportTable(
        "figures",
        "Every figure",
        "Of the weights that were kept. Held back: training texts that chose the weights, so that their figures "
        "flatter. ±: half of the 95 % interval.",
        (Column("split", "texts"), Column("texts", "number", "count"), *with_values(FIGURES, frame)),
        frame,
    )
