"""Which texts belong together, as a column says."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.tasks.sources.rows import Rows
from ntps.tasks.sources.table import is_missing, short


def group_numbers(splits: Mapping[str, Rows]) -> dict[str, NDArray[np.int64] | None]:
    """Numbers the groups of all splits of a task alike: equal values are one group, in whichever split they stand.

    Returns:
        The number of each row's group by split; None for a split without a column of groups.

    Raises:
        InputError: A row has no group, or one that is no single value, or groups are of different types.
    """
    numbers: dict[object, int] = {}
    first: dict[str, tuple[Rows, int]] = {}
    for rows in splits.values():
        for row, value in enumerate(rows.groups or ()):
            first.setdefault(_type_of(rows, row, value), (rows, row))
            numbers.setdefault(value, len(numbers))
    if len(first) > 1:
        raise _mixed_types(*list(first.values())[:2])
    return {
        name: None if rows.groups is None else np.array([numbers[value] for value in rows.groups], dtype=np.int64)
        for name, rows in splits.items()
    }


def _type_of(rows: Rows, row: int, value: object) -> str:
    """What kind of value a group is: a number, whole or not, or a type of its own."""
    if is_missing(value):
        raise InputError(
            f"{rows.at(row)}: no group in column '{rows.columns.group}'; give every text one, and a text that belongs "
            f"with no other one of its own."
        )
    if not isinstance(value, Hashable):
        raise InputError(
            f"{rows.at(row)}: group column '{rows.columns.group}' holds {short(value)} ({type(value).__name__}), which "
            f"is no group; use texts or numbers, or choose another `group_column`."
        )
    found = type(value).__name__
    return "number" if found in ("int", "float", "Decimal") else found


def _mixed_types(former: tuple[Rows, int], latter: tuple[Rows, int]) -> InputError:
    (there, earlier), (here, row) = former, latter
    values = [short(rows.groups[index]) for rows, index in (latter, former) if rows.groups is not None]
    return InputError(
        f"{here.at(row)}: group column '{here.columns.group}' mixes kinds, {values[0]} here and {values[1]} at "
        f"{there.at(earlier)}; write all groups the same way."
    )
