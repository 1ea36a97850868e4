"""What ntps wrote into a folder, by its own account there: nothing else is ever replaced, emptied or removed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ntps.errors import InputError
from ntps.files import write_json, writing
from ntps.json_files import Block, Items, read_json

OWNED = ".ntps.json"
"""The account: it names what ntps writes into the folder, and is there before the first of that."""
LOCK = ".ntps.lock"
"""Held while a run writes to the folder."""
LAYERS = ("layer.[0-9]*.safetensors", "targets.safetensors", "index.json")
"""Files of sums, in whatever folder."""
RESULTS = (
    "result.json",
    "curves.parquet",
    "probe.safetensors",
    "left_out.safetensors",
    "held_out.safetensors",
    *(f"moments/{name}" for name in LAYERS),
    *(f"pooled/*/{name}" for name in ("layer.[0-9]*.npy", "targets.npy", "groups.npy", "digests.npy", "index.json")),
)
"""A result with its statistics, as patterns of files like all that follows."""
SAMPLE = "progress/pooled/layer.[0-9]*.npy.part"
"""Pooled texts that are left out in turn, for as long as the run lasts."""
KEPT_PARTS = "pooled/*/layer.[0-9]*.npy.part"
PARTS = (KEPT_PARTS, SAMPLE)
"""Pooled texts that still lack rows, or that are not kept: they belong to the run that is going on."""
ROWS = "rows.*.[0-9]*.safetensors"
"""Rows of texts that a process has computed."""
PROCESS = ("ledger.json", *(f"{sums}/{name}" for sums in ("batch.[0-9]*", "whole") for name in LAYERS), ROWS)
"""The progress of one process, the manifest first: without it the rest means nothing."""
PASS = (*(f"progress/{name}" for name in PROCESS), SAMPLE, *(f"progress/rank.[0-9]*/{name}" for name in PROCESS))
"""The progress of a pass, that of all processes."""


ANOTHER = "choose another `out`"


@dataclass(frozen=True)
class Account:
    """What ntps says about a folder.

    Attributes:
        wrote: Patterns of the files that are its own.
        run: Digest of the run whose result is there, as long as that run has not ended.
    """

    wrote: frozenset[str] = frozenset()
    run: str | None = None

    def owns(self, name: str) -> bool:
        """Whether something with this name, directly in the folder, is its own."""
        return any(_top(pattern) == name for pattern in self.wrote)


class _AccountFile(Block):
    wrote: Items[str]
    run: str | None


def read_account(folder: Path) -> Account:
    """What ntps wrote into a folder; nothing where there is no account.

    Raises:
        InputError: The account cannot be read.
    """
    path = folder / OWNED
    if folder.is_file():
        raise InputError(f"cannot write to {folder}: it is a file and no folder; {ANOTHER}")
    if not os.path.lexists(path):
        return Account()
    remedy = f"nothing says what in {folder} ntps wrote, {ANOTHER}"
    content = read_json(path, _AccountFile, remedy)
    account = Account(frozenset(content.wrote), content.run)
    if path.is_symlink() or {part for each in account.wrote for part in each.split("/")} & {"", ".", "..", "**"}:
        raise InputError(f"{path} is not what ntps writes: {remedy}")
    return account


def write_account(folder: Path, account: Account) -> None:
    """Replaces the account, if it says something else."""
    if account == read_account(folder):
        return
    write_json(folder / OWNED, {"schema": 1, "wrote": sorted(account.wrote), "run": account.run})


def take(folder: Path, patterns: Iterable[str], reads: Iterable[object] = ()) -> None:
    """Says, before they are written, that files are ntps's own.

    Args:
        folder: The folder.
        patterns: What is going to be written there.
        reads: Files and folders that must stay as they are; what is no path is none of them.

    Raises:
        InputError: Something that ntps did not write stands there, or something that is read.
    """
    patterns, account = frozenset(patterns), read_account(folder)
    read_paths = [Path(read) for read in reads if isinstance(read, str | Path) and os.path.lexists(read)]
    for name in sorted({_top(pattern) for pattern in patterns}):
        path = folder / name
        for read in read_paths:
            if path.resolve() in (read.resolve(), *read.resolve().parents):
                raise InputError(f"{read} is read, and would be replaced by what is written to {path}: {ANOTHER}")
        if path.is_symlink() or (os.path.lexists(path) and not account.owns(name)):
            raise InputError(f"{folder} holds {name}, and nothing says that ntps wrote it: move it away, or {ANOTHER}")
    for pattern in patterns:
        for path in folder.glob(pattern):
            if not direct(folder, path):
                raise InputError(f"{path} is or lies behind a link, which ntps did not make: {ANOTHER}")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_account(folder, replace(account, wrote=account.wrote | patterns))


def give_back(folder: Path, ended: bool) -> None:
    """Leaves an account of what is there: what was not written after all may become somebody else's.

    Args:
        folder: The folder.
        ended: Whether the run came to its end, so that a result is finished.
    """
    account = read_account(folder)
    kept = frozenset(each for each in account.wrote if os.path.lexists(folder / _top(each)))
    if kept:
        write_account(folder, Account(kept, None if ended else account.run))
    else:
        (folder / OWNED).unlink(missing_ok=True)


def strangers(folder: Path, inside: str = ".") -> list[Path]:
    """Files that ntps did not write, in a folder of which it has an account, or in one folder in it."""
    own = {path for pattern in (OWNED, LOCK, *read_account(folder).wrote) for path in folder.glob(pattern)}
    found = (folder / inside).rglob("*")
    return sorted(path for path in found if path not in own and (path.is_symlink() or not path.is_dir()))


def erase(folder: Path, patterns: Iterable[str]) -> None:
    """Removes files of ntps, and folders that are empty then; nothing behind a link, and nothing that is not named."""
    patterns = tuple(patterns)
    sweep(folder, patterns)
    _unlink(folder, patterns)
    heads = {pattern.rpartition("/")[0] for pattern in patterns} - {""}
    inner = {path for head in heads for path in folder.glob(head)}
    around = {parent for path in inner for parent in (path, *path.parents) if folder in parent.parents}
    for path in sorted(around, key=lambda path: len(path.parts), reverse=True):
        if direct(folder, path):
            with suppress(OSError):
                path.rmdir()


def sweep(folder: Path, patterns: Iterable[str]) -> None:
    """Removes what was being written when ntps was killed: the temporary names of files that are its own."""
    parts = [pattern.rpartition("/") for pattern in patterns]
    _unlink(folder, [f"{head}{slash}.{name}.[0-9]*.tmp" for head, slash, name in parts])


def _unlink(folder: Path, patterns: Iterable[str]) -> None:
    with writing(folder):
        for pattern in patterns:
            for path in folder.glob(pattern):
                if direct(folder, path) and path.is_file():
                    path.unlink(missing_ok=True)


def digest(run: Mapping[str, Any]) -> str:
    """SHA-256 of what identifies a run."""
    return hashlib.sha256(json.dumps(run, sort_keys=True, default=str).encode()).hexdigest()


def _top(pattern: str) -> str:
    return pattern.partition("/")[0]


def direct(folder: Path, path: Path) -> bool:
    """Whether a path really lies where its name says, with no link on the way from the folder."""
    return path.resolve() == folder.resolve() / path.relative_to(folder)
