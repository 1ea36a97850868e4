"""Labels that are lists: sets of class names or class numbers, zeros and ones, or several real targets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import cast

import numpy as np

from ntps.errors import InputError
from ntps.tasks.labels.classes import check_class_numbers, unknown_class
from ntps.tasks.labels.labels import EncodedLabels, Labels, encoded
from ntps.tasks.labels.parsing import blanks_note
from ntps.tasks.labels.vectors import vectors

NUMBERS: tuple[set[type], ...] = ({bool}, {int}, {float}, {int, float})
INDICATORS: set[type] = {bool, int}
"""Types that may be mixed where all are zeros and ones."""


def label_lists(labels: Labels, class_names: tuple[str, ...] | None, indices: bool) -> EncodedLabels:
    """Lists of class names, of class numbers, of zeros and ones, or of several real targets.

    Whole numbers are class numbers unless all are 0 or 1 and all lists of one length, or a list cannot be a set.

    Args:
        labels: The labels, each a list.
        class_names: Class names, if something says them.
        indices: The lists are known to hold class indices.

    Raises:
        InputError: Lists of mixed types, of unequal lengths, with unknown classes or infinite numbers, or all empty.
    """
    lists = cast("Sequence[list[object]]", labels.values)
    types = {type(item) for items in lists for item in items}
    if types == {str}:
        labels, notes = _clean(labels)
        return _label_sets(labels, class_names, class_names, notes)
    zeros_and_ones = all(item in (0, 1) for items in lists for item in items)
    if types not in NUMBERS and not (types == INDICATORS and zeros_and_ones):
        raise _no_label_lists(labels, types)
    widths = {len(items) for items in lists}
    odd_widths = len(widths) > 1 or (class_names is not None and widths != {len(class_names)})
    if types == {int} and (indices or not zeros_and_ones or odd_widths):
        if class_names:
            return _label_sets(labels, class_names, range(len(class_names)))
        if all(
            len(set(items)) == len(items) and min(items, default=0) >= 0 for items in cast("list[list[int]]", lists)
        ):
            check_class_numbers(labels)
            note = f"The whole numbers in the lists of label column '{labels.column}' are taken as numbers of classes"
            return _label_sets(labels, None, None, (f"{note}; real targets have decimal points.",))
    return vectors(labels, class_names, zeros_and_ones)


def _no_label_lists(labels: Labels, types: set[type]) -> InputError:
    if not types:
        return InputError(
            f"{labels.origin}: every list in label column '{labels.column}' is empty; a task needs labels."
        )
    return InputError(
        f"{labels.origin}: the lists in label column '{labels.column}' hold neither only texts nor only numbers "
        f"({', '.join(sorted(found.__name__ for found in types))}); write lists of class names, or lists of zeros and "
        f"ones of one length."
    )


def _clean(labels: Labels) -> tuple[Labels, tuple[str, ...]]:
    """Lists of names without blanks around them and without empty names, and notes that say so."""
    lists = cast("Sequence[list[str]]", labels.values)
    blank = {name for names in lists for name in names if name.strip() and name != name.strip()}
    empty = sum(not name.strip() for names in lists for name in names)
    notes: tuple[str, ...] = (blanks_note(labels.column, blank),) if blank else ()
    if empty:
        counted, are = (f"{empty} empty names", "are") if empty > 1 else ("1 empty name", "is")
        notes += (f"{counted} in lists of label column '{labels.column}' {are} not used.",)
    return labels.read_as([name.strip() for name in names if name.strip()] for names in lists), notes


def _label_sets(
    labels: Labels,
    class_names: tuple[str, ...] | None,
    distinct: Sequence[object] | None,
    notes: tuple[str, ...] = (),
) -> EncodedLabels:
    """Rows of zeros and ones for lists of labels, whose order and repeats do not count.

    Args:
        labels: The labels, each a list.
        class_names: Names of the classes.
        distinct: What the lists hold for them; the distinct items if None.
        notes: What to tell the user first.
    """
    lists = cast("Sequence[list[str]]", labels.values)
    items = distinct if distinct is not None else sorted(set(chain.from_iterable(lists)))
    names = class_names if class_names is not None else tuple(map(str, items))
    codes = {item: code for code, item in enumerate(items)}
    array = np.zeros((len(lists), len(names)))
    for index, label in enumerate(lists):
        for item in label:
            if item not in codes:
                raise unknown_class(labels.at(index), item, labels.column, names)
            array[index, codes[item]] = 1.0
    note = "Each text has a list of its labels, whose order and repeats do not count."
    return encoded("multilabel", names, labels, array, (*notes, note))
