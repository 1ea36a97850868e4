"""Class names whose spelling suggests that something else was meant."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ntps.tasks.labels.parsing import DIGITS, LIST
from ntps.tasks.sources.table import short

FOREIGN_NUMBER = re.compile(r"[+-]?\d[\d.,' ]*\s?%?")
SEPARATORS = re.compile(r"\s*[,;|]\s*")


def spelling_warnings(names: Sequence[str], column: str) -> Iterator[str]:
    """One sentence for each kind of spelling that was taken as it is, with an example.

    Args:
        names: The distinct labels of a column.
        column: Its name.
    """
    digits = [name for name in names if DIGITS.fullmatch(name)]
    if same := _first_alike(digits, lambda name: str(int(name))):
        yield f"{same} in label column '{column}' are classes of their own, as they are written."
    if same := _first_alike([name for name in names if not DIGITS.fullmatch(name)], _folded):
        yield f"{same} in label column '{column}' differ in writing only, and are classes of their own."
    numbers = [name for name in names if FOREIGN_NUMBER.fullmatch(name)]
    if len(numbers) == len(names) > len(digits):
        foreign = next(name for name in names if not DIGITS.fullmatch(name))
        yield (
            f"Label column '{column}' holds numbers that are written as {short(foreign)}, so each is the name of a "
            f"class; write them as 0.5 for a regression task."
        )
    elif combined := _combination(names):
        yield (
            f"Labels in column '{column}' look like lists, such as {short(combined)}, and each combination is taken as "
            f'one class; write them as ["a", "b"] for several labels of a text.'
        )


def _first_alike(names: Sequence[str], key: Callable[[str], str]) -> str | None:
    """The first two names that are alike under a key, as a sentence shows them."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(key(name), name)
        if other != name:
            return f"{short(other)} and {short(name)}"
    return None


def _folded(name: str) -> str:
    """A name without the differences of case, blanks and Unicode forms."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _combination(names: Sequence[str]) -> str | None:
    """A name that is a list, or shares a part between commas, semicolons or bars with another name."""
    parts = {name: set(SEPARATORS.split(name)) for name in names}
    shared = Counter(part for found in parts.values() for part in found)
    for name, found in parts.items():
        if LIST.fullmatch(name) or (len(found) > 1 and any(shared[part] > 1 for part in found)):
            return name
    return None
