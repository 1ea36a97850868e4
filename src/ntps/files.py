"""Files of results: their names, and writing each whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ntps.errors import InputError

SCHEMA = 1
"""Version of ``result.json``."""
RESULT, CURVES, MOMENTS, POOLED = "result.json", "curves.parquet", "moments", "pooled"
PROBE = "probe.safetensors"
LEFT_OUT, HELD_OUT = "left_out.safetensors", "held_out.safetensors"
"""What a folder of results may hold."""
INDEX = "index.json"
"""What a folder of arrays says of itself."""
PROGRESS, MANIFEST = "progress", "ledger.json"
"""What a run that is under way keeps beside them."""


def existing(name: str | Path) -> Path | None:
    """The file or folder of a name, ``~`` spelled out; None where nothing is, or can be."""
    try:
        path = Path(name).expanduser()
        return path if str(name) and path.exists() else None
    except (OSError, RuntimeError):  # a name that no file can have, a home of nobody
        return None


def distinct_names(paths: Sequence[str | Path]) -> list[str]:
    """The last part of each path, or as many of its last parts as no other one ends with."""
    parts = [Path(path).parts for path in paths]

    def name(own: tuple[str, ...]) -> str:
        for count in range(1, len(own)):
            if sum(each[-count:] == own[-count:] for each in parts) == 1:
                return str(Path(*own[-count:]))
        return str(Path(*own))

    return list(map(name, parts))


def folder_path(name: str | Path) -> Path:
    """The path of a folder for results.

    Raises:
        InputError: It has no name: an unset variable of a shell would mean the folder where one stands.
    """
    if not str(name).strip():
        raise InputError("`out` is empty: name a folder, or . for the one that you are in")
    return Path(name)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into one clear sentence."""
    try:
        yield
    except Exception as error:
        # Whoever writes arrays has imported it already.
        from safetensors import SafetensorError

        if not isinstance(error, OSError | SafetensorError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot write {path}: {reason}; free the space or choose another folder with `out`"
        ) from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Lets ``write`` fill a temporary file beside ``path`` and renames it: nobody ever sees half a file.

    The file is on disk when this returns, and survives a loss of power.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            write(temporary)
            # Some writers make files that only their owner may read.
            temporary.chmod(0o666 & ~_umask())
            _sync(temporary)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8."""
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any], **options: Any) -> None:
    """Writes JSON that people can read too, whole or not at all.

    Args:
        path: The file.
        content: What it says.
        options: More options of :func:`json.dumps`.
    """
    text = json.dumps(content, indent=1, **options) + "\n"
    write_whole(path, lambda temporary: write_text(temporary, text))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check its rights") from error


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder survive a loss of power, on file systems that can."""
    with suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def damaged(path: Path) -> InputError:
    """The error of a file of the progress that is not what was written."""
    return InputError(
        f"{path} is damaged, so that the run cannot be continued: start again with `overwrite`, or choose another `out`"
    )
