"""Rows that a lone quote mark turned into one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ntps.tasks.sources.table import SeenValues


@dataclass(frozen=True)
class Record:
    """One record of a CSV file.

    Attributes:
        line: Line on which it begins.
        fields: Its fields.
        lines: The lines that it takes.
        delimiter: What stands between two fields.
    """

    line: int
    fields: list[str]
    lines: tuple[str, ...]
    delimiter: str

    def lines_are_rows(self, width: int) -> bool:
        """Whether each of several lines has as many fields as a row, quote marks aside."""
        return len(self.lines) > 1 and all(line.count(self.delimiter) == width - 1 for line in self.lines)

    def within_quotes(self) -> Iterator[tuple[int, list[str]]]:
        """The whole fields of each line that lie within the quotes, with the column of the first of them."""
        split = [line.rstrip("\r\n").split(self.delimiter) for line in self.lines]
        first, *inner, last = split
        odd = [[field.count('"') % 2 == 1 for field in fields] for fields in (first, last)]
        opening = odd[0].index(True) + 1 if True in odd[0] else len(first)
        yield opening, first[opening:]
        yield from ((0, fields) for fields in inner)
        yield 0, last[: odd[1].index(True)] if True in odd[1] else []


def swallows_rows(record: Record, columns: Sequence[SeenValues]) -> bool:
    """Whether the lines within the quotes of a record hold, at the place of a column, what stands in that column.

    Args:
        record: A record whose lines all have as many fields as a row.
        columns: What is written in each column.
    """
    evidence = [
        any(field in columns[place] for place, field in enumerate(fields, start))
        for start, fields in record.within_quotes()
        if fields
    ]
    return bool(evidence) and all(evidence)
