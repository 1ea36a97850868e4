"""Results as notebooks show them: their words, and a table that fits a screen."""

from __future__ import annotations

from html import escape

import pandas as pd

from ntps.jobs.record import ResultFile
from ntps.scoring.record import ScoreFile
from ntps.training.records import BySplit, FinetuneFile, ProbeFile

MOST_ROWS = 16
"""Rows of a table that a screen holds; of more, the first and the last are shown."""
OF_SCORES = (
    *("accuracy_cv", "mean_average_precision_cv", "r2_cv", "accuracy_test", "r2_test"),
    *("area_cv", "chance_area_cv", "area", "ntps_share95"),
)
OF_SPLITS = ("accuracy", "balanced_accuracy", "r2", "mse", "cross_entropy")


def result_html(words: str, result: ResultFile) -> str:
    """The words of a result above its layers, or above its splits."""
    rows: list[dict[str, object]] = []
    match result:
        case ScoreFile():
            rows = [{"name": row.name, **{key: getattr(row, key) for key in OF_SCORES}} for row in result.layers]
        case ProbeFile():
            for layer in result.layers:
                left_out = {key: getattr(layer, key) for key in ("accuracy_cv", "r2_cv")}
                rows.append({"name": layer.name, **left_out, **_of_splits(layer)})
        case FinetuneFile(summary=summary):
            splits = {"held back": summary.validation, **summary.figures}
            rows = [
                {"name": name, **{key: getattr(figures, key) for key in OF_SPLITS}}
                for name, figures in splits.items()
                if figures is not None
            ]
    if not rows:
        return as_html(words, None)
    return as_html(words, pd.DataFrame(rows).set_index("name").dropna(axis=1, how="all"))


def _of_splits(row: BySplit) -> dict[str, object]:
    return {
        f"{split}_{key}": getattr(figures, key) for split, figures in row.figures.items() for key in ("accuracy", "r2")
    }


def as_html(words: str, frame: pd.DataFrame | None) -> str:
    """Words above a table.

    Args:
        words: Lines, the first of which is the heading.
        frame: A row a line, with the index as names, if there is one.
    """
    head, *lines = (escape(line) for line in words.splitlines())
    shown = f"<p><strong>{head}</strong><br>{'<br>'.join(lines)}</p>"
    if frame is None:
        return shown
    return shown + frame.to_html(max_rows=MOST_ROWS, float_format=lambda value: f"{value:.3f}", na_rep="–", border=0)
