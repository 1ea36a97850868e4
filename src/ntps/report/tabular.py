"""A table that a report shows, in numbers, in Markdown and in HTML."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

Kind = Literal["text", "count", "percent", "points", "decimal", "signed", "p", "seconds"]

HALF: dict[Kind, Kind] = {"points": "percent", "signed": "decimal"}
"""Halves of intervals have no sign."""


@dataclass(frozen=True)
class Column:
    """A column as people read it.

    Attributes:
        key: Its name in the frame.
        heading: Its heading, with the unit.
        kind: How its values are written.
        half: Key of half of the 95 % interval, which stands after the value.
        note: Key of a word that stands after both.
    """

    key: str
    heading: str
    kind: Kind = "text"
    half: str = ""
    note: str = ""

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers, which stand on the right."""
        return self.kind != "text"


@dataclass(frozen=True)
class ReportTable:
    """A table with its caption.

    Attributes:
        name: Of its files.
        title: Above it.
        caption: What its columns mean.
        columns: The columns, in order.
        frame: The numbers, one row a line; columns that are not listed go to the CSV file only.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[Column]
    frame: pd.DataFrame

    def rows(self) -> list[list[tuple[str, str]]]:
        """For each cell what is shown and what it sorts by, which is empty where there is no value."""
        return [
            [(_cell(row, column), "" if missing(row[column.key]) else str(row[column.key])) for column in self.columns]
            for row in self.frame.to_dict("records")
        ]

    def markdown(self) -> str:
        """The table as Markdown, under its title."""
        lines = [[column.heading for column in self.columns]]
        lines.append(["---:" if column.numeric else "---" for column in self.columns])
        lines += [[text for text, _ in row] for row in self.rows()]
        body = "\n".join(f"| {' | '.join(_one_line(cell) for cell in line)} |" for line in lines)
        return f"# {self.title}\n\n{self.caption}\n\n{body}\n"


def _cell(row: Mapping[Hashable, Any], column: Column) -> str:
    """A value, ± half of its interval, and its note."""
    text = written(row[column.key], column.kind)
    if column.half and not missing(row[column.half]):
        text += f" ± {written(row[column.half], HALF.get(column.kind, column.kind))}"
    return f"{text} ({row[column.note]})" if column.note and not missing(row[column.note]) else text


def with_values(columns: Sequence[Column], frame: pd.DataFrame) -> tuple[Column, ...]:
    """The columns that have a value somewhere."""
    return tuple(column for column in columns if not all(missing(value) for value in frame[column.key]))


def written(value: Any, kind: Kind) -> str:
    """A value as people read it; a dash where there is none."""
    if missing(value):
        return "–"
    match kind:
        case "text":
            return str(value)
        case "count":
            return f"{int(value):,}"
        case "percent":
            return f"{100 * value:.1f}"
        case "points":
            return f"{100 * value:+.1f}".replace("-", "−")
        case "decimal":
            return f"{value:.3f}".replace("-", "−")
        case "signed":
            return f"{value:+.2f}".replace("-", "−")
        case "p":
            return p_text(value)
        case "seconds":
            return f"{value:,.1f}"


def p_text(value: float) -> str:
    """A p-value with three digits after the point, never as zero."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def missing(value: object) -> bool:
    """Whether there is no value."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _one_line(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())
