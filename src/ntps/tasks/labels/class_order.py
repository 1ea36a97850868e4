"""What class numbers mean where each table has names of its own for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ntps.errors import InputError
from ntps.tasks.labels.classes import unknown_class
from ntps.tasks.sources.rows import Rows


def class_order(
    class_names: tuple[str, ...] | None, features: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Brings the class names of several tables into one order.

    Args:
        class_names: Names that hold for all, and call the classes of the first table otherwise if they are not its own.
        features: Class names of each table, as it numbers them.

    Returns:
        The names as the tables write them, in the order of class numbers, and what to call the classes.

    Raises:
        InputError: The names that hold for all cannot be matched with those of the tables.
    """
    first = features[0]
    order = class_names if class_names and set(first) <= set(class_names) else first
    new = tuple(dict.fromkeys(name for names in features for name in names if name not in order))
    names = class_names or order
    if new and (len(names) != len(order) or set(names) & set(new)):
        raise InputError(
            f"{len(names)} names of classes are given, {', '.join(names)}, but the tables name {len(order + new)}, "
            f"{', '.join(order + new)}: name the same classes, or leave the names to the tables."
        )
    return order + new, names + new


def renumbered(rows: Rows, column: str, order: tuple[str, ...]) -> Rows:
    """The rows with their class numbers, which go by the names of their own table, counted in a common order.

    Raises:
        InputError: A number has no name.
    """
    own = rows.table.class_names.get(column)
    if own is None or own == order:
        return rows
    numbers = [order.index(name) for name in own]

    def renumber(row: int, label: object) -> object:
        if isinstance(label, list):
            return [renumber(row, item) for item in label]
        if isinstance(label, float) and label.is_integer():
            label = int(label)
        if not isinstance(label, int) or label < 0:
            return label
        if label >= len(numbers):
            raise unknown_class(rows.at(row), label, column, own)
        return numbers[label]

    return replace(rows, labels=[renumber(row, label) for row, label in enumerate(rows.labels)])
