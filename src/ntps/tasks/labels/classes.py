"""Labels that are classes, written as whole numbers or as texts."""

from __future__ import annotations

from typing import cast

import numpy as np

from ntps.errors import InputError
from ntps.tasks.labels.encoded import Encoded, Parts, encoded, short

LARGEST_NUMBER = 10**300
"""Class numbers are below it, so that they can be written."""


def classes_from_integers(parts: Parts, column: str, known: tuple[str, ...] | None, indices: bool) -> Encoded:
    """Class i is the i-th known name, or the i-th of the distinct values.

    Where names are known, negative labels mean unlabelled; known names that are numbers themselves may be meant.

    Raises:
        InputError: A label has no known name, or is too large to be a class number.
    """
    values = {name: cast("list[int]", rows.labels) for name, rows in parts.items()}
    distinct = sorted(set().union(*values.values()))
    if known is None:
        check_class_numbers(parts, column)
        notes = _negative(distinct[0], column) if distinct and distinct[0] < 0 else ()
        codes = {value: code for code, value in enumerate(distinct)}
        return _coded(parts, tuple(map(str, distinct)), codes, column, notes)
    if not indices and _are_names(distinct, known):
        texts = {name: rows.with_labels(str(label) for label in values[name]) for name, rows in parts.items()}
        return classes_from_texts(texts, column, known)
    parts = {name: rows.where([label >= 0 for label in values[name]], "negative label") for name, rows in parts.items()}
    return _coded(parts, known, {code: code for code in range(len(known))}, column)


def _negative(example: int, column: str) -> tuple[str]:
    note = f"Negative numbers in label column '{column}', such as {example}, are classes like any other"
    return (f"{note}; leave a label empty where it is unknown.",)


def check_class_numbers(parts: Parts, column: str) -> None:
    """Refuses whole numbers, alone or in lists, with more digits than the name of a class can have."""
    for rows in parts.values():
        for row, label in enumerate(rows.labels):
            for number in cast("list[int]", label if isinstance(label, list) else [label]):
                if abs(number) >= LARGEST_NUMBER:
                    raise InputError(
                        f"{rows.at(row)}: a number of more than 300 digits in label column '{column}' is no class; "
                        f"correct it, or choose another --label-column."
                    )


def _are_names(distinct: list[int], known: tuple[str, ...]) -> bool:
    """Whether whole numbers can only be the names themselves: each is one, and some is no place among them."""
    places = all(0 <= value < len(known) for value in distinct)
    return not places and {str(value) for value in distinct} <= set(known)


def classes_from_texts(parts: Parts, column: str, known: tuple[str, ...] | None) -> Encoded:
    """Classes are the known names, or the distinct texts in sorted order.

    Raises:
        InputError: A label is not among the known names.
    """
    distinct = {cast("str", label) for rows in parts.values() for label in rows.labels}
    names = known or tuple(sorted(distinct))
    return _coded(parts, names, {name: code for code, name in enumerate(names)}, column)


def _coded(
    parts: Parts,
    names: tuple[str, ...],
    codes: dict[int, int] | dict[str, int],
    column: str,
    notes: tuple[str, ...] = (),
) -> Encoded:
    find = cast("dict[object, int]", codes)
    for rows in parts.values():
        for row, label in enumerate(rows.labels):
            if label not in find:
                raise unknown_class(rows.at(row), label, column, names)
    arrays = [np.array([find[label] for label in rows.labels], dtype=np.int64) for rows in parts.values()]
    return encoded("classes", names, parts, arrays, notes)


def unknown_class(place: str, label: object, column: str, names: tuple[str, ...]) -> InputError:
    """The error for a label that no class name goes with."""
    return InputError(
        f"{place}: label {short(label)} in column '{column}' is none of the {len(names)} known classes; "
        f"correct the label, or the list of class names."
    )
