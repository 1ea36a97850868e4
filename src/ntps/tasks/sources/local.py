"""Tasks in files and folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ntps.errors import InputError
from ntps.tasks.sources.files import EXTENSIONS, extension, read_table
from ntps.tasks.sources.source import VALIDATION, Source
from ntps.tasks.sources.table import Table, joined

DESCRIPTION = "dataset.json"
"""File beside the splits that may name the classes."""
INNER = "data"
"""Folder inside a dataset's repository that often holds its files."""
SHARD = re.compile(r"(?P<split>.+)-\d{5}-of-(?P<count>\d{5})")
NOT_DATA = re.compile(r"\..*|readme.*|licen[cs]e.*|.*\.md", re.IGNORECASE)
"""Names of files that no one takes for rows."""
ARROW = ("dataset_dict.json", "state.json")
"""Files that ``save_to_disk`` of the datasets library leaves, for all splits and for one."""


def path_source(path: Path) -> Source:
    """A source for a file, which is one split without a test, or for a folder of splits.

    Raises:
        InputError: The folder holds no ``train`` file, or two files for one split.
    """
    if path.is_dir() and not extension(path):
        return _folder_source(path)
    return Source(f"file: {path}", ("train",), lambda _: read_table(path))


def holds_task(folder: Path) -> bool:
    """Whether a folder holds a train file, so that it can be a task."""
    return "train" in split_files(folder)


def _folder_source(folder: Path) -> Source:
    files = split_files(folder)
    if "train" not in files:
        raise InputError(_without_train(folder))

    def read(split: str) -> Table:
        shards = files[split]
        return joined(str(folder / split), [read_table(shard) for shard in shards])

    used = {folder / DESCRIPTION, *(shard for shards in files.values() for shard in shards)}
    places = dict.fromkeys((folder, files["train"][0].parent))
    beside = [place / name for place in places for name in _listed(place) if not NOT_DATA.fullmatch(name)]
    unread = [str(path.relative_to(folder)) for path in beside if path not in used and path not in places]
    notes = (f"In {folder}, {_named(unread)} not read.",) if unread else ()
    return Source(f"folder: {folder}", tuple(files), read, label_names=_names(folder), notes=notes)


def _without_train(folder: Path) -> str:
    if any((folder / name).is_file() for name in ARROW):
        return (
            f"{folder} was written by save_to_disk of the datasets library, whose Arrow format is not read: write each "
            f"split with to_parquet, as train.parquet and test.parquet."
        )
    held = [name for name in _listed(folder) if not NOT_DATA.fullmatch(name)]
    return (
        f"{folder} is a folder without a train file{f' ({_named(held)} there)' if held else ''}: put train.jsonl "
        f"there, or one that ends in {', '.join(EXTENSIONS[1:])}."
    )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more} {'is' if len(names) == 1 else 'are'}"


def split_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files of a folder's splits, by split: one each, or all shards of it; else those of its folder ``data``.

    Raises:
        InputError: The folder cannot be listed, holds two files for one split, or lacks a shard.
    """
    found: dict[str, list[Path]] = {}
    for name in _listed(folder):
        stem = name.split(".")[0].lower()
        shard = SHARD.fullmatch(stem)
        split = shard["split"] if shard else stem
        if extension(folder / name) and split in ("train", "test", *VALIDATION):
            found.setdefault(split, []).append(folder / name)
    if "train" not in found and (folder / INNER).is_dir():
        return split_files(folder / INNER)
    return {split: _whole(files) for split, files in found.items()}


def _whole(files: list[Path]) -> tuple[Path, ...]:
    """The files of one split: a single one, or every shard."""
    shards = [SHARD.fullmatch(file.name.split(".")[0].lower()) for file in files]
    first, count = files[0], int(shards[0]["count"]) if shards[0] else 1
    alike = {(shard and shard["count"], extension(file)) for shard, file in zip(shards, files, strict=True)}
    if len(alike) > 1 or len(files) > count:
        raise InputError(f"{first.parent} holds both {first.name} and {files[1].name}: remove one of them.")
    if len(files) < count:
        raise InputError(f"{first.parent} holds {len(files)} of the {count} files of {first.name}: add the others.")
    return tuple(files)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}): check its rights.") from error


def described(folder: Path) -> dict[str, Any]:
    """What the description beside the splits says; empty if there is none.

    Raises:
        InputError: It cannot be read.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not readable JSON ({error}): correct or remove it.") from error
    return found if isinstance(found, dict) else {}


def _names(folder: Path) -> tuple[str, ...] | None:
    """The ``label_names`` of the description beside the splits, if there is one."""
    path = folder / DESCRIPTION
    names = described(folder).get("label_names")
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: label_names is no list of texts; write one name for each class, in order.")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: label_names has a name twice; give each class its own.")
    return tuple(names)
