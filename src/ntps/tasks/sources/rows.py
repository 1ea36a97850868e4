"""The rows of a table that have a text and a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from ntps.errors import InputError
from ntps.tasks.sources.columns import Columns, require_columns
from ntps.tasks.sources.table import ABSENT, Table, is_missing


@dataclass(frozen=True)
class Rows:
    """Usable rows.

    Attributes:
        table: Where they come from.
        columns: The columns that are read.
        texts: Their texts.
        labels: Their labels as read.
        groups: Their groups as read, if a column holds groups.
        numbers: Their indices in the table.
        dropped: Rows that are not used, by reason.
    """

    table: Table
    columns: Columns
    texts: Sequence[str]
    labels: Sequence[object]
    groups: Sequence[object] | None
    numbers: Sequence[int]
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, row: int) -> str:
        """Where a row stands, for an error message."""
        return self.table.at(self.numbers[row])

    def where(self, keep: Sequence[bool], reason: str) -> Rows:
        """The rows to keep; the others are counted as dropped for the given reason."""
        if all(keep):
            return self
        dropped = Counter(self.dropped) + Counter({reason: len(self) - sum(keep)})
        return replace(
            self,
            texts=list(compress(self.texts, keep)),
            labels=list(compress(self.labels, keep)),
            groups=None if self.groups is None else list(compress(self.groups, keep)),
            numbers=list(compress(self.numbers, keep)),
            dropped=dict(dropped),
        )


def usable_rows(table: Table, columns: Columns) -> Rows:
    """Joins the text columns and drops rows without a text or a label.

    Raises:
        InputError: A column is missing in the table or in one row, or a text is not a string.
    """
    require_columns(table, (*columns.text, columns.label))
    texts, labels, numbers, dropped = list[str](), list[object](), list[int](), Counter[str]()
    for number, (label, text) in enumerate(zip(table.values(columns.label), _joined(table, columns.text), strict=True)):
        _check_cell(table, number, columns.label, label)
        if not text:
            dropped["empty text"] += 1
        elif is_missing(label):
            dropped["missing label"] += 1
        else:
            texts.append(text)
            labels.append(label)
            numbers.append(number)
    named = None if columns.group is None else table.values(columns.group)
    groups = None if named is None else [named[number] for number in numbers]
    return Rows(table, columns, texts, labels, groups, numbers, dict(dropped))


def all_texts(table: Table, columns: Sequence[str]) -> list[str]:
    """The text of every row, of columns joined as in a task.

    Raises:
        InputError: A column is missing in the table or in one row, or a text is empty or not a string.
    """
    require_columns(table, columns, "; name that of the texts with `text_columns`")
    texts = list(_joined(table, columns))
    if not all(texts):
        named = " and ".join(f"'{name}'" for name in columns)
        raise InputError(f"{table.at(texts.index(''))}: no text in column {named}; write one, or remove the row.")
    return texts


def _joined(table: Table, columns: Sequence[str]) -> Iterator[str]:
    cells = zip(*(table.values(name) for name in columns), strict=True)
    for number, values in enumerate(cells):
        parts = [_text(table, number, name, value) for name, value in zip(columns, values, strict=True)]
        yield " ".join(part for part in parts if part.strip())


def _check_cell(table: Table, row: int, column: str, value: object) -> None:
    """Refuses a cell that is not there, and half of a surrogate pair, which JSON can spell and no tokenizer takes."""
    if value is ABSENT:
        raise InputError(f"{table.at(row)}: no column '{column}'; give it in every row, or null where it is unknown.")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{table.at(row)}: column '{column}' holds {value[error.start]!r}, which is half a character; write "
                f"the whole one, or remove it."
            ) from error


def _text(table: Table, row: int, column: str, value: object) -> str:
    """A cell as text; the choices of a multiple-choice question are numbered and joined."""
    _check_cell(table, row, column, value)
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    choices = value.get("text") if isinstance(value, Mapping) else value
    if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
        return " ".join(f"({index}) {choice}" for index, choice in enumerate(choices))
    raise InputError(
        f"{table.at(row)}: column '{column}' holds {str(value)[:40]!r} ({type(value).__name__}) instead of a text; "
        f"write it as a string, or choose another `text_columns`."
    )
