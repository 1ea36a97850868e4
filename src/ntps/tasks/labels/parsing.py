"""What labels mean that are written as text: numbers, lists, missing values or names of classes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import compress
from typing import Literal

from ntps.tasks.labels.labels import Labels, mixed_types
from ntps.tasks.sources.table import short

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,299}")
"""Whole numbers as a computer writes them, so that two writings are two numbers."""
DIGITS = re.compile(r"[+-]?\d{1,300}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
LIST = re.compile(r"\[[^\[\]]*\]")
MISSING_WORDS = frozenset({"n/a", "na", "nan", "none", "null"})
"""Among numbers these mean that there is none; among texts each is the name of a class."""

Notation = Literal["whole number", "decimal", "list", "text"]


def parse_labels(labels: Labels, class_names: tuple[str, ...] | None) -> tuple[Labels, list[str]]:
    """Gives labels that are strings the type that they are written in, in CSV and JSON files alike.

    Args:
        labels: The labels as they were read.
        class_names: Class names; strings that are all among them stay as they are.

    Returns:
        The labels with blanks around strings removed, and what to tell the user.

    Raises:
        InputError: Decimals are mixed with words.
    """
    labels, notes = _stripped(labels)
    column, values = labels.column, labels.values
    typed = [rows.table.typed for rows in labels.splits.values() for _ in rows.texts]
    strings = all(isinstance(label, str) for label in values)
    written = [strings or not known for known in typed]
    distinct = {str(label) for label in compress(values, written)}
    if not distinct or distinct <= set(class_names or ()):
        return labels, notes
    words = {label for label in distinct if label.lower() in MISSING_WORDS}
    present = distinct - words
    notation = _notation(present)
    if notation == "text":
        _check_decimals(labels, written)
        return labels, notes + _text_notes(distinct, words, column)
    if words:
        notes.append(f"{short(min(words))} in label column '{column}' is read as a missing label: it is no {notation}.")
    if notation == "decimal" and strings and any(typed):
        notes.append(f"The numbers in label column '{column}' are written as texts and read as numbers.")
    if notation == "list":
        notes.append(f"The lists in label column '{column}' are written as texts and read as lists.")
    meaning: dict[str, object] = {label: READ[notation](label) for label in present} | dict.fromkeys(words)
    read = [meaning[str(label)] if wanted else label for label, wanted in zip(values, written, strict=True)]
    return labels.read_as(read).where([label is not None for label in read], "missing label"), notes


def _notation(labels: Collection[str]) -> Notation:
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


READ: Mapping[Notation, Callable[[str], object]] = {"whole number": int, "decimal": float, "list": _as_list}


def _stripped(labels: Labels) -> tuple[Labels, list[str]]:
    """The labels without blanks around them, and a note with an example if there were any."""
    blank = {label for label in labels.values if isinstance(label, str) and label != label.strip()}
    if not blank:
        return labels, []
    stripped = labels.read_as(label.strip() if isinstance(label, str) else label for label in labels.values)
    return stripped, [blanks_note(labels.column, blank)]


def blanks_note(column: str, blank: Collection[str]) -> str:
    """Says that blanks around labels were removed."""
    return f"Blanks around labels in column '{column}' are removed, as in {short(min(blank))}."


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


def _check_decimals(labels: Labels, written: Sequence[bool]) -> None:
    """Refuses decimals among words, where a slip of the pen would make classes of a regression task."""
    first: dict[bool, int] = {}
    for index in compress(range(len(written)), written):
        label = str(labels.values[index])
        number = NUMBER.fullmatch(label) is not None
        if "." in label if number else label.lower() not in MISSING_WORDS:
            first.setdefault(number, index)
    if len(first) == 2:
        raise mixed_types(labels, first[True], first[False])
