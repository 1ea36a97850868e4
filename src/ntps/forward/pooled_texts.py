"""Pooled texts of every layer, kept: new labels, probes and baselines then need no second pass."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from ntps.errors import InputError
from ntps.files import INDEX, SCHEMA, damaged, file_digest, sync_folder, write_json, writing
from ntps.forward.batch_plan import Batch
from ntps.forward.stream import Pass
from ntps.json_files import Items, read_json
from ntps.moments.sums_folder import SumsIndex, require_digest

Array = NDArray[np.float64]
PooledArrays = dict[int, Float64[Array, "texts dims"]]
"""By layer; rows in the order of the texts."""

PART = ".part"
"""What the name of a file ends with until all of its rows are there."""


class PooledIndex(SumsIndex):
    """What the index beside pooled texts says."""

    texts: int
    layers: Items[int]
    settings_hash: str | None = None


class PooledTexts:
    """Pooled texts as they are collected, in memory or on disk.

    Rows may be written twice: the last writing counts. On disk, files carry a temporary name until :meth:`finish`, and
    another process may go on with those that a process that was killed left behind.

    Attributes:
        texts: Number of texts n.
        folder: Where the files are; None for arrays in memory.
        resumed: Whether a part of the rows must be there already.
    """

    def __init__(self, texts: int, folder: Path | None = None, *, resumed: bool = False) -> None:
        self.texts = texts
        self.folder = folder
        self.resumed = resumed
        self._arrays: PooledArrays = {}

    def put(self, layer: int, texts: Batch, rows: Float64[Tensor, "batch dims"]) -> None:
        """Stores pooled texts.

        Args:
            layer: Index of the layer.
            texts: Indices of the texts.
            rows: Their pooled states.

        Raises:
            InputError: The disk refuses.
        """
        if layer not in self._arrays:
            self._arrays[layer] = self._array(layer, rows.shape[1])
        self._arrays[layer][texts] = rows.cpu().numpy()

    def sync(self) -> None:
        """Makes what was stored so far survive a loss of power."""
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()

    def finish(self, layers: Sequence[int], provenance: Mapping[str, Any] | None = None) -> PooledArrays:
        """Gives the files their names, and says in an index what they are; may be done again where it was interrupted.

        Args:
            layers: The layers, whose rows have all been stored.
            provenance: What the index says about them.

        Returns:
            The arrays, read-only if on disk.

        Raises:
            InputError: The disk refuses.
        """
        if self.folder is None:
            return self._arrays
        self.sync()
        self._arrays.clear()
        with writing(self.folder):
            for path in (_path(self.folder, layer) for layer in layers):
                part = _part(path)
                if part.exists():
                    part.replace(path)
            sync_folder(self.folder)
        files = {_path(self.folder, layer).name: file_digest(_path(self.folder, layer)) for layer in layers}
        index = {"schema": SCHEMA, "texts": self.texts, "layers": list(layers), "files": files, **(provenance or {})}
        write_json(self.folder / INDEX, index)
        return read_pooled(self.folder)

    def _array(self, layer: int, width: int) -> Float64[Array, "texts {width}"]:
        if self.folder is None:
            return np.empty((self.texts, width))
        part = _part(_path(self.folder, layer))
        with writing(part):
            self.folder.mkdir(parents=True, exist_ok=True)
            found = _opened(part) if part.exists() else None
            if found is not None and found.shape == (self.texts, width) and found.dtype == np.float64:
                return found
            if self.resumed:
                raise damaged(part)
            return _create(part, (self.texts, width))


def collect_pooled(work: Pass, folder: Path | None = None, provenance: Mapping[str, Any] | None = None) -> PooledArrays:
    """Pools every text in every layer, in one pass.

    Args:
        work: The pass.
        folder: Where to keep the arrays as ``layer.NNN.npy`` with an ``index.json``; in memory by default.
        provenance: What the index says about them.

    Returns:
        The arrays by layer, rows in the order of the texts; memory-mapped and read-only with a folder.

    Raises:
        InputError: The disk refuses.
        NumericalError: Hidden states are not finite.
    """
    pooled = PooledTexts(len(work.tokens), folder)
    work.run(lambda layer, rows, _targets, texts: pooled.put(layer, texts, rows.pooled))
    return pooled.finish(work.layers, provenance)


def read_pooled(folder: Path) -> PooledArrays:
    """Opens the arrays that :meth:`PooledTexts.finish` named, memory-mapped.

    Raises:
        InputError: They are missing or damaged.
    """
    remedy = "score the model again with `keep_pooled`"
    index = read_json(folder / INDEX, PooledIndex, remedy)
    arrays = {}
    for layer in index.layers:
        path = _path(folder, layer)
        require_digest(path, index.digests, remedy)
        try:
            arrays[layer] = _open(path, "r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"cannot read pooled texts from {path}: {error}; {remedy}") from error
        if arrays[layer].dtype != np.float64 or arrays[layer].ndim != 2 or len(arrays[layer]) != index.texts:
            raise InputError(f"{path} does not hold {index.texts} pooled texts: {remedy}")
    return arrays


def _create(path: Path, shape: tuple[int, int]) -> Array:
    # On a disk that gets full, writing to a mapped file would end the process without a word.
    if math.prod(shape) * np.dtype(np.float64).itemsize > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    array: Array = open_memmap(path, mode="w+", dtype=np.float64, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _opened(part: Path) -> Array | None:
    """The array that a process that was killed left behind, if it got so far."""
    try:
        return _open(part, "r+")
    except (ValueError, EOFError):
        return None


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _open(path: Path, mode: Literal["r", "r+"]) -> Array:
    array: Array = np.load(path, mmap_mode=mode, allow_pickle=False)
    return array


def _path(folder: Path, layer: int) -> Path:
    return folder / f"layer.{layer:03d}.npy"
