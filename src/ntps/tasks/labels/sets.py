"""Labels that are lists: sets of class names or class numbers, zeros and ones, or several real targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from ntps.errors import InputError
from ntps.tasks.labels.classes import check_class_numbers, unknown_class
from ntps.tasks.labels.encoded import Encoded, Parts, encoded
from ntps.tasks.labels.vectors import vectors
from ntps.tasks.labels.written import blanks_note

NUMBERS: tuple[set[type], ...] = ({bool}, {int}, {float}, {int, float})
INDICATORS: set[type] = {bool, int}
"""Kinds that may stand together where all are zeros and ones."""


def label_lists(parts: Parts, column: str, known: tuple[str, ...] | None, indices: bool) -> Encoded:
    """Lists of class names, of class numbers, of zeros and ones, or of several real targets.

    Whole numbers are class numbers unless all are 0 or 1 and all lists of one length, or a list cannot be a set.

    Args:
        parts: Rows by split, each label a list.
        column: Name of the label column.
        known: Class names, if something says them.
        indices: The lists are known to hold class indices.

    Raises:
        InputError: Lists of mixed kinds, of unequal lengths, with unknown classes or infinite numbers, or all empty.
    """
    kinds = {type(item) for item in _items(parts)}
    if kinds == {str}:
        parts, notes = _clean(parts, column)
        return _label_sets(parts, column, known, known, notes)
    widths = {len(cast("list[object]", label)) for rows in parts.values() for label in rows.labels}
    zeros_and_ones = all(item in (0, 1) for item in _items(parts))
    if kinds not in NUMBERS and not (kinds == INDICATORS and zeros_and_ones):
        raise _no_label_lists(parts, column, kinds)
    if kinds == {int} and (indices or not zeros_and_ones or len(widths) > 1 or (known and widths != {len(known)})):
        if known:
            return _label_sets(parts, column, known, range(len(known)), ())
        if _are_sets(parts):
            check_class_numbers(parts, column)
            note = f"The whole numbers in the lists of label column '{column}' are taken as numbers of classes"
            return _label_sets(parts, column, None, None, (f"{note}; real targets have decimal points.",))
    return vectors(parts, column, known, zeros_and_ones)


def _items(parts: Parts) -> Iterator[object]:
    for rows in parts.values():
        for label in rows.labels:
            yield from cast("list[object]", label)


def _no_label_lists(parts: Parts, column: str, kinds: set[type]) -> InputError:
    origin = next(iter(parts.values())).table.origin
    if not kinds:
        return InputError(f"{origin}: every list in label column '{column}' is empty; a task needs labels.")
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    return InputError(
        f"{origin}: the lists in label column '{column}' hold neither only texts nor only numbers ({found}); write "
        f"lists of class names, or lists of zeros and ones of one length."
    )


def _are_sets(parts: Parts) -> bool:
    """Whether no list of whole numbers holds one twice, or a negative one."""
    lists = (cast("list[int]", label) for rows in parts.values() for label in rows.labels)
    return all(len(set(items)) == len(items) and min(items, default=0) >= 0 for items in lists)


def _clean(parts: Parts, column: str) -> tuple[Parts, tuple[str, ...]]:
    """Lists of names without blanks around them and without empty names, and notes that say so."""
    names = {str(item) for item in _items(parts)}
    blank = {name for name in names if name.strip() and name != name.strip()}
    empty = sum(not str(item).strip() for item in _items(parts))
    if not blank and not empty:
        return parts, ()
    notes: tuple[str, ...] = (blanks_note(column, blank),) if blank else ()
    if empty:
        notes += (f"{empty} empty {'name' if empty == 1 else 'names'} in lists of label column '{column}' left out.",)
    strip = {name: name.strip() for name in names}
    cleaned = {
        name: rows.with_labels(
            [strip[item] for item in cast("list[str]", label) if strip[item]] for label in rows.labels
        )
        for name, rows in parts.items()
    }
    return cleaned, notes


def _label_sets(
    parts: Parts,
    column: str,
    names: tuple[str, ...] | None,
    known: Sequence[object] | None,
    notes: tuple[str, ...],
) -> Encoded:
    """Rows of zeros and ones for lists of labels, whose order and repeats do not count.

    Args:
        parts: Rows by split.
        column: Name of the label column.
        names: Names of the classes.
        known: What stands for them in the lists; the distinct items if None.
        notes: What to tell the user first.
    """
    items = known if known is not None else sorted(cast("set[str]", set(_items(parts))))
    names = names if names is not None else tuple(map(str, items))
    places = {item: place for place, item in enumerate(items)}
    arrays = []
    for rows in parts.values():
        array = np.zeros((len(rows), len(names)))
        for row, label in enumerate(cast("list[list[object]]", rows.labels)):
            for item in label:
                if item not in places:
                    raise unknown_class(rows.at(row), item, column, names)
                array[row, places[item]] = 1.0
        arrays.append(array)
    note = "Each text has a list of its labels, whose order and repeats do not count."
    return encoded("multilabel", names, parts, arrays, (*notes, note))
