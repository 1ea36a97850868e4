"""Rows as they were read, before anything is decided about them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING

from ntps.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


class Absent(Enum):
    """The value of a row that has no such column at all, which is not the same as a null."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True)
class Table:
    """Columns of one split.

    Attributes:
        origin: What errors call it: a path, or a hub id with its split.
        columns: Values by column name, all of one length; those of Arrow become Python values when they are asked for.
        lines: Line of each row in its file; None where rows are counted from 1.
        typed: Whether values have types; those of a CSV file are all strings.
        class_names: Names of the classes, for columns whose class-label feature says so.
        first: Rows of the source that stand before.
    """

    origin: str
    columns: Mapping[str, list[object] | pa.ChunkedArray]
    lines: Sequence[int] | None = None
    typed: bool = True
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def at(self, row: int) -> str:
        """Where a row stands, for an error message."""
        if self.lines is None:
            return f"{self.origin}, row {self.first + row + 1}"
        return f"{self.origin}, line {self.lines[row]}"

    def values(self, column: str, most: int | None = None) -> list[object]:
        """The values of a column, or the first of them."""
        found: list[object] | pa.ChunkedArray = self.columns[column][:most]
        return found if isinstance(found, list) else found.to_pylist()


@dataclass(frozen=True)
class JoinedTable(Table):
    """One split whose rows lie in several files.

    Attributes:
        parts: The rows of each file.
    """

    parts: Sequence[Table] = ()

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def at(self, row: int) -> str:
        """Where a row stands, in the file that it is read from."""
        for part in self.parts:
            if row < len(part):
                return part.at(row)
            row -= len(part)
        raise IndexError(row)

    def values(self, column: str, most: int | None = None) -> list[object]:
        """The values of a column in all files, absent in the rows of a file that lacks it."""
        found = (part.values(column, most) if column in part.columns else [ABSENT] * len(part) for part in self.parts)
        return list(islice(chain.from_iterable(found), most))


def joined(origin: str, parts: Sequence[Table]) -> Table:
    """The rows of several files as one table.

    Raises:
        InputError: The files name their classes differently.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if part.class_names != first.class_names:
            raise InputError(
                f"{first.origin} and {part.origin} name their classes differently: write both with the same features."
            )
    columns = {name: values for part in parts for name, values in part.columns.items()}
    return JoinedTable(origin, columns, typed=first.typed, class_names=first.class_names, parts=parts)


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: null, NaN, blank, or no cell at all."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or value is ABSENT or (isinstance(value, str) and not value.strip())


def short(value: object) -> str:
    """A value as errors show it."""
    try:
        shown = repr(value)
    except ValueError:  # a whole number with more digits than Python writes
        shown = "a number of thousands of digits"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def is_number(written: str) -> bool:
    """Whether a string can be read as a number, which ``1_0`` is in Python only."""
    try:
        float(written)
    except ValueError:
        return False
    return "_" not in written


class SeenValues:
    """The values of a column of a CSV file, to tell whether a string looks like one more of them."""

    def __init__(self, values: Iterable[object]) -> None:
        self._values = {str(value) for value in values if not is_missing(value)}
        self._numbers = all(map(is_number, self._values))

    def __contains__(self, written: str) -> bool:
        return written in self._values or (self._numbers and written == written.strip() and is_number(written))
