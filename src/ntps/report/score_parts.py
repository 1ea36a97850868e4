"""Figures and tables of one score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from ntps.display.sentences import percent
from ntps.display.tables import TITLES
from ntps.plots.layers import draw_layers
from ntps.plots.score_curves import draw_score
from ntps.report.study_figures import ReportFigure
from ntps.report.tabular import Column, ReportTable
from ntps.scoring.record import ScoreFile, ScoreRecord


def score_figures(record: ScoreRecord) -> Iterator[ReportFigure]:
    """What each layer reaches on new texts, where that is known, and the curves over k."""
    result = record.result
    criterion = result.summary.criterion
    if criterion is not None:
        yield ReportFigure(
            "by_layer",
            "What each layer reaches on new texts",
            "A ridge probe of each layer on texts left out, and on the test texts if there are any; the layer of the "
            "summary is ringed. area: share of the probe's R² that next-token directions keep, and random ones. Bars "
            "and bands: 95 %.",
            _new_texts(result, criterion),
            draw_layers(result, None),
        )
    empty = record.curves.empty
    yield ReportFigure(
        "curves",
        "What the first k next-token directions keep of the R² in sample",
        "Left: every layer and k; right: one curve a layer.",
        record.curves,
        None if empty else draw_score(record, "retained_centered", None),
        "no text has two tokens" if empty else "",
    )


def score_tables(result: ScoreFile) -> tuple[ReportTable, ...]:
    """Figures for new texts, where they are known, before those of the texts at hand."""
    criterion = result.summary.criterion
    in_sample = ReportTable(
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
    if criterion is None:
        return (in_sample,)
    return _table(result, criterion), in_sample


NAMES: Sequence[Column] = (Column("layer", "layer", "count"), Column("name", "name"))


def _table(result: ScoreFile, criterion: str) -> ReportTable:
    summary, title = result.summary, TITLES[criterion].removesuffix(" %")
    majority = (
        "" if summary.majority is None else f" Always {summary.majority!r}: {percent(summary.majority_accuracy)}."
    )
    tested = "" if result.task.test is None else f" test: the same probe on {result.task.test.texts:,} test texts."
    return ReportTable(
        "layers",
        "The layers on new texts",
        f"{title}: of a ridge probe on texts left out ({summary.cv_texts:,} in turn).{majority}{tested} area: share of "
        "the probe's R² kept by next-token directions, and by random ones. NTPS: Algorithm 1 where they carry 95 % of "
        "their objective. ±: half of the 95 % interval.",
        (
            *NAMES,
            Column(f"{criterion}_cv", f"{title} (%)", "percent"),
            Column(f"{criterion}_cv_half", "±", "percent"),
            Column(f"{criterion}_test", "test (%)", "percent"),
            Column(f"{criterion}_test_half", "±", "percent"),
            Column("area_cv", "area", "decimal"),
            Column("area_cv_half", "±", "decimal"),
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
        ends = [row.get(f"{name}_interval") for row in rows]
        frame[f"{name}_half"] = [None if each is None else (each[1] - each[0]) / 2 for each in ends]
    return frame.astype({"layer": "Int64"})
