"""A folder of results belongs to one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ntps.errors import InputError
from ntps.moments.ledger import LEDGER, PROGRESS
from ntps.moments.record import CURVES, INDEX, MOMENTS, POOLED, RESULT
from ntps.moments.storage import writing

LOCK = ".lock"


class FolderInUse(InputError):
    """Another run is writing to the folder."""


@contextmanager
def claim_folder(folder: Path, overwrite: bool) -> Iterator[None]:
    """Makes sure, before any work is done, that results can be written to a folder, alone, and overwrite nothing.

    What was made for this, and is not needed, is gone afterwards.

    Raises:
        FolderInUse: Another run writes to it.
        InputError: The folder cannot be written, or it holds a result and ``overwrite`` is false.
    """
    made = [parent for parent in (folder, *folder.absolute().parents) if not os.path.lexists(parent)]
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The system releases the lock when the process ends, however it ends.
        lock.acquire(blocking=False)
    except Timeout as error:
        raise FolderInUse(f"another run is writing to {folder}: wait until it ends, or choose another --out") from error
    except OSError as error:
        _remove_empty(made)
        raise InputError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out") from error
    try:
        if not overwrite:
            _refuse_occupied(folder)
        _remove_halves(folder)
        yield
    finally:
        # While it is still locked: nobody else can have taken it.
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        _remove_empty(made)


def _refuse_occupied(folder: Path) -> None:
    if (folder / RESULT).exists():
        raise InputError(f"{folder} already holds a result: use --overwrite to replace it, or another --out")
    others = [name for name in (CURVES, MOMENTS, POOLED) if (folder / name).exists()]
    if others and not (folder / PROGRESS / LEDGER).exists():
        raise InputError(
            f"{folder} holds {others[0]}, and nothing says that a run of ntps wrote it: use --overwrite to replace it, "
            "or another --out"
        )


def clear_folder(folder: Path) -> None:
    """Removes an older result, so that nothing of it stands beside the new one, whatever happens meanwhile."""
    moments, pooled = folder / MOMENTS, folder / POOLED
    with writing(folder):
        for file in (folder / RESULT, folder / CURVES, *_moments_files(moments), *_pooled_files(pooled)):
            file.unlink(missing_ok=True)
    _remove_empty([moments, *pooled.glob("*"), pooled])


def _moments_files(moments: Path) -> list[Path]:
    return [*moments.glob("layer.[0-9]*.safetensors"), moments / "targets.safetensors", moments / INDEX]


def _pooled_files(pooled: Path) -> list[Path]:
    # Not those that still lack rows: they belong to the run that is going on.
    return [*pooled.glob("*/layer.[0-9]*.npy"), *pooled.glob(f"*/{INDEX}")]


def _remove_halves(folder: Path) -> None:
    """Temporary files of a run that was killed."""
    for pattern in (f".{RESULT}.*.tmp", f".{CURVES}.*.tmp", f"{MOMENTS}/.*.tmp", f"{POOLED}/*/.*.tmp"):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
