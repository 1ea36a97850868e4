"""The page of one probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ntps.display.finetune import NAMES
from ntps.display.probe import probe_words
from ntps.display.tables import TITLES
from ntps.jobs.new_texts import NewTexts
from ntps.plots.layers import draw_probe_layers
from ntps.plots.probe_curves import draw_epochs
from ntps.report.parts import Report, ReportFigure, Section
from ntps.report.single.facts import facts, subject
from ntps.report.single.splits import FIGURES, figures_row, half_of
from ntps.report.tabular import Column, ReportTable, with_values
from ntps.training.records import ProbeFile, ProbeRecord


def probe_report(folder: Path) -> Report:
    """How well the probe does, layer by layer, and every figure.

    Raises:
        InputError: The result cannot be read.
    """
    record = ProbeRecord.read(folder)
    result = record.result
    name = NAMES[result.settings.kind]
    settings = result.settings.to_dict()
    own = {key: settings.get(key) for key in ("penalty", "C", "epochs", "learning_rate", "batch_size", "seed")}
    shown = ", ".join(f"{key} {value}" for key, value in own.items() if value is not None)
    return Report(
        f"{name[0].upper()}{name[1:]} of {subject(result)}",
        tuple(probe_words(result)),
        (
            Section("layers", "What each layer reaches", (), tuple(_by_layer(result))),
            Section("epochs", "How training went", (), tuple(_epochs(record))),
            Section("figures", "Every figure", (), (_figures(result),)),
        ),
        (*facts(result), *([("settings", shown)] if shown else [])),
        result.warnings,
    )


def _by_layer(result: ProbeFile) -> Iterator[ReportFigure]:
    if result.summary.criterion is not None and len(result.layers) > 1:
        yield ReportFigure(
            "by_layer",
            "What each layer reaches",
            "On training texts left out, by a ridge probe, which chooses the layer that is ringed; on test texts, by "
            "the probe that was asked for. Bars and bands: 95 %.",
            _frame(result),
            draw_probe_layers(result),
        )


def _epochs(record: ProbeRecord) -> Iterator[ReportFigure]:
    if not record.curves.empty:
        caption = f"Of {record.result.summary.name}, by epoch."
        yield ReportFigure("epochs", "How training went", caption, record.curves, draw_epochs(record))


def _figures(result: ProbeFile) -> ReportTable:
    frame, summary = _frame(result), result.summary
    columns = []
    if summary.criterion is not None:
        title = TITLES[summary.criterion].removesuffix(" %")
        columns.append(Column("left_out", f"{title}, left out (%)", "percent", "left_out_half"))
    for split, whose in (("test", "test"), ("train", "training")):
        for each in FIGURES:
            key, half = f"{split}_{each.key}", each.half and f"{split}_{each.half}"
            if key in frame:
                columns.append(replace(each, key=key, heading=f"{whose} {each.heading}", half=half))
    return ReportTable(
        "figures",
        "Every figure",
        "Left out, and all layers: of a ridge probe, whatever kind was asked for. Left out: on training texts in turn. "
        "Training: of the "
        "texts that the probe was fitted to. ±: half of the 95 % interval.",
        (Column("name", "layer"), *with_values(columns, frame)),
        frame,
    )


def _frame(result: ProbeFile) -> pd.DataFrame:
    """A row per layer, and one for all together."""
    criterion = result.summary.criterion
    rows = []
    for row in result.layers:
        shown: dict[str, object] = {"layer": row.layer, "name": row.name}
        for split, figures in row.figures.items():
            shown |= figures_row(figures, f"{split}_")
        rows.append(shown | _left_out(row, criterion))
    if result.all_layers is not None and len(rows) > 1:
        rows.append({"name": "all layers", **_left_out(result.all_layers, criterion), **_tested(result.all_layers)})
    return pd.DataFrame(rows)


def _tested(together: NewTexts) -> dict[str, object]:
    """Figures of the probe of all layers on test texts, as those of a layer are called."""
    shown: dict[str, object] = {}
    for each in FIGURES:
        shown[f"test_{each.key}"] = getattr(together, f"{each.key}_test", None)
        if each.half:
            shown[f"test_{each.half}"] = half_of(getattr(together, f"{each.key}_test_interval", None))
    return shown


def _left_out(row: object, criterion: str | None) -> dict[str, object]:
    if criterion is None:
        return {}
    value, ends = (getattr(row, f"{criterion}_cv{end}", None) for end in ("", "_interval"))
    return {"left_out": value, "left_out_half": half_of(ends)}
