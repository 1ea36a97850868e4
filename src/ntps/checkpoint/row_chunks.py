"""Rows of some texts in files, each written once and whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ntps.files import damaged, write_whole, writing
from ntps.forward.batch_plan import Batch

TEXTS = "texts"
"""Name of the array that says whose rows the others are."""
DIGEST = "sha256"
Arrays = dict[str, NDArray[Any]]


def next_chunk(folder: Path, name: str) -> Path:
    """A file for more rows of a name, after all that are there."""
    last = max((int(path.name.split(".")[-2]) for path in chunks(folder, name)), default=0)
    return folder / f"rows.{name}.{last + 1:06d}.safetensors"


def chunks(folder: Path, name: str) -> list[Path]:
    """The files with rows of a name, in the order in which they were written."""
    return sorted(folder.glob(f"rows.{name}.[0-9]*.safetensors"))


def write_chunk(path: Path, texts: Batch, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes the rows of some texts.

    Args:
        path: The file.
        texts: Whose rows they are.
        arrays: The rows, by name.

    Raises:
        InputError: The disk refuses.
    """
    content = {name: np.ascontiguousarray(array) for name, array in {**arrays, TEXTS: texts}.items()}
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda temporary: save_file(content, temporary, metadata={DIGEST: _digest(content)}))


def chunk_texts(path: Path) -> Batch:
    """Whose rows a file holds.

    Raises:
        InputError: It is damaged.
    """
    with _opened(path) as file:
        return np.asarray(file.get_tensor(TEXTS))


def read_chunk(path: Path) -> tuple[Batch, Arrays]:
    """Reads what :func:`write_chunk` wrote.

    Raises:
        InputError: It is not what was written.
    """
    with _opened(path) as file:
        arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        if (file.metadata() or {}).get(DIGEST) != _digest(arrays):
            raise ValueError("its content was changed")
    return arrays.pop(TEXTS), arrays


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (OSError, SafetensorError, ValueError) as error:
        raise damaged(path) from error


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()
