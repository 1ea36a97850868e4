"""The prose of a docstring: its paragraphs without markup, code and tables, and what makes two paragraphs the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_MOST_CHARACTERS = 500
_KEY_LETTERS = 100

_UNDERLINE = re.compile(r"^\s*([-=~^*\"#])\1{2,}\s*$")
_SECTION = re.compile(r"^(Args?|Arguments|Parameters|Attributes|Returns?|Yields|Raises|Examples?|Usage|Notes?)\s*:*$")
_ENTRY = re.compile(r"\W|\w+ (\([^)]*\) ?)?:")
_NOT_PROSE = re.compile(r"^\s*(>>>|\.\.|[|+:@#$]|```)|[\\{}|<>]|%\(|\w\(.*=", re.MULTILINE)
_NOT_LETTER = re.compile(r"[^A-Za-z ]")
_MARKUP = (
    (re.compile(r":[a-z:]+:`[~!.]*([^`<]*?)(?:\s*<[^>]*>)?`"), r"\1"),  # roles: :func:`sum`
    (re.compile(r"`([^`<]*?)\s*<[^>]*>`_+"), r"\1"),  # reStructuredText links
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),  # Markdown links
    (re.compile(r"\[`~?([^`]*)`\]"), r"\1"),  # cross-references of the Hugging Face libraries
    (re.compile(r"<?https?://\S+|</?[A-Za-z][^>]*>|\[[\w#*]+\]_"), ""),  # addresses, HTML tags, citations
    (re.compile(r"(?<![\w*])(\*{1,2})(?=\w)([^*\n]+)\1"), r"\2"),  # emphasis
    (re.compile(r"`+_*|~(?=\w)"), ""),
    (re.compile(r"::(?=\s|$)"), ":"),
    (re.compile(r"\s+"), " "),
)
_LIBRARY_NAME = re.compile(
    r"\b\w*(?:python|numpy|scipy|pandas|torch|transformers|hugging\s?face|matplotlib|pyplot)\w*"
    r"|\b(?:np|pd|plt|mpl\w*|hf(?:_\w*)?)\b",
    re.IGNORECASE,
)


def blocks(docstring: str) -> Iterator[list[str]]:
    """Runs of lines between blank lines."""
    for block in re.split(r"\n\s*\n", docstring):
        yield block.splitlines()


def opening(docstring: str) -> Iterator[str]:
    """The prose paragraphs before a docstring's first section."""
    for lines in blocks(docstring):
        if any(_UNDERLINE.match(line) for line in lines) or _SECTION.match(lines[0].strip()):
            return
        text = plain(lines)
        if is_prose(text) and not text.endswith(":") and not _ENTRY.match(text):
            yield text


def plain(lines: Iterable[str]) -> str:
    """The text of some lines without markup; empty if they are code, a table or a directive."""
    text = "\n".join(line for line in lines if not _UNDERLINE.match(line))
    for pattern, replacement in _MARKUP[:-1]:
        text = pattern.sub(replacement, text)
    if _NOT_PROSE.search(text):
        return ""
    return _MARKUP[-1][0].sub(" ", text).strip()


def is_prose(text: str) -> bool:
    """Whether a text has three words and is nearly all letters."""
    return len(text.split()) >= 3 and len(_NOT_LETTER.findall(text)) <= 0.12 * len(text)


def mask(text: str) -> str:
    """The text with the word ``library`` for every name of a library."""
    return _LIBRARY_NAME.sub("library", text)


def shorten(paragraphs: Iterable[str]) -> str:
    """The first paragraphs that fit the length limit; a longer first one is cut after a sentence, or a word."""
    rest = iter(paragraphs)
    text = next(rest, "")
    if len(text) > _MOST_CHARACTERS:
        start = text[:_MOST_CHARACTERS]
        return start[: start.rfind(". ") + 1] or start[: start.rfind(" ")]
    for paragraph in rest:
        if len(text) + 1 + len(paragraph) > _MOST_CHARACTERS:
            break
        text = f"{text}\n{paragraph}"
    return text


def keys(texts: Iterable[str]) -> set[str]:
    """What identifies the paragraphs of some texts."""
    return {_key(paragraph) for text in texts for paragraph in text.split("\n")}


def _key(paragraph: str) -> str:
    """What two paragraphs share that count as the same: their first letters, whatever the case and the numbers."""
    return re.sub(r"[^a-z]", "", mask(paragraph).lower())[:_KEY_LETTERS]
