"""The embedded task: which library does a docstring document?

The texts are the opening prose of docstrings in the installed sources of the Python standard library and of libraries
that ntps depends on, parsed when the task is loaded. Nothing is imported, downloaded or shipped, so the texts follow
the installed versions, which the task's revision names.

A hash of each module's name puts the module in one part, under every version: the task's ``train`` or ``test`` split,
or the ``corpus`` or ``heldout`` texts of the embedded language model. No module is in two parts, and a paragraph that
occurs in several modules is kept in one of them.

The libraries' own names (and short names such as ``np``) would give the answer away, so the task replaces each of them,
in the texts of every class, with the word ``library``.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import os
import platform
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from ntps.errors import InputError
from ntps.tasks.task import Split, Task

Part = Literal["train", "test", "heldout", "corpus"]
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

LABELS = ("python", "scipy", "pandas", "torch", "transformers", "matplotlib")
"""The classes of the task: the standard library (``python``) and five libraries."""

_CORPUS_ONLY = ("numpy", "datasets", "huggingface_hub", "pyarrow", "rich", "typer", "safetensors")
# Small libraries give the task a large share of their modules, so that all classes have texts enough.
_TASK_SHARE = {"python": 0.2, "scipy": 0.3, "pandas": 0.46, "torch": 0.15, "transformers": 0.15, "matplotlib": 0.46}
_TRAIN_SHARE = 0.7
_HELDOUT_SHARE = 0.03

_TEXTS_PER_CLASS = {"train": 350, "test": 150}
_FEWEST_PER_CLASS = {"train": 240, "test": 100}
_TEXTS_PER_MODULE = 30
_FEWEST_WORDS = 8
_MOST_CHARACTERS = 500
_KEY_LETTERS = 100

_SKIPPED_FOLDERS = {"test", "tests", "_vendor", "site-packages", "idlelib", "lib2to3", "ensurepip", "turtledemo"}

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


@dataclass(frozen=True)
class SourceModule:
    """A module of an installed library, known by its file alone.

    Attributes:
        library: The package that it belongs to, or ``python`` for the standard library.
        name: Dotted name.
        path: Its source file.
    """

    library: str
    name: str
    path: Path

    @cached_property
    def place(self) -> float:
        """A hash of the name, in [0, 1): it orders modules and decides their part."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:6], "big") / 2**48

    @property
    def part(self) -> Part:
        """The one part whose texts come from this module."""
        share = _TASK_SHARE.get(self.library, 0.0)
        ends: dict[Part, float] = {"train": _TRAIN_SHARE * share, "test": share, "heldout": share + _HELDOUT_SHARE}
        return next((part for part, end in ends.items() if self.place < end), "corpus")

    def docstrings(self) -> Iterator[str]:
        """The docstrings of the module, its classes and its functions, in source order; none if it does not parse."""
        with warnings.catch_warnings(), _collector_paused():
            warnings.simplefilter("ignore")  # invalid escapes in other people's sources
            try:
                tree = ast.parse(self.path.read_bytes())
            except (SyntaxError, ValueError):
                return
        for node in _documented([tree]):
            if text := ast.get_docstring(node):
                yield text


def docstring_task() -> Task:
    """Load the embedded task: tell six libraries apart by the prose of their docstrings.

    Returns:
        A balanced task, the same on every call under the same installed versions.

    Raises:
        InputError: If a library's sources hold too few texts, for instance when only bytecode is installed.
    """
    seen: set[str] = set()
    return Task(
        id="docstrings",
        source=f"embedded: docstrings of {', '.join(LABELS)}",
        revision=", ".join(f"{label} {_version(label)}" for label in LABELS),
        kind="classes",
        label_names=LABELS,
        train=_split("train", seen),
        test=_split("test", seen),
        notes=(
            "The label is the library that a docstring documents; the standard library is called python.",
            "Names of the libraries are replaced with the word library in every text.",
            "The train split, the test split and the embedded model's training texts come from disjoint modules.",
        ),
    )


def heldout_texts() -> tuple[str, ...]:
    """Read the texts that measure the embedded language model: all prose of the docstrings of the held-out modules.

    Returns:
        One text per docstring, its paragraphs on lines of their own; none of them is in the task.
    """
    return tuple(_full_texts("heldout", _task_keys()))


def training_texts() -> tuple[str, ...]:
    """Read the texts that the embedded language model learns from, of all modules that are left.

    Returns:
        Texts as those of :func:`heldout_texts`, sharing no paragraph with these or with the task.
    """
    return tuple(_full_texts("corpus", _task_keys() | _keys(heldout_texts())))


def corpus_libraries() -> dict[str, str]:
    """List the libraries that the language model's texts come from, with their installed versions."""
    return {library: _version(library) for library in (*LABELS, *_CORPUS_ONLY)}


def modules(library: str, part: Part) -> list[SourceModule]:
    """List the source modules of one part of a library, in the order of their hashes.

    Args:
        library: Name of an installed package, or ``python`` for the standard library.
        part: The part to list.

    Returns:
        The modules; files and folders of tests are left out.

    Raises:
        InputError: If the library is not installed.
    """
    listed = (module for module in _source_modules(library) if module.part == part)
    return sorted(listed, key=lambda module: (module.place, module.name))


