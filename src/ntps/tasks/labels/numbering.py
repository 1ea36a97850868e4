"""What class numbers mean where each table has names of its own for them."""

from __future__ import annotations

from collections.abc import Sequence

from ntps.tasks.labels.classes import unknown_class
from ntps.tasks.sources.rows import Rows


def class_order(
    known: tuple[str, ...] | None, features: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Brings the class names of several tables into one order.

    Args:
        known: Names that hold for all, and call the classes of the first table otherwise if they are not its own.
        features: Class names of each table, as it numbers them.

    Returns:
        The names as the tables write them, in the order of class numbers, and what to call the classes.
    """
    first = features[0]
    order = known if known and set(first) <= set(known) else first
    new = tuple(dict.fromkeys(name for names in features for name in names if name not in order))
    return order + new, (known or order) + new


def numbered(rows: Rows, column: str, order: tuple[str, ...]) -> Rows:
    """The rows with their class numbers read by the names of their own table, as places in a common order.

    Raises:
        InputError: A number has no name.
    """
    own = rows.table.class_names.get(column)
    if own is None or own == order[: len(own)]:
        return rows
    places = [order.index(name) for name in own]

    def place(row: int, label: object) -> object:
        if isinstance(label, list):
            return [place(row, item) for item in label]
        if not isinstance(label, int) or label < 0:
            return label
        if label >= len(places):
            raise unknown_class(rows.at(row), label, column, own)
        return places[label]

    return rows.with_labels(place(row, label) for row, label in enumerate(rows.labels))
