"""Rows as they were read, before anything is decided about them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING, overload

from ntps.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


class Absent(Enum):
    """Stands where a row has no such column at all, which is not the same as a null."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True)
class Table:
    """Columns of one split.

    Attributes:
        origin: What errors call it: a path, or a hub id with its split.
        columns: Values by column name, all of one length.
        lines: Line of each row in its file; None where rows are counted from 1.
        typed: Whether values have types; those of a CSV file are all strings.
        class_names: Names of the classes, for columns whose class-label feature says so.
    """

    origin: str
    columns: Mapping[str, Sequence[object]]
    lines: Sequence[int] | None = None
    typed: bool = True
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def at(self, row: int) -> str:
        """Where a row stands, for an error message."""
        return f"{self.origin}, row {row + 1}" if self.lines is None else f"{self.origin}, line {self.lines[row]}"


class ArrowColumn(Sequence[object]):
    """A column of an Arrow table that becomes Python values only when they are asked for."""

    def __init__(self, values: pa.ChunkedArray) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[object]: ...
    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            found: list[object] = self._values.slice(start, stop - start).to_pylist()
            return found
        return self._values[index].as_py()

    def __iter__(self) -> Iterator[object]:
        return iter(self._values.to_pylist())


def arrow_table(
    origin: str, rows: pa.Table, class_names: Callable[[pa.Schema], Mapping[str, tuple[str, ...]]]
) -> Table:
    """The columns of an Arrow table, with the names of its classes."""
    columns = {name: ArrowColumn(rows.column(name)) for name in rows.column_names}
    return Table(origin, columns, class_names=class_names(rows.schema))


class JoinedColumn(Sequence[object]):
    """A column whose values lie in several tables."""

    def __init__(self, parts: Sequence[Sequence[object]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[object]: ...
    def __getitem__(self, index: int | slice) -> object:
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            return list(islice(self, chosen.start, chosen.stop, chosen.step))
        return next(islice(self, chosen, None))

    def __iter__(self) -> Iterator[object]:
        return chain.from_iterable(self._parts)


@dataclass(frozen=True)
class JoinedTable(Table):
    """One split whose rows lie in several files.

    Attributes:
        parts: The rows of each file.
    """

    parts: tuple[Table, ...] = ()

    def at(self, row: int) -> str:
        """Where a row stands, in the file that it is read from."""
        for part in self.parts:
            if row < len(part):
                return part.at(row)
            row -= len(part)
        raise IndexError(row)


def joined(origin: str, parts: Sequence[Table]) -> Table:
    """The rows of several files as one table; a column that a file lacks is absent in its rows.

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
    columns = {
        name: JoinedColumn([part.columns.get(name, [ABSENT] * len(part)) for part in parts])
        for name in dict.fromkeys(name for part in parts for name in part.columns)
    }
    return JoinedTable(origin, columns, typed=first.typed, class_names=first.class_names, parts=tuple(parts))


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: null, NaN, blank, or no cell at all."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or value is ABSENT or (isinstance(value, str) and not value.strip())


def is_number(written: str) -> bool:
    """Whether a string can be read as a number, which ``1_0`` is in Python only."""
    try:
        float(written)
    except ValueError:
        return False
    return "_" not in written


class Written:
    """What is written in a column of a CSV file, to tell whether a string looks like one more value of it."""

    def __init__(self, values: Iterable[object]) -> None:
        self._values = {str(value) for value in values if not is_missing(value)}
        self._numbers = all(map(is_number, self._values))

    def __contains__(self, written: str) -> bool:
        return written in self._values or (self._numbers and written == written.strip() and is_number(written))
