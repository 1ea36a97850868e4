"""Labels that are classes, written as whole numbers or as texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np

from ntps.errors import InputError
from ntps.tasks.labels.labels import EncodedLabels, Labels, encoded
from ntps.tasks.sources.table import short

LARGEST_NUMBER = 10**300
"""Class numbers are below it, so that they can be written."""


def classes_from_integers(labels: Labels, class_names: tuple[str, ...] | None, indices: bool) -> EncodedLabels:
    """Class i is the i-th known name, or the i-th of the distinct values.

    Where names are known, negative labels mean unlabelled; known names that are numbers themselves may be meant.

    Raises:
        InputError: A label has no known name, or is too large to be a class number.
    """
    values = cast("Sequence[int]", labels.values)
    distinct = sorted(set(values))
    if class_names is None:
        check_class_numbers(labels)
        notes = []
        if distinct and distinct[0] < 0:
            notes.append(
                f"Negative numbers in label column '{labels.column}', such as {distinct[0]}, are classes like any "
                f"other; leave a label empty where it is unknown."
            )
        return _encoded(labels, tuple(map(str, distinct)), distinct, notes)
    places = all(0 <= value < len(class_names) for value in distinct)
    if not indices and not places and {str(value) for value in distinct} <= set(class_names):
        return classes_from_texts(labels.read_as(map(str, values)), class_names)
    return _encoded(
        labels.where([value >= 0 for value in values], "negative label"), class_names, range(len(class_names))
    )


def classes_from_texts(labels: Labels, class_names: tuple[str, ...] | None) -> EncodedLabels:
    """Classes are the known names, or the distinct texts in sorted order.

    Raises:
        InputError: A label is not among the known names.
    """
    names = class_names or tuple(sorted(cast("set[str]", set(labels.values))))
    return _encoded(labels, names, names)


def check_class_numbers(labels: Labels) -> None:
    """Refuses whole numbers, alone or in lists, with more digits than the name of a class can have."""
    for index, label in enumerate(labels.values):
        numbers = cast("list[int]", label if isinstance(label, list) else [label])
        if any(abs(number) >= LARGEST_NUMBER for number in numbers):
            raise InputError(
                f"{labels.at(index)}: a number of more than 300 digits in label column '{labels.column}' is no class; "
                f"correct it, or choose another `label_column`."
            )


def unknown_class(at: str, label: object, column: str, names: tuple[str, ...]) -> InputError:
    """The error for a label that no class name goes with."""
    return InputError(
        f"{at}: label {short(label)} in column '{column}' is none of the {len(names)} known classes; "
        f"correct the label, or the list of class names."
    )


def _encoded(
    labels: Labels, names: tuple[str, ...], distinct: Iterable[object], notes: Iterable[str] = ()
) -> EncodedLabels:
    """Class i is the i-th of the distinct labels."""
    codes = {label: code for code, label in enumerate(distinct)}
    for index, label in enumerate(labels.values):
        if label not in codes:
            raise unknown_class(labels.at(index), label, labels.column, names)
    array = np.array([codes[label] for label in labels.values], dtype=np.int64)
    return encoded("classes", names, labels, array, notes)
