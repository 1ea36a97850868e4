"""The rows of a file or a stream, some at a time, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

from ntps.errors import InputError
from ntps.prediction.predictions import Predictions
from ntps.prediction.predictor import Predictor
from ntps.tasks.sources.files import json_chunks, read_chunks
from ntps.tasks.sources.rows import all_texts
from ntps.tasks.sources.table import Table

STREAM = "standard input"
"""What errors call it."""
ROWS = 2048
"""Rows that are read, sorted by length, and predicted at a time."""
TEXT = "text"
"""Column of the texts, unless something says otherwise."""


def read_rows(source: str, stream: IO[bytes] | None) -> Iterator[Table]:
    """Reads rows some at a time; the first of them at once, so that a wrong file is noticed before anything else.

    Args:
        source: A file, or ``-`` for JSON lines from the stream.
        stream: Standard input; None where there is none.

    Raises:
        InputError: The file cannot be read, is malformed, or has no rows.
    """
    if source != "-":
        tables = read_chunks(Path(source).expanduser(), ROWS)
    elif stream is None:
        raise InputError(f"{STREAM} is closed: give a file")
    else:
        tables = json_chunks(STREAM, stream, ROWS)
    first = next(tables, None)
    if first is None:
        raise InputError(f"{STREAM if source == '-' else source} holds no rows: give texts to predict")
    return chain([first], tables)


def predict_rows(
    predictor: Predictor, tables: Iterator[Table], text_columns: Sequence[str] = ()
) -> Iterator[tuple[Table, Predictions]]:
    """Predicts the rows of one table after the other, in their order.

    Args:
        predictor: What predicts.
        tables: The rows.
        text_columns: Columns that hold the text; by default those that the probe was trained on, or ``text``.

    Raises:
        InputError: A column is missing, or a text is empty.
        NumericalError: Hidden states are not finite.
    """
    columns = tuple(text_columns) or predictor.text_columns or (TEXT,)
    for table in tables:
        yield table, predictor.predictions(all_texts(table, columns), table.at)
