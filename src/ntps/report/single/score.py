"""The page of one score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ntps.display.sentences import percent, plain_words
from ntps.display.tables import TITLES
from ntps.plots.layers import draw_layers
from ntps.plots.score_curves import draw_curves
from ntps.report.parts import Report, ReportFigure, Section
from ntps.report.single.facts import facts, subject
from ntps.report.single.splits import half_of
from ntps.report.study_figures import word_figures
from ntps.report.tabular import Column, ReportTable
from ntps.scoring.record import ScoreFile, ScoreRecord
from ntps.study.analysis.reader import read_words


def score_report(folder: Path) -> Report:
    """What the layers reach, what next-token directions keep, and the tables.

    Raises:
        InputError: The score cannot be read.
    """
    record = ScoreRecord.read(folder)
    result = record.result
    in_sample = () if result.summary.criterion is None else (_in_sample(result),)
    words = tuple(word_figures(read_words(folder)))
    return Report(
        f"NTPS of {subject(result)}",
        tuple(plain_words(result)),
        (
            Section("layers", "What each layer reaches on new texts", (), tuple(_by_layer(result))),
            Section("kept", "What next-token directions keep", (), (_curves(record),)),
            Section("tables", "The layers", (), (_layers(result), *in_sample)),
            Section("words", "Words that next-token prediction keeps apart", (), words),
        ),
        tuple(facts(result)),
        result.warnings,
    )


def _by_layer(result: ScoreFile) -> Iterator[ReportFigure]:
    criterion = result.summary.criterion
    if criterion is not None:
        yield ReportFigure(
            "by_layer",
            "What each layer reaches on new texts",
            "A ridge probe of each layer on texts left out, and on the test texts if there are any; the layer that is "
            "chosen is ringed. area: share of the probe's R² that next-token directions keep, and random ones. Bars "
            "and bands: 95 %.",
            _new_texts(result, criterion),
            draw_layers(result, None),
        )


def _curves(record: ScoreRecord) -> ReportFigure:
    empty = record.curves.empty
    return ReportFigure(
        "curves",
        "What next-token directions keep",
        "Share of the R² in sample that the first k next-token directions keep, one curve a layer; random directions "
        "keep k of all.",
        record.curves,
        None if empty else draw_curves(record, "retained_centered"),
        "no text has two tokens" if empty else "",
    )


def _layers(result: ScoreFile) -> ReportTable:
    """Figures for new texts, where they are known, or those of the texts at hand."""
    criterion = result.summary.criterion
    return _in_sample(result) if criterion is None else _table(result, criterion)


def _in_sample(result: ScoreFile) -> ReportTable:
    return ReportTable(
        "in_sample",
        "In sample",
        "R² of the least-squares probe on the texts that it was fitted to, as it is, adjusted, and on test texts; its "
        "accuracy there. area: share of the R² in sample kept by next-token directions, and by random ones. NTPS at "
        "the k where they carry 95 % of their objective.",
        (
            *NAMES,
            Column("r2", "R²", "decimal"),
            Column("r2_adjusted", "adjusted", "decimal"),
            Column("r2_test_ols", "test", "decimal"),
            Column("accuracy_test_ols", "accuracy (%)", "percent"),
            Column("area", "area", "decimal"),
            Column("chance_area", "random", "decimal"),
            Column("ntps_share95", "NTPS", "decimal"),
            Column("k_share95", "k", "count"),
        ),
        pd.DataFrame([dict(row) for row in result.layers]),
    )


NAMES: Sequence[Column] = (Column("layer", "layer", "count"), Column("name", "name"))


def _table(result: ScoreFile, criterion: str) -> ReportTable:
    summary, title = result.summary, TITLES[criterion].removesuffix(" %")
    majority = (
        "" if summary.majority is None else f" Always {summary.majority!r}: {percent(summary.majority_accuracy)}."
    )
    tested = "" if result.task.test is None else f" test: the same probe on {result.task.test.texts:,} test texts."
    return ReportTable(
        "layers",
        "On new texts",
        f"{title}: of a ridge probe on texts left out ({summary.cv_texts:,} in turn).{majority}{tested} area: share of "
        "the probe's R² kept by next-token directions, and by random ones. NTPS: Algorithm 1 where they carry 95 % of "
        "their objective. ±: half of the 95 % interval.",
        (
            *NAMES,
            Column(f"{criterion}_cv", f"{title} (%)", "percent", f"{criterion}_cv_half"),
            Column(f"{criterion}_test", "test (%)", "percent", f"{criterion}_test_half"),
            Column("area_cv", "area", "decimal", "area_cv_half"),
            Column("chance_area_cv", "random", "decimal"),
            Column("ntps_share95", "NTPS", "decimal"),
        ),
        _new_texts(result, criterion),
    )


def _new_texts(result: ScoreFile, criterion: str) -> pd.DataFrame:
    """A row per layer, and one for all together; of each figure also half of its interval."""
    rows = [dict(row) for row in result.layers]
    if result.all_layers is not None and len(rows) > 1:
        rows.append({"layer": None, "name": "all layers", **dict(result.all_layers)})
    names = ("layer", "name", f"{criterion}_cv", f"{criterion}_test", "area_cv", "chance_area_cv", "ntps_share95")
    frame = pd.DataFrame([{name: row.get(name) for name in names} for row in rows])
    for name in (f"{criterion}_cv", f"{criterion}_test", "area_cv"):
        frame[f"{name}_half"] = [half_of(row.get(f"{name}_interval")) for row in rows]
    return frame.astype({"layer": "Int64"})