def _source_modules(library: str) -> Iterator[SourceModule]:
    if library == "python":
        root = Path(sysconfig.get_path("stdlib"))
        for name in sorted(sys.stdlib_module_names - _SKIPPED_FOLDERS):
            yield from _modules_under(root / name, name, library)
            if (file := root / f"{name}.py").is_file():
                yield SourceModule(library, name, file)
        return
    spec = find_spec(library)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The package {library!r} is not installed: install ntps with its dependencies.")
    for folder in spec.submodule_search_locations:
        yield from _modules_under(Path(folder), library, library)


def _modules_under(root: Path, package: str, library: str) -> Iterator[SourceModule]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED_FOLDERS]
        prefix = (package, *Path(folder).relative_to(root).parts)
        for file in files:
            if file.endswith(".py"):
                stem = () if file == "__init__.py" else (file.removesuffix(".py"),)
                yield SourceModule(library, ".".join((*prefix, *stem)), Path(folder, file))


def _version(library: str) -> str:
    return platform.python_version() if library == "python" else version(library)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking every new syntax tree again and again, half of the parsing time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _documented(nodes: Iterable[ast.AST]) -> Iterator[_Documented]:
    """The nodes that can have a docstring; expressions, most of a tree, hold none and are not visited."""
    for node in nodes:
        if isinstance(node, _Documented):
            yield node
        for block in ("body", "orelse", "handlers", "finalbody"):
            yield from _documented(getattr(node, block, ()))


def _split(name: Literal["train", "test"], seen: set[str]) -> Split:
    """Read one split, balanced over the classes, its texts in the order of their hashes."""
    found = [list(islice(_opening_texts(label, name, seen), _TEXTS_PER_CLASS[name])) for label in LABELS]
    for label, texts in zip(LABELS, found, strict=True):
        if len(texts) < (fewest := _FEWEST_PER_CLASS[name]):
            raise InputError(
                f"The embedded task needs {fewest} {name} docstrings of {label} and found {len(texts)}: "
                f"install {label} with its Python sources, or name another task."
            )
    size = min(map(len, found))
    rows = [(text, index) for index, texts in enumerate(found) for text in texts[:size]]
    rows.sort(key=lambda row: hashlib.sha256(row[0].encode()).digest())
    return Split(name, [text for text, _ in rows], np.array([index for _, index in rows], dtype=np.int64))


def _opening_texts(label: str, part: Part, seen: set[str]) -> Iterator[str]:
    """The masked opening prose of docstrings, a few from each module, none twice."""
    for module in modules(label, part):
        texts = (_shorten(_mask(paragraph) for paragraph in _opening(text)) for text in module.docstrings())
        long_enough = (text for text in texts if len(text.split()) >= _FEWEST_WORDS)
        yield from islice(_unseen(long_enough, seen), _TEXTS_PER_MODULE)


def _full_texts(part: Part, seen: set[str]) -> Iterator[str]:
    """All prose paragraphs of all docstrings of a part, no paragraph twice."""
    for library in corpus_libraries():
        for module in modules(library, part):
            for docstring in module.docstrings():
                paragraphs = (_plain(lines) for lines in _blocks(docstring))
                if text := "\n".join(_unseen(filter(_is_prose, paragraphs), seen)):
                    yield text


def _blocks(docstring: str) -> Iterator[list[str]]:
    """Runs of lines between blank lines."""
    for block in re.split(r"\n\s*\n", docstring):
        yield block.splitlines()


def _opening(docstring: str) -> Iterator[str]:
    """The prose paragraphs before a docstring's first section."""
    for lines in _blocks(docstring):
        if any(_UNDERLINE.match(line) for line in lines) or _SECTION.match(lines[0].strip()):
            return
        text = _plain(lines)
        if _is_prose(text) and not text.endswith(":") and not _ENTRY.match(text):
            yield text


def _plain(lines: Iterable[str]) -> str:
    """The text of some lines without markup; empty if they are code, a table or a directive."""
    text = "\n".join(line for line in lines if not _UNDERLINE.match(line))
    for pattern, replacement in _MARKUP[:-1]:
        text = pattern.sub(replacement, text)
    if _NOT_PROSE.search(text):
        return ""
    return _MARKUP[-1][0].sub(" ", text).strip()


def _is_prose(text: str) -> bool:
    return len(text.split()) >= 3 and len(_NOT_LETTER.findall(text)) <= 0.12 * len(text)


def _mask(text: str) -> str:
    return _LIBRARY_NAME.sub("library", text)


def _shorten(paragraphs: Iterable[str]) -> str:
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


def _unseen(texts: Iterable[str], seen: set[str]) -> Iterator[str]:
    """The texts whose paragraphs are all new; adds these to ``seen``."""
    for text in texts:
        keys = _keys([text])
        if keys.isdisjoint(seen):
            seen |= keys
            yield text


def _task_keys() -> set[str]:
    task = docstring_task()
    return {key for split in (task.train, task.test) if split is not None for key in _keys(split.texts)}


def _keys(texts: Iterable[str]) -> set[str]:
    return {_key(paragraph) for text in texts for paragraph in text.split("\n")}


def _key(paragraph: str) -> str:
    """What two paragraphs share that count as the same: their first letters, whatever the case and the numbers."""
    return re.sub(r"[^a-z]", "", _mask(paragraph).lower())[:_KEY_LETTERS]
