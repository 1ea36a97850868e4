"""Sums on disk: safetensors files, symmetric matrices as packed triangles, every file written whole or not at all."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ntps.errors import InputError

SYMMETRIC = frozenset({"prefix_gram", "pooled_gram", "target_gram"})
"""Sums that are symmetric: in memory their upper triangle counts, on disk only it is written."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into one clear sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot write {path}: {reason}; free the space or choose another folder with --out"
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


def write_sums(path: Path, sums: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes sums to one safetensors file; symmetric ones as packed upper triangles, row by row."""
    packed = {name: _pack(value) if name in SYMMETRIC else value.cpu().contiguous() for name, value in sums.items()}
    write_whole(path, lambda temporary: save_file(packed, temporary, metadata=dict(metadata)))


def read_sums(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads what :func:`write_sums` wrote: the sums and the metadata.

    Raises:
        InputError: The file is missing or is not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            sums = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read moments from {path}: {error}") from error
    try:
        return {name: _unpack(value) if name in SYMMETRIC else value for name, value in sums.items()}, metadata
    except ValueError as error:
        raise InputError(f"the sums in {path} are damaged ({error}): compute the moments again") from error


def _pack(matrix: Tensor) -> Tensor:
    rows, columns = torch.triu_indices(*matrix.shape, device=matrix.device)
    return matrix[rows, columns].cpu()


def _unpack(packed: Tensor) -> Tensor:
    width = (math.isqrt(8 * packed.numel() + 1) - 1) // 2
    if packed.dim() != 1 or width * (width + 1) // 2 != len(packed):
        raise ValueError(f"{tuple(packed.shape)} is not the shape of a packed triangle")
    matrix = torch.zeros(width, width, dtype=packed.dtype)
    rows, columns = torch.triu_indices(width, width)
    matrix[rows, columns] = packed
    return matrix
