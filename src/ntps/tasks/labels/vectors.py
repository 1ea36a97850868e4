"""Labels that are real vectors: regression targets, and zeros and ones."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.tasks.labels.encoded import Encoded, Parts, encoded, short
from ntps.tasks.task import TargetKind


def regression(parts: Parts, column: str, known: tuple[str, ...] | None) -> Encoded:
    """One real target for each text.

    Raises:
        InputError: A label is infinite.
    """
    lists = {name: rows.with_labels([label] for label in rows.labels) for name, rows in parts.items()}
    arrays = _arrays(lists, 1, column)
    whole = all(np.array_equal(array, np.rint(array)) for array in arrays)
    note = f"Label column '{column}' holds decimals, so this is a regression task"
    note += "; all are whole numbers, which would be classes without their decimal points." if whole else "."
    names, more = _output_names((column,), column, known)
    return encoded("regression", names, parts, arrays, (note, *more))


def vectors(parts: Parts, column: str, known: tuple[str, ...] | None, zeros_and_ones: bool) -> Encoded:
    """Lists of numbers, all of one length, as they are.

    Raises:
        InputError: Lists of unequal lengths, or infinite numbers.
    """
    width = _one_width(parts, column)
    kind: TargetKind = "multilabel" if zeros_and_ones else "regression"
    note = f"The lists in label column '{column}' are not zeros and ones, so this is a regression task."
    if zeros_and_ones:
        note = f"Each text has {width} {'label that is' if width == 1 else 'labels that are'} 0 or 1."
    names, more = _output_names(tuple(f"{column}.{index}" for index in range(width)), column, known)
    return encoded(kind, names, parts, _arrays(parts, width, column), (note, *more))


def _output_names(
    own: tuple[str, ...], column: str, known: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the outputs, and a note if those that are known do not fit."""
    if known is None or len(known) == len(own):
        return known or own, ()
    counted = f"{len(known)} known names do not fit the {len(own)} real targets"
    return own, (f"The {counted} in label column '{column}' and are left out.",)


def _arrays(parts: Parts, width: int, column: str) -> list[NDArray[np.float64]]:
    """Lists of numbers as ``(n, width)`` arrays."""
    arrays = [np.empty((len(rows), width)) for rows in parts.values()]
    for rows, array in zip(parts.values(), arrays, strict=True):
        for row, items in enumerate(cast("list[list[float]]", rows.labels)):
            try:
                array[row] = items
            except OverflowError:
                array[row] = np.inf
            if not np.isfinite(array[row]).all():
                raise InputError(
                    f"{rows.at(row)}: label {short(items[0] if width == 1 else items)} in column '{column}' is not a "
                    f"finite float64; write a smaller number, or leave it empty where it is unknown."
                )
    return arrays


def _one_width(parts: Parts, column: str) -> int:
    first: tuple[str, int] | None = None
    for rows in parts.values():
        for row, items in enumerate(cast("list[list[object]]", rows.labels)):
            first = first or (rows.at(row), len(items))
            if len(items) != first[1]:
                raise InputError(
                    f"{rows.at(row)}: {len(items)} labels in column '{column}' but {first[1]} at {first[0]}; give "
                    f"every row a list of one length, or lists of classes, each once."
                )
    return first[1] if first else 0
