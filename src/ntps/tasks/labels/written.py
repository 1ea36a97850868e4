"""What labels mean that are written as text: numbers, lists, missing values or names of classes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal, cast

from ntps.tasks.labels.encoded import Parts, mixed, short

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,299}")
"""Whole numbers as a computer writes them, so that two writings are two numbers."""
DIGITS = re.compile(r"[+-]?\d{1,300}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
LIST = re.compile(r"\[[^\[\]]*\]")
MISSING_WORDS = frozenset({"n/a", "na", "nan", "none", "null"})
"""Among numbers these mean that there is none; among texts each is the name of a class."""

Written = Literal["whole number", "decimal", "list", "text"]


def read_written(parts: Parts, column: str, known: tuple[str, ...] | None) -> tuple[Parts, list[str]]:
    """Gives labels that are strings the type that they are written in, in CSV and JSON files alike.

    Args:
        parts: Rows by split.
        column: Name of the label column, for messages.
        known: Class names; strings that are all among them stay as they are.

    Returns:
        The parts with blanks around strings removed, and what to tell the user.

    Raises:
        InputError: Decimals stand beside words.
    """
    parts, notes = _stripped(parts, column)
    strings = all(isinstance(label, str) for rows in parts.values() for label in rows.labels)
    chosen = {name: rows for name, rows in parts.items() if strings or not rows.table.typed}
    distinct = {str(label) for rows in chosen.values() for label in rows.labels}
    if not distinct or distinct <= set(known or ()):
        return parts, notes
    words = {label for label in distinct if label.lower() in MISSING_WORDS}
    present = distinct - words
    written = _written(present)
    if written == "text":
        _check_decimals(chosen, column)
        return parts, notes + _text_notes(distinct, words, column)
    if words:
        notes.append(f"{short(min(words))} in label column '{column}' is read as a missing label: it is no {written}.")
    for name, rows in chosen.items():
        chosen[name] = rows.where([label not in words for label in rows.labels], "missing label")
    if written == "decimal" and any(rows.table.typed for rows in chosen.values()):
        notes.append(f"The numbers in label column '{column}' are written as texts and read as numbers.")
    if written == "list":
        notes.append(f"The lists in label column '{column}' are written as texts and read as lists.")
    meaning: dict[str, object] = {label: READ[written](label) for label in present}
    read = {name: rows.with_labels(meaning[str(label)] for label in rows.labels) for name, rows in chosen.items()}
    return {**parts, **read}, notes


def _written(labels: Collection[str]) -> Written:
    """What all of some distinct strings are."""
    if not labels:
        return "text"
    if all(WHOLE.fullmatch(label) for label in labels):
        return "whole number"
    if all(NUMBER.fullmatch(label) for label in labels):
        return "text" if all(DIGITS.fullmatch(label) for label in labels) else "decimal"
    return "list" if all(_as_list(label) is not None for label in labels) else "text"


def _as_list(label: str) -> list[object] | None:
    """A list without lists in it, as JSON or as Python writes it; None for anything else."""
    if not LIST.fullmatch(label):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(label)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list) else None
    return None


READ: Mapping[Written, Callable[[str], object]] = {"whole number": int, "decimal": float, "list": _as_list}


def _stripped(parts: Parts, column: str) -> tuple[Parts, list[str]]:
    """The parts without blanks around labels, of which an example is told where that makes two writings one."""
    labels = {label for rows in parts.values() for label in rows.labels if isinstance(label, str)}
    blank = {label for label in labels if label != label.strip()}
    if not blank:
        return parts, []
    parts = {
        name: rows.with_labels(label.strip() if isinstance(label, str) else label for label in rows.labels)
        for name, rows in parts.items()
    }
    return parts, [blanks_note(column, blank)]


def blanks_note(column: str, blank: Collection[str]) -> str:
    """Tells that blanks around labels were removed."""
    return f"Blanks around labels in column '{column}' are left out, as in {short(min(blank))}."


def _text_notes(distinct: Collection[str], words: Collection[str], column: str) -> list[str]:
    """What a reader may have meant otherwise."""
    notes = []
    numbers = sorted(label for label in distinct if DIGITS.fullmatch(label))
    others = sorted(set(distinct) - set(numbers) - set(words))
    if numbers and others:
        notes.append(
            f"Label column '{column}' holds numbers beside words, such as {short(numbers[0])} and {short(others[0])}: "
            f"each is the name of a class."
        )
    if words:
        notes.append(
            f"{short(min(words))} in label column '{column}' is the name of a class, as all words are; leave a label "
            f"empty where it is unknown."
        )
    return notes


def _check_decimals(parts: Parts, column: str) -> None:
    """Refuses decimals beside words, where a slip of the pen would make classes of a regression task."""
    first: dict[bool, tuple[str, object]] = {}
    for rows in parts.values():
        for row, label in enumerate(cast("list[str]", rows.labels)):
            number = NUMBER.fullmatch(label) is not None
            counts = "." in label if number else label.lower() not in MISSING_WORDS
            if counts and number not in first:
                first[number] = (rows.at(row), label)
    if len(first) == 2:
        raise mixed(column, first[True], first[False])
