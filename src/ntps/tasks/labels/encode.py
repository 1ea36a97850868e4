"""Labels of every kind, made into class indices or real vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from ntps.errors import InputError
from ntps.tasks.labels.classes import classes_from_integers, classes_from_texts
from ntps.tasks.labels.encoded import Encoded, Parts
from ntps.tasks.labels.forms import as_integers, label_form
from ntps.tasks.labels.remarks import remarks_on_names
from ntps.tasks.labels.sets import label_lists
from ntps.tasks.labels.vectors import regression
from ntps.tasks.labels.written import read_written

MOST_CLASSES = 100
"""Classes that are believed without asking how many texts there are."""


def encode_labels(
    parts: Parts,
    column: str,
    known: tuple[str, ...] | None = None,
    indices: bool = False,
    named: bool = False,
) -> Encoded:
    """Encodes the labels of all parts of a task alike.

    Whole numbers, truth values and texts are classes, decimals are regression targets, lists are multi-label (class
    names, class numbers, or zeros and ones) or several regression targets; numbers and lists may be written as texts.
    Where names are known, whole number i is class ``known[i]``; otherwise the classes are the distinct values of all
    parts in sorted order.

    Args:
        parts: Usable rows by split name, the scored split first.
        column: Name of the label column, for messages and to name a single output.
        known: Class names, if something says them.
        indices: Whole numbers are known to be class indices.
        named: The column was named and not detected, so it is believed to hold labels.

    Raises:
        InputError: The labels of the column are of different kinds, out of range, or not labels at all.
    """
    parts, notes = read_written(parts, column, known)
    found = _encode(parts, column, known, indices)
    if known is None and found.kind != "regression":
        notes += [*remarks_on_names(found.names, column), *_believable(found, parts, column, named)]
    return replace(found, notes=(*notes, *found.notes))


def _encode(parts: Parts, column: str, known: tuple[str, ...] | None, indices: bool) -> Encoded:
    form = label_form(parts, column)
    if form == "list":
        return label_lists(parts, column, known, indices)
    if form == "truth value":
        return classes_from_integers(as_integers(parts), column, known or ("false", "true"), indices)
    if form == "decimal":
        decimals = [cast("float", label) for rows in parts.values() for label in rows.labels]
        if known is None or len(known) == 1 or not all(float(label).is_integer() for label in decimals):
            return regression(parts, column, known)
        parts = as_integers(parts)
    if form == "text":
        return classes_from_texts(parts, column, known)
    return classes_from_integers(parts, column, known, indices)


def _believable(found: Encoded, parts: Parts, column: str, named: bool) -> list[str]:
    """Refuses an identifier or a text that was taken for a label; a column that was named is believed."""
    rows = sum(len(part) for part in parts.values())
    if len(found.names) <= max(MOST_CLASSES, rows // 2):
        return []
    counted = f"olumn '{column}' has {len(found.names)} distinct values in {rows} rows"
    if named:
        return [f"Label c{counted}: a class has two texts or fewer on average."]
    origin = next(iter(parts.values())).table.origin
    raise InputError(
        f"{origin}: c{counted}, so it does not look like labels; choose another --label-column, or name this one there "
        f"if it is right."
    )
