"""Which columns hold the texts and the labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ntps.errors import InputError
from ntps.tasks.sources.table import SeenValues, Table, is_missing, is_number

TEXT_NAMES = frozenset(
    {"body", "comment", "content", "context", "document", "headline", "message", "question", "query", "review"}
    | {"sentence", "sms", "text", "title", "tweet", "utterance"}
)
LABEL_NAMES = frozenset(
    {"answerkey", "category", "class", "emotion", "intent", "label", "labels", "rating", "score", "sentiment", "stars"}
    | {"tag", "target", "y"}
)
NOT_TEXT = re.compile(
    r"(.*[_-])?(id|idx|index|uid|guid|uuid|url|lang|language|split)|__index_level_\d+__", re.IGNORECASE
)
PEEK = 1000
"""Rows that are looked at to tell what a column holds."""


@dataclass(frozen=True)
class Columns:
    """The chosen columns; several text columns are joined with a space."""

    text: tuple[str, ...]
    label: str
    group: str | None = None
    notes: tuple[str, ...] = ()


def choose_columns(
    table: Table, text: Sequence[str] = (), label: str | None = None, group: str | None = None
) -> Columns:
    """Takes the named columns, and detects those that are not named.

    Args:
        table: The split that is scored.
        text: Names of the text columns, in the order of joining; detected if empty.
        label: Name of the label column; detected if None.
        group: Name of the column of groups, if there is one; it may be a text column too.

    Raises:
        InputError: A named column does not exist, or no single column stands out.
    """
    require_columns(table, [*text, *([label] if label else []), *([] if group is None else [group])])
    if not text and not label and group is None:
        _require_header(table)
    if label in text:
        raise InputError(f"{table.origin}: column '{label}' is named both as text and as label; choose two columns.")
    if len(set(text)) < len(text):
        raise InputError(f"{table.origin}: a text column is named twice; name each once, in the order of joining.")
    if label is not None and label == group:
        raise InputError(f"{table.origin}: column '{label}' is named both as label and as group; choose two columns.")
    offered = [name for name in table.columns if name != group]
    texts = [name for name in offered if not NOT_TEXT.fullmatch(name) and _holds_texts(table, name)]
    found_label = label or _find_label(table, offered, text, texts)
    notes = []
    if not text:
        candidates = [name for name in texts if name != found_label]
        text = (_find_text(table, found_label, candidates),)
        others = [name for name in candidates if name not in text]
        left = f"; other columns that hold texts: {_listed(others)}" if others else ""
        notes.append(f"Text column '{text[0]}' was detected{left}.")
    if label is None:
        notes.append(f"Label column '{found_label}' was detected.")
    return Columns(tuple(text), found_label, group, tuple(notes))


def require_columns(table: Table, names: Iterable[str], remedy: str = "") -> None:
    """Raises an InputError if a column does not exist; ``remedy`` says what to do."""
    for name in names:
        if name not in table.columns:
            raise InputError(
                f"{table.origin} has no column '{name}': its columns are {_listed(table.columns)}{remedy}."
            )


def _require_header(table: Table) -> None:
    """Refuses a CSV file whose first line looks like the others, as far as nobody names its columns."""
    names = list(table.columns)
    # pandas numbers columns that have no names.
    numbered = names == [str(index) for index in range(len(names))]
    known = any(name.lower() in TEXT_NAMES | LABEL_NAMES or NOT_TEXT.fullmatch(name) for name in names)
    if table.typed or numbered or known:
        return
    if any(name in SeenValues(table.values(name, PEEK)) for name in names):
        raise InputError(
            f"{table.origin}: the first line, {_listed(names)}, looks like a row and not like names of columns; put a "
            f"line of names above it, or choose columns with `text_columns` and `label_column`."
        )


def _find_label(table: Table, offered: Sequence[str], text: Sequence[str], texts: Sequence[str]) -> str:
    names = [name for name in offered if name not in text]
    for exact in ("label", "labels"):
        if exact in names:
            return exact
    classes = [name for name in names if name in table.class_names]
    known = [name for name in names if name.lower() in LABEL_NAMES]
    rest = [name for name in names if name not in texts] if len(offered) == 2 else []
    candidates = classes or known or rest
    if len(candidates) != 1:
        trouble = f"has labels in {_listed(candidates)}, perhaps" if candidates else "has no column of labels by name"
        raise InputError(f"{table.origin} {trouble}: choose one of {_listed(names)} with `label_column`.")
    return candidates[0]


def _find_text(table: Table, label: str, candidates: Sequence[str]) -> str:
    if "text" in candidates:
        return "text"
    known = [name for name in candidates if name.lower() in TEXT_NAMES]
    for choice in (candidates, known):
        if len(choice) == 1:
            return choice[0]
    if candidates:
        raise InputError(
            f"{table.origin} has several columns that could be the text, {_listed(candidates)}: choose one with "
            f"`text_columns`, or a pair by giving it twice."
        )
    for name in table.columns:
        if isinstance(next(iter(_present(table, name)), None), bytes):
            raise InputError(f"{table.origin}: column '{name}' holds bytes; write its texts as strings.")
    raise InputError(
        f"{table.origin} has no column of texts beside the label column '{label}': choose one of "
        f"{_listed(table.columns)} with `text_columns`, or another `label_column`."
    )


def _present(table: Table, column: str) -> list[object]:
    return [value for value in table.values(column, PEEK) if not is_missing(value)]


def _holds_texts(table: Table, column: str) -> bool:
    """Whether most values are texts, so that the few that are not can be named later."""
    present = _present(table, column)
    texts = [value for value in present if isinstance(value, str) and (table.typed or not is_number(value))]
    return 2 * len(texts) > len(present)


def _listed(names: Iterable[str]) -> str:
    shown = [f"'{name[:40]}'" for name in names]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")
