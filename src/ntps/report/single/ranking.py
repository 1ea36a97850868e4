"""The page of a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ntps.display.ranking import ranking_words
from ntps.display.sentences import short_name, with_ends
from ntps.display.tables import TITLES
from ntps.json_files import read_json
from ntps.plots.rankings import draw_ranking
from ntps.report.parts import Report, ReportFigure, Section
from ntps.report.single.facts import date_of
from ntps.report.single.splits import half_of
from ntps.report.tabular import Column, ReportTable, with_values
from ntps.study.ranking.record import RANKING, Ranking

WITH_INTERVALS = ("value", "behind", "all_layers", "all_layers_step", "test")


def ranking_report(folder: Path) -> Report:
    """Which model is the best and how certain that is, as a picture and as a table.

    Raises:
        InputError: The ranking cannot be read.
    """
    ranking = read_json(folder / RANKING, Ranking, "give a folder that `ntps rank --out` wrote")
    frame = _frame(ranking)
    first, *rest = ranking_words(ranking)
    return Report(
        f"Models ranked on {short_name(ranking.task)}",
        (first, *rest),
        (Section("models", "The models", (), (_picture(ranking, frame), _table(ranking, frame))),),
        tuple(_facts(ranking)),
    )


def _picture(ranking: Ranking, frame: pd.DataFrame) -> ReportFigure:
    return ReportFigure(
        "ranking_picture",
        "Places",
        "Left: what a ridge probe of each model's best layer reaches on texts left out; right: the difference from the "
        "first model on the same texts, which decides. Bars: 95 %, those on the right for all pairs together.",
        frame,
        draw_ranking(ranking),
    )


def _table(ranking: Ranking, frame: pd.DataFrame) -> ReportTable:
    title = TITLES[ranking.criterion].removesuffix(" %")
    columns = (
        Column("value", f"{title} (%)", "percent", "value_half"),
        Column("behind", "behind (points)", "points", "behind_half"),
        Column("layer", "best layer"),
        Column("all_layers", "all layers (%)", "percent", "all_layers_half"),
        Column("all_layers_step", "all layers, from the model above (points)", "points", "all_layers_step_half"),
        Column("forecast", "LoRA, forecast (%)"),
        Column("test", "test (%)", "percent", "test_half"),
        Column("area_cv", "area", "decimal"),
        Column("chance_area_cv", "random", "decimal"),
        Column("texts", "texts", "count"),
        Column("parameters", "parameters", "count"),
        Column("seconds", "seconds", "seconds"),
    )
    return ReportTable(
        "ranking",
        "Figures",
        f"{title}: of a ridge probe of the best layer on texts left out in turn, and on test texts. Behind: the "
        "difference from the first model on the same texts. All layers: one probe of them together. Places and "
        "differences hold together at 95 %. area: share of the probe's R² kept by next-token directions, and by random "
        "ones. ±: half of the 95 % interval.",
        (Column("place", "place"), Column("model", "model"), *with_values(columns, frame)),
        frame,
    )


def _frame(ranking: Ranking) -> pd.DataFrame:
    rows = []
    for row in ranking.models:
        halves = {name: half_of(getattr(row, f"{name}_interval")) for name in WITH_INTERVALS}
        shown: dict[str, object] = {f"{name}_half": half for name, half in halves.items()}
        shown["forecast"] = None if row.lora is None else with_ends(row.lora, row.lora_interval)
        rows.append({"place": row.place, **dict(row), **shown})
    return pd.DataFrame(rows).drop(columns=["equals", "folder", "weights"])


def _facts(ranking: Ranking) -> Iterator[tuple[str, str]]:
    yield "made", f"{date_of(ranking.created)}, by ntps {ranking.ntps_version}"
    if ranking.command is not None:
        yield "command", ranking.command
    for row in ranking.models:
        if row.source is not None and row.weights is not None:
            yield f"model {row.model}", f"{row.source}, SHA-256 {row.weights[:16]}…"
    yield "task", ranking.task
    test = "" if ranking.test_texts is None else f"; {ranking.test_texts:,} test texts"
    yield "texts", f"{ranking.texts:,} left out in turn{test}"
    if ranking.majority is not None:
        yield "most frequent class", ranking.majority
    if ranking.unused:
        yield "not used", "; ".join(ranking.unused)
    if ranking.until is not None:
        yield (
            "until",
            f"{ranking.until} is decided, over samples of {', '.join(f'{size:,}' for size in ranking.samples)}",
        )
