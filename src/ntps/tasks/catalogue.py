"""What is known by name, and what of it is at hand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ntps.errors import InputError
from ntps.files import existing
from ntps.tasks.embedded.docstrings import docstring_source
from ntps.tasks.registry import EMBEDDED, REGISTRY, Entry
from ntps.tasks.sources.local import described, holds_task

DATA_VARIABLE = "NTPS_DATA"


@dataclass(frozen=True)
class KnownTask:
    """One row of the table that ``ntps tasks`` prints.

    Attributes:
        name: What to write for TASK.
        hub_id: Dataset on the hub; None for the embedded task.
        classes: Number of classes, if known: of the local copy if there is one, else on the hub.
        train_rows: Rows of the train split, likewise.
        test_rows: Rows of the test split, likewise.
        local: The local copy's folder, if there is one under the data folder.
        licence: As the dataset's card states it.
        checked: Whether the entry could be checked against the dataset's card.
        remark: What else a user of the local copy, or of the hub, should know.
    """

    name: str
    hub_id: str | None
    classes: int | None
    train_rows: int | None
    test_rows: int | None
    local: Path | None
    licence: str
    checked: bool
    remark: str = ""


def known_tasks(data_dir: str | Path | None = None) -> list[KnownTask]:
    """Lists the embedded task and the registry.

    Args:
        data_dir: Folder that may hold local copies; else the environment variable ``NTPS_DATA``.
    """
    remark = "Docstrings of six libraries; needs no network."
    source = docstring_source()
    classes, (train, test) = len(source.label_names or ()), (len(source.read(split)) for split in source.splits)
    embedded = KnownTask(EMBEDDED, None, classes, train, test, None, "PSF, BSD, Apache 2.0", True, remark)
    return [embedded] + [_known(entry, local_copy(entry, data_dir)) for entry in REGISTRY.values()]


def local_copy(entry: Entry, data_dir: str | Path | None) -> Path | None:
    """The folder with a registry task's local copy, if it is at hand: in the data folder, or that folder itself.

    Raises:
        InputError: The data folder does not exist.
    """
    folder = _data_folder(data_dir)
    if folder is None:
        return None
    copy = folder / entry.name
    if copy.is_dir() and holds_task(copy):
        return copy
    return folder if folder.resolve().name == entry.name and holds_task(folder) else None


def refuse_folder_of_a_task(entry: Entry, data_dir: str | Path | None) -> None:
    """Refuses a data folder that is the folder of one task, where another task is asked for.

    Raises:
        InputError: So it is: the task would be looked for on the hub, where its copy may stand beside that folder.
    """
    folder = _data_folder(data_dir)
    if folder is None or not holds_task(folder) or any((folder / name).is_dir() for name in REGISTRY):
        return
    raise InputError(
        f"The data folder {folder} holds the files of one task itself, and no folder {entry.name}: set `data_dir` or "
        f"{DATA_VARIABLE} to the folder above it, which holds a folder for each task, or give {folder} as the task."
    )


def _data_folder(data_dir: str | Path | None) -> Path | None:
    named = data_dir if data_dir is not None else os.environ.get(DATA_VARIABLE) or None
    if named is None:
        return None
    folder = existing(named)
    if folder is None or not folder.is_dir():
        raise InputError(f"The data folder {named} does not exist: correct `data_dir` or {DATA_VARIABLE}.")
    return folder


def _known(entry: Entry, copy: Path | None) -> KnownTask:
    if copy is None:
        classes, (train, test), remark = entry.classes, entry.hub_rows or (None, None), entry.hub_remark
    else:
        (train, test), classes, remark = *_described_sizes(copy), entry.copy_remark
    return KnownTask(entry.name, entry.hub_id, classes, train, test, copy, entry.licence, entry.checked, remark)


def _described_sizes(copy: Path) -> tuple[tuple[int | None, int | None], int | None]:
    """Rows and classes as the description beside the splits tells them; counting would mean reading all texts."""
    said = described(copy)
    rows, names = said.get("rows"), said.get("label_names")
    counts = [rows.get(split) if isinstance(rows, dict) else None for split in ("train", "test")]
    train, test = (count if isinstance(count, int) else None for count in counts)
    return (train, test), len(names) if isinstance(names, list) else None
