"""A folder of results belongs to one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ntps.checkpoint.owned_files import (
    LOCK,
    OWNED,
    PARTS,
    RESULTS,
    digest,
    erase,
    give_back,
    read_account,
    sweep,
    take,
    write_account,
)
from ntps.errors import InputError
from ntps.files import RESULT
from ntps.jobs.record import Record

ATTEMPTS = 10
"""How often a folder that vanishes while its lock is taken is made again."""


class FolderInUse(InputError):
    """Another run is writing to the folder."""


@contextmanager
def claim_folder(
    folder: Path, overwrite: bool, writes: Iterable[str] = (*RESULTS, *PARTS), reads: Iterable[object] = ()
) -> Iterator[None]:
    """Makes sure, before any work is done, that results can be written to a folder, alone, and overwrite nothing.

    What was made for this, and is not needed, is gone afterwards.

    Args:
        folder: The folder.
        overwrite: Whether a result of ntps may be replaced.
        writes: Patterns of the files that will be written.
        reads: What is read meanwhile, and may be no path.

    Raises:
        FolderInUse: Another run writes to it.
        InputError: The folder cannot be written, it holds a result and ``overwrite`` is false, or it holds something
            that ntps did not write where it would write.
    """
    made = [parent for parent in (folder, *folder.absolute().parents) if not os.path.lexists(parent)]
    lock = FileLock(folder / LOCK)
    try:
        _acquire(lock, folder)
    except Timeout as error:
        raise FolderInUse(f"another run is writing to {folder}: wait until it ends, or choose another `out`") from error
    except OSError as error:
        _remove_empty(made)
        raise InputError(f"cannot write to {folder}: {error.strerror}; choose another folder with `out`") from error
    ended = False
    try:
        account = read_account(folder)
        if not overwrite and account.run is None and account.owns(RESULT) and (folder / RESULT).exists():
            raise occupied(folder)
        take(folder, writes, reads)
        if overwrite:
            write_account(folder, replace(read_account(folder), run=None))
        sweep(folder, (OWNED, *read_account(folder).wrote))
        yield
        ended = True
    finally:
        with suppress(InputError):
            give_back(folder, ended)
        # While it is still locked; whoever has opened it meanwhile notices that it has no name any more.
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        _remove_empty(made)


def _acquire(lock: FileLock, folder: Path) -> None:
    """Takes the lock, which the system releases when the process ends, however it ends."""
    for attempt in range(1, ATTEMPTS + 1):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # Whoever held it may just be leaving, with its name.
            lock.acquire(timeout=0.1, poll_interval=0.02)
        except FileNotFoundError:
            # Whoever left took the empty folder away too.
            if attempt == ATTEMPTS:
                raise
        else:
            return


def occupied(folder: Path) -> InputError:
    """The error of a result that may not be replaced."""
    return InputError(f"{folder} already holds a result: use `overwrite` to replace it, or another `out`")


def clear_folder(folder: Path, run: Mapping[str, Any] | None = None) -> None:
    """Removes an older result, so that nothing of it stands beside the new one, whatever happens meanwhile.

    Args:
        folder: The folder.
        run: What identifies the run whose result will stand there, for :func:`left_behind`.
    """
    take(folder, RESULTS)
    erase(folder, RESULTS)
    write_account(folder, replace(read_account(folder), run=None if run is None else digest(run)))


def left_behind(folder: Path, run: Mapping[str, Any]) -> bool:
    """Whether a run has left its whole result already, and was killed before it ended.

    Raises:
        InputError: Another run did so.
    """
    account = read_account(folder)
    if account.run is None or not (folder / RESULT).exists():
        return False
    if account.run != digest(run):
        raise occupied(folder)
    return True


def replace_result(folder: Path, record: Record) -> None:
    """Writes a record to a folder that was claimed, in the place of an older result.

    Raises:
        InputError: The disk refuses, or another run was killed when its result was there.
    """
    run = {
        name: value for name, value in record.result.to_dict().items() if name not in ("created", "command", "timing")
    }
    if not left_behind(folder, run):
        clear_folder(folder, run)
        record.write(folder)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
