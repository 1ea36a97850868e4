"""What one run reaches on texts that it has not seen: a row, whatever was run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ntps.jobs.record import ResultFile
from ntps.scoring.record import ScoreFile
from ntps.training.records import FinetuneFile, ProbeFile

PROBES = ("adamw", "logistic", "ridge", "ols")
"""Whose accuracy LoRA gains over: the paper's if it is there, which is of the last layer."""
OWN = ("ridge", "tangent")
"""Kinds of probes whose figures on texts left out are their own."""


def reached_of(result: ResultFile) -> dict[str, Any] | None:
    """The figure that counts of a run, on test texts or else on training texts left out; None where there is neither.

    Returns:
        ``layer`` (the one that training texts chose; None for fine-tuning), ``figure`` (``accuracy``,
        ``mean_average_precision`` or ``r2``), ``value`` and both ends of its 95 % interval ``low, high`` as shares,
        ``texts`` and ``split`` (``test`` or ``left out``) that it is of, ``majority``.
    """
    match result:
        case ScoreFile(summary=summary):
            figure, majority = summary.criterion, summary.majority_accuracy
            if figure is None:
                return None
            value, ends = (getattr(summary, f"{figure}_test{end}") for end in ("", "_interval"))
            row = {"layer": summary.name, "figure": figure, "majority": majority}
            if value is not None:
                return row | _on_test(result, value, ends)
            return row | _left_out(summary.chosen_cv, summary.chosen_cv_interval, summary.cv_texts)
        case ProbeFile(summary=summary):
            row = {"layer": summary.name, "majority": summary.majority_accuracy[summary.main]}
            if summary.test is None and result.settings.kind in OWN and summary.criterion is not None:
                left_out = _left_out(summary.chosen_cv, summary.chosen_cv_interval, summary.cv_texts)
                return row | {"figure": summary.criterion} | left_out
        case FinetuneFile(summary=summary):
            row = {"layer": None, "majority": summary.majority_accuracy[summary.main]}
        case _:
            return None
    figures = summary.test
    if figures is None:
        return None
    if figures.accuracy is None:
        return row | {"figure": "r2"} | _on_test(result, figures.r2, figures.r2_interval)
    return row | {"figure": "accuracy"} | _on_test(result, figures.accuracy, figures.accuracy_interval)


def _on_test(result: ResultFile, value: float | None, ends: Sequence[float | None] | None) -> dict[str, Any]:
    return {**_ends(value, ends), "texts": getattr(result.task.test, "texts", None), "split": "test"}


def _left_out(value: float | None, ends: Sequence[float | None] | None, texts: int | None) -> dict[str, Any]:
    return {**_ends(value, ends), "texts": texts, "split": "left out"}


def _ends(value: float | None, ends: Sequence[float | None] | None) -> dict[str, Any]:
    low, high = ends or (None, None)
    return {"value": value, "low": low, "high": high}
