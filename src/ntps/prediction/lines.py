"""Predictions as JSON lines, or as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from ntps.prediction.predictions import Predictions


def json_lines(predictions: Predictions, *, every: bool) -> Iterator[str]:
    """A line of JSON for each text.

    Args:
        predictions: The predictions.
        every: Whether every class or label has its probability, and not only what is predicted.
    """
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(predictions, every))


def _rows(predictions: Predictions, every: bool) -> Iterator[dict[str, Any]]:
    names = predictions.label_names
    if predictions.kind == "regression":
        for values in predictions.outputs:
            numbers = [_number(value) for value in values]
            yield {"value": numbers[0]} if len(names) == 1 else {"values": dict(zip(names, numbers, strict=True))}
        return
    for label, chances in zip(predictions.labels, predictions.probabilities, strict=True):
        known = dict(zip(names, map(_chance, chances), strict=True))
        if predictions.kind == "classes":
            whole = {"probabilities": known} if every else {}
            yield {"label": str(label), "probability": known[str(label)], **whole}
        else:
            found = [name for name, there in zip(names, label, strict=True) if there]
            yield {"labels": found, "probabilities": known if every else {name: known[name] for name in found}}


def csv_lines(predictions: Predictions, *, every: bool, header: bool) -> Iterator[str]:
    """A line of CSV for each text; a set of labels is a list in JSON. Arguments as for :func:`json_lines`.

    Args:
        predictions: The predictions.
        every: As there.
        header: Whether names of the columns stand above.
    """
    names = predictions.label_names
    by_name = names if every or (predictions.kind == "regression" and len(names) > 1) else ()
    first = {"classes": ("label", "probability"), "multilabel": ("labels",), "regression": ("value",)}
    leading = () if predictions.kind == "regression" and by_name else first[predictions.kind]
    if header:
        yield _csv([*leading, *by_name])
    for row in _rows(predictions, every):
        cells = [json.dumps(row[name], ensure_ascii=False) if name == "labels" else row[name] for name in leading]
        whole = row.get("probabilities") or row.get("values") or {}
        yield _csv([*cells, *(whole[name] for name in by_name)])


def _csv(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _chance(probability: float) -> float:
    return round(float(probability), 6)


def _number(value: float) -> float:
    """What a float32 model is sure of."""
    return float(f"{value:.7g}")
