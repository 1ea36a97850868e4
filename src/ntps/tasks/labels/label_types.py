"""The type that labels have: whole numbers, decimals, texts, truth values or lists."""

from __future__ import annotations

from typing import Literal

from ntps.errors import InputError
from ntps.tasks.labels.labels import Labels, mixed_types
from ntps.tasks.sources.table import short

LabelType = Literal["truth value", "whole number", "decimal", "text", "list"]

LABEL_TYPES: dict[type, LabelType] = {
    bool: "truth value",
    int: "whole number",
    float: "decimal",
    str: "text",
    list: "list",
}


def label_type(labels: Labels) -> LabelType:
    """The one type that all labels have; whole numbers among decimals are decimals.

    Raises:
        InputError: Types are mixed, or a value cannot be a label.
    """
    first: dict[LabelType, int] = {}
    for index, value in enumerate(labels.values):
        found = LABEL_TYPES.get(type(value))
        if found is None:
            raise InputError(
                f"{labels.at(index)}: label column '{labels.column}' holds {short(value)} ({type(value).__name__}), "
                f"which is no label; use numbers, texts or lists, or choose another `label_column`."
            )
        first.setdefault(found, index)
    if first.keys() == {"whole number", "decimal"}:
        return "decimal"
    if len(first) > 1:
        raise mixed_types(labels, *list(first.values())[:2])
    return next(iter(first), "text")
