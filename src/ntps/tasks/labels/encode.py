"""Labels of every kind, made into class indices or real vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from ntps.errors import InputError
from ntps.tasks.labels.class_order import class_order, renumbered
from ntps.tasks.labels.classes import classes_from_integers, classes_from_texts
from ntps.tasks.labels.label_types import label_type
from ntps.tasks.labels.labels import EncodedLabels, Labels
from ntps.tasks.labels.lists import label_lists
from ntps.tasks.labels.parsing import parse_labels
from ntps.tasks.labels.spelling import spelling_warnings
from ntps.tasks.labels.vectors import regression
from ntps.tasks.sources.rows import Rows

MOST_CLASSES = 100
"""Classes that are believed without asking how many texts there are."""


def encode_labels(
    splits: Mapping[str, Rows], column: str, class_names: tuple[str, ...] | None, named: bool
) -> EncodedLabels:
    """Encodes the labels of all splits of a task alike.

    Whole numbers, truth values and texts are classes, decimals are regression targets, lists are multi-label (class
    names, class numbers, or zeros and ones) or several regression targets; numbers and lists may be written as texts.
    Where names are known, whole number i is class ``class_names[i]``; otherwise the classes are the distinct values of
    all splits in sorted order. Tables may number the classes each in its own order.

    Args:
        splits: Usable rows by split name, the scored split first.
        column: Name of the label column.
        class_names: Class names, if something says them for all splits.
        named: The column was named and not detected, so it is believed to hold labels.

    Raises:
        InputError: The labels of the column are of different types, out of range, or not labels at all.
    """
    tables = [rows.table for rows in splits.values()]
    features = [table.class_names[column] for table in tables if column in table.class_names]
    indices = column in tables[0].class_names
    if features and (class_names or indices):
        order, class_names = class_order(class_names, features)
        splits = {name: renumbered(rows, column, order) for name, rows in splits.items()}
    labels, notes = parse_labels(Labels.of(column, splits), class_names)
    found = _encode(labels, class_names, indices)
    if class_names is None and found.kind != "regression":
        notes += [*spelling_warnings(found.names, column), *_believable(found, labels, named)]
    return replace(found, notes=(*notes, *found.notes))


def _encode(labels: Labels, class_names: tuple[str, ...] | None, indices: bool) -> EncodedLabels:
    match label_type(labels):
        case "list":
            return label_lists(labels, class_names, indices)
        case "text":
            return classes_from_texts(labels, class_names)
        case "truth value":
            class_names = class_names or ("false", "true")
        case "decimal" if (
            class_names is None
            or len(class_names) == 1
            or not all(isinstance(label, int) or label.is_integer() for label in cast("Sequence[float]", labels.values))
        ):
            return regression(labels, class_names)
    integers = labels.read_as(map(int, cast("Sequence[float]", labels.values)))
    return classes_from_integers(integers, class_names, indices)


def _believable(found: EncodedLabels, labels: Labels, named: bool) -> list[str]:
    """Refuses an identifier or a text that was taken for a label; a column that was named is believed."""
    rows = len(labels.values)
    if len(found.names) <= max(MOST_CLASSES, rows // 2):
        return []
    counted = f"olumn '{labels.column}' has {len(found.names)} distinct values in {rows} rows"
    if named:
        return [f"Label c{counted}: a class has two texts or fewer on average."]
    raise InputError(
        f"{labels.origin}: c{counted}, so it does not look like labels; choose another `label_column`, or name this "
        f"one there if it is right."
    )
