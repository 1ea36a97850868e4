"""The page of a piece of advice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ntps.advice.record import AdviceFile, AdviceRecord
from ntps.display.advice import advice_caption, advice_rows, advice_words
from ntps.plots.rankings import draw_learning_curve
from ntps.report.parts import Report, ReportFigure, Section
from ntps.report.single.facts import facts, subject
from ntps.report.single.splits import half_of
from ntps.report.tabular import Column, ReportTable


def advice_report(folder: Path) -> Report:
    """What each way to solve the task reaches, what more texts would bring, and what to do.

    Raises:
        InputError: The advice cannot be read.
    """
    result = AdviceRecord.read(folder).result
    first, *words, decision = advice_words(result)
    return Report(
        f"Probe or LoRA: {subject(result)}",
        (first, decision, *words),
        (
            Section("ways", "What each way reaches", (), (_picture(result), _ways(result))),
            Section("texts", "What more texts bring, in numbers", (), (_curve(result),)),
        ),
        tuple(facts(result)),
        result.warnings,
    )


def _ways(result: AdviceFile) -> ReportTable:
    rows = [
        {"way": name, "accuracy": value, "accuracy_half": half_of(ends), "time": time}
        for name, value, ends, time in advice_rows(result)
    ]
    columns = (Column("way", "way"), Column("accuracy", "accuracy (%)", "percent", "accuracy_half"))
    caption = f"{advice_caption(result)} ±: half of the 95 % interval."
    return ReportTable("ways", "Ways", caption, (*columns, Column("time", "time here")), pd.DataFrame(rows))


def _picture(result: AdviceFile) -> ReportFigure:
    return ReportFigure(
        "learning_curve_picture",
        "Learning curve",
        "What the best probe reaches by the number of texts, what is expected of twice as many, and what LoRA would "
        "reach from all of them, with 95 % intervals.",
        pd.DataFrame([point.to_dict() for point in result.learning_curve]),
        draw_learning_curve(result),
    )


def _curve(result: AdviceFile) -> ReportTable:
    rows: list[dict[str, object]] = [
        {"texts": point.texts, "accuracy": point.accuracy, "accuracy_half": half_of(point.accuracy_interval)}
        for point in result.learning_curve
    ]
    for row in rows[-1:]:
        row["expected"] = "expected"
    caption = (
        f"What the best probe ({result.summary.best}) reaches by the number of texts that it learns from; the last row "
        "is expected, the others were judged on the remaining texts, or on folds left out."
    )
    columns = (
        Column("texts", "texts", "count"),
        Column("accuracy", "accuracy (%)", "percent", "accuracy_half", "expected"),
    )
    return ReportTable("learning_curve", "In numbers", caption, columns, pd.DataFrame(rows))
