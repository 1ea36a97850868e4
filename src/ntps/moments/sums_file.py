"""Sums on disk: safetensors files, symmetric matrices as packed triangles, every file written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ntps.errors import InputError
from ntps.files import write_whole

SYMMETRIC = frozenset({"prefix_gram", "pooled_gram", "target_gram"})
"""Sums that are symmetric: in memory their upper triangle counts, on disk only it is written."""


def write_sums(path: Path, sums: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes sums to one safetensors file; symmetric ones as packed upper triangles, row by row."""
    packed = {name: _pack(value) if name in SYMMETRIC else value.cpu().contiguous() for name, value in sums.items()}

    def write(temporary: Path) -> None:
        save_file(packed, temporary, metadata=dict(metadata))
        if metadata:
            _sort_metadata(temporary)

    write_whole(path, write)


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


def _sort_metadata(path: Path) -> None:
    """Makes equal sums equal files: the library writes metadata in an order that is another one each time."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(content) <= length:  # the data begin behind
            file.seek(8)
            file.write(content.ljust(length))


def _pack(matrix: Shaped[Tensor, "dims dims"]) -> Shaped[Tensor, " entries"]:
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
