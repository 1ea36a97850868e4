"""The form that labels have: whole numbers, decimals, texts, truth values or lists."""

from __future__ import annotations

from typing import Literal, cast

from ntps.errors import InputError
from ntps.tasks.labels.encoded import Parts, mixed, short
from ntps.tasks.sources.rows import Rows

Form = Literal["truth value", "whole number", "decimal", "text", "list"]

FORMS: dict[type, Form] = {
    bool: "truth value",
    int: "whole number",
    float: "decimal",
    str: "text",
    list: "list",
}


def label_form(parts: Parts, column: str) -> Form:
    """The one form that all labels have; whole numbers among decimals are decimals.

    Raises:
        InputError: Forms are mixed, or a value cannot be a label.
    """
    first: dict[Form, tuple[str, object]] = {}
    for rows in parts.values():
        for row, value in enumerate(rows.labels):
            form = FORMS.get(type(value))
            if form is None:
                raise InputError(
                    f"{rows.at(row)}: label column '{column}' holds {short(value)} ({type(value).__name__}), which is "
                    f"no label; use numbers, texts or lists, or choose another --label-column."
                )
            if form not in first:
                first[form] = (rows.at(row), value)
    if first.keys() == {"whole number", "decimal"}:
        return "decimal"
    if len(first) > 1:
        raise mixed(column, *list(first.values())[:2])
    return next(iter(first), "text")


def as_integers(parts: Parts) -> Parts:
    """The same parts with truth values or whole decimals read as whole numbers."""
    return {
        name: rows.with_labels(int(label) for label in cast("list[float]", rows.labels)) for name, rows in parts.items()
    }


def without_hidden(rows: Rows, scored: Rows) -> Rows:
    """A held-out split without its rows if all labels are -1, as benchmarks hide them, and none is that is scored."""
    hidden = {_is_hidden(label) for label in rows.labels} == {True}
    if not hidden or any(_is_hidden(label) for label in scored.labels):
        return rows
    return rows.where([False] * len(rows), "hidden label")


def _is_hidden(label: object) -> bool:
    return label == -1 or (isinstance(label, str) and label.strip() in ("-1", "-1.0"))
