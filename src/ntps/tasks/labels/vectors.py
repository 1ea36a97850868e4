"""Labels that are real vectors: regression targets, and zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.tasks.labels.labels import EncodedLabels, Labels, encoded
from ntps.tasks.labels.parsing import DIGITS
from ntps.tasks.sources.table import short
from ntps.tasks.task import TargetKind


def regression(labels: Labels, class_names: tuple[str, ...] | None) -> EncodedLabels:
    """One real target for each text.

    Raises:
        InputError: A label is infinite.
    """
    array = _array(labels.read_as([label] for label in labels.values), 1)
    as_read = [str(label) for rows in labels.splits.values() for label in rows.labels]
    first = next((index for index, label in enumerate(as_read) if not DIGITS.fullmatch(label.strip())), 0)
    where = f", the first at {labels.at(first)}" if first >= len(next(iter(labels.splits.values()))) else ""
    note = f"Label column '{labels.column}' holds decimals{where}, so this is a regression task"
    whole = np.array_equal(array, np.rint(array))
    note += "; all are whole numbers, which would be classes without their decimal points." if whole else "."
    names, more = _output_names((labels.column,), labels.column, class_names)
    return encoded("regression", names, labels, array, (note, *more))


def vectors(labels: Labels, class_names: tuple[str, ...] | None, zeros_and_ones: bool) -> EncodedLabels:
    """Lists of numbers, all of one length, as they are.

    Raises:
        InputError: Lists of unequal lengths, or infinite numbers.
    """
    widths = [len(items) for items in cast("Sequence[list[object]]", labels.values)]
    width = widths[0] if widths else 0
    for index, other in enumerate(widths):
        if other != width:
            raise InputError(
                f"{labels.at(index)}: {other} labels in column '{labels.column}' but {width} at {labels.at(0)}; give "
                f"every row a list of one length, or lists of classes, each once."
            )
    note = f"The lists in label column '{labels.column}' are not zeros and ones, so this is a regression task."
    if zeros_and_ones:
        note = f"Each text has {width} {'label that is' if width == 1 else 'labels that are'} 0 or 1."
    own = tuple(f"{labels.column}.{index}" for index in range(width))
    names, more = _output_names(own, labels.column, class_names)
    kind: TargetKind = "multilabel" if zeros_and_ones else "regression"
    return encoded(kind, names, labels, _array(labels, width), (note, *more))


def _output_names(
    own: tuple[str, ...], column: str, class_names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the outputs, and a note if those that are known do not fit."""
    if class_names is None or len(class_names) == len(own):
        return class_names or own, ()
    counted = f"{len(class_names)} known names do not fit the {len(own)} real targets"
    return own, (f"The {counted} in label column '{column}' and are not used.",)


def _array(labels: Labels, width: int) -> NDArray[np.float64]:
    """Lists of numbers as an ``(n, width)`` array."""
    array = np.empty((len(labels.values), width))
    for index, items in enumerate(cast("Sequence[list[float]]", labels.values)):
        try:
            array[index] = items
        except OverflowError:
            array[index] = np.inf
        if not np.isfinite(array[index]).all():
            raise InputError(
                f"{labels.at(index)}: label {short(items[0] if width == 1 else items)} in column '{labels.column}' is "
                f"not a finite float64; write a smaller number, or leave it empty where it is unknown."
            )
    return array
