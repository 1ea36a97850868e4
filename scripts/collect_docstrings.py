"""Collect the embedded task from the installed libraries, and the texts of the embedded language model.

The texts are prose of docstrings in the installed sources of the Python standard library and of libraries that ntps
depends on. Nothing is imported or downloaded. Run as ``make collect-docstrings``: the same versions give the same
bytes, and with other versions ``NOTICE`` in the folder must follow.

A hash of each module's name puts the module in one part, under every version: the task's ``train`` or ``test`` split,
or the ``corpus`` or ``heldout`` texts of the embedded language model. No module is in two parts, and a paragraph that
occurs in several modules is kept in one of them.

The libraries' own names (and short names such as ``np``) would give the answer away, so the task replaces each of them,
in the texts of every class, with the word ``library``.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import platform
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Literal

from docstring_prose import blocks, is_prose, keys, mask, opening, plain, shorten
from ntps.tasks.embedded.docstrings import FOLDER, VERSIONS
from ntps.tasks.load import load_task

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

_SKIPPED_FOLDERS = {"test", "tests", "_vendor", "site-packages", "idlelib", "lib2to3", "ensurepip", "turtledemo"}


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
    def hash_fraction(self) -> float:
        """A hash of the name, in [0, 1): it orders modules and decides their part."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:6], "big") / 2**48

    @property
    def part(self) -> Part:
        """The one part whose texts come from this module."""
        share = _TASK_SHARE.get(self.library, 0.0)
        ends: dict[Part, float] = {"train": _TRAIN_SHARE * share, "test": share, "heldout": share + _HELDOUT_SHARE}
        return next((part for part, end in ends.items() if self.hash_fraction < end), "corpus")

    def docstrings(self) -> Iterator[str]:
        """The docstrings of the module, its classes and its functions, in source order; none if it does not parse."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's sources
            try:
                tree = ast.parse(self.path.read_bytes())
            except (SyntaxError, ValueError):
                return
        for node in _documented([tree]):
            if text := ast.get_docstring(node):
                yield text


def split(name: Literal["train", "test"], seen: set[str]) -> list[dict[str, str]]:
    """Collect one split of the task, balanced over the classes, its texts in the order of their hashes.

    Args:
        name: The split.
        seen: Keys of the paragraphs that other texts have; those of this split are added.
    """
    found = [list(islice(_opening_texts(label, name, seen), _TEXTS_PER_CLASS[name])) for label in LABELS]
    for label, texts in zip(LABELS, found, strict=True):
        if len(texts) < (fewest := _FEWEST_PER_CLASS[name]):
            raise SystemExit(
                f"The task needs {fewest} {name} docstrings of {label} and found {len(texts)}: "
                f"install {label} with its Python sources."
            )
    size = min(map(len, found))
    rows = [{"label": label, "text": text} for label, texts in zip(LABELS, found, strict=True) for text in texts[:size]]
    return sorted(rows, key=lambda row: hashlib.sha256(row["text"].encode()).digest())


def heldout_texts() -> tuple[str, ...]:
    """Read the texts that measure the embedded language model: all prose of the docstrings of the held-out modules.

    Returns:
        One text per docstring, its paragraphs on lines of their own; none of them is in the embedded task.
    """
    return tuple(_full_texts("heldout", _task_keys()))


def training_texts() -> tuple[str, ...]:
    """Read the texts that the embedded language model learns from, of all modules that are left.

    Returns:
        Texts as those of :func:`heldout_texts`, sharing no paragraph with these or with the task.
    """
    return tuple(_full_texts("corpus", _task_keys() | keys(heldout_texts())))


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
        SystemExit: If the library is not installed.
    """
    listed = (module for module in _source_modules(library) if module.part == part)
    return sorted(listed, key=lambda module: (module.hash_fraction, module.name))


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
        raise SystemExit(f"The package {library!r} is not installed: install ntps with its dependencies.")
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


def _documented(nodes: Iterable[ast.AST]) -> Iterator[_Documented]:
    """The nodes that can have a docstring; expressions, most of a tree, hold none and are not visited."""
    for node in nodes:
        if isinstance(node, _Documented):
            yield node
        for block in ("body", "orelse", "handlers", "finalbody"):
            yield from _documented(getattr(node, block, ()))


def _opening_texts(label: str, part: Part, seen: set[str]) -> Iterator[str]:
    """The masked opening prose of docstrings, a few from each module, none twice."""
    for module in modules(label, part):
        texts = (shorten(mask(paragraph) for paragraph in opening(text)) for text in module.docstrings())
        long_enough = (text for text in texts if len(text.split()) >= _FEWEST_WORDS)
        yield from islice(_unseen(long_enough, seen), _TEXTS_PER_MODULE)


def _full_texts(part: Part, seen: set[str]) -> Iterator[str]:
    """All prose paragraphs of all docstrings of a part, no paragraph twice."""
    for library in corpus_libraries():
        for module in modules(library, part):
            for docstring in module.docstrings():
                paragraphs = (plain(lines) for lines in blocks(docstring))
                if text := "\n".join(_unseen(filter(is_prose, paragraphs), seen)):
                    yield text


def _unseen(texts: Iterable[str], seen: set[str]) -> Iterator[str]:
    """The texts whose paragraphs are all new; adds these to ``seen``."""
    for text in texts:
        found = keys([text])
        if found.isdisjoint(seen):
            seen |= found
            yield text


def _task_keys() -> set[str]:
    task = load_task()
    return {key for split in (task.train, task.test) if split is not None for key in keys(split.texts)}


def main(folder: Path) -> None:
    """Write the two splits of the embedded task, a text and its label per line, and the versions of the libraries."""
    seen: set[str] = set()
    for name in ("train", "test"):
        lines = [json.dumps(row) + "\n" for row in split(name, seen)]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    versions = {label: _version(label) for label in LABELS}
    (folder / VERSIONS).write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the task")
    main(parser.parse_args().out)
