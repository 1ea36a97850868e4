"""Pooled texts of every layer, kept: new labels, probes and baselines then need no second pass."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from ntps.errors import InputError
from ntps.files import INDEX, SCHEMA, damaged, file_digest, sync_folder, write_json, write_whole, writing
from ntps.forward.batch_plan import Batch
from ntps.forward.stream import Pass
from ntps.json_files import Items, read_json
from ntps.moments.sums_folder import SumsIndex, require_digest

Array = NDArray[np.float64]
PooledArrays = dict[int, Float[Array, "texts dims"]]
"""By layer; rows in the order of the texts."""

IN_MEMORY = 2**31
"""Bytes of pooled texts of all layers that are held in memory where they have no folder."""
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
    another process may go on with those that a process that was killed left behind. Processes that share a folder may
    fill the same files, if one opens them before the others.

    Attributes:
        texts: Number of texts n.
        sample: Ascending indices of those that are kept, if not all are; rows have this order.
        folder: Where the files are; None for arrays in memory.
        dtype: Of the arrays.
        resumed: Whether a part of the rows must be there already.
    """

    def __init__(
        self,
        texts: int,
        folder: Path | None = None,
        *,
        sample: Batch | None = None,
        dtype: type = np.float64,
        resumed: bool = False,
    ) -> None:
        self.texts = texts
        self.sample = sample
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.resumed = resumed
        self._arrays: PooledArrays = {}

    def open(self, layers: Sequence[int], width: int) -> None:
        """Makes room for some layers, or finds it; done by :meth:`put` where it was not done before.

        Raises:
            InputError: The disk refuses.
        """
        for layer in layers:
            self._arrays[layer] = self._array(layer, width)

    def put(self, layer: int, texts: Batch, rows: Float[Tensor, "batch dims"]) -> None:
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
        places, kept = self.places(texts)
        self._arrays[layer][places] = rows.cpu().numpy()[kept]

    def places(self, texts: Batch) -> tuple[Int64[NDArray[np.int64], " kept"], Bool[NDArray[np.bool_], " batch"]]:
        """In which rows some texts stand, and which of them are kept at all."""
        if self.sample is None:
            return texts, np.ones(len(texts), dtype=np.bool_)
        places = np.searchsorted(self.sample, texts)
        kept = self.sample[np.minimum(places, len(self.sample) - 1)] == texts
        return places[kept], kept

    @property
    def arrays(self) -> PooledArrays:
        """What was stored so far."""
        return self._arrays

    @property
    def _rows(self) -> int:
        return self.texts if self.sample is None else len(self.sample)

    def sync(self) -> None:
        """Makes what was stored so far survive a loss of power."""
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()

    def finish(
        self,
        layers: Sequence[int],
        provenance: Mapping[str, Any] | None = None,
        labels: Mapping[str, NDArray[Any]] | None = None,
    ) -> PooledArrays:
        """Gives the files their names, and says in an index what they are; may be done again where it was interrupted.

        Args:
            layers: The layers, whose rows have all been stored.
            provenance: What the index says about them.
            labels: Arrays about the texts that are kept in files of these names.

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
        paths = [_path(self.folder, layer) for layer in layers]
        for name, array in (labels or {}).items():
            paths.append(self.folder / f"{name}.npy")
            write_whole(paths[-1], partial(_save, array))
        files = {path.name: file_digest(path) for path in paths}
        index = {"schema": SCHEMA, "texts": self.texts, "layers": list(layers), "files": files, **(provenance or {})}
        write_json(self.folder / INDEX, index)
        return read_pooled(self.folder)

    def _array(self, layer: int, width: int) -> Float[Array, "texts {width}"]:
        if self.folder is None:
            return self._unnamed((self._rows, width))
        part = _part(_path(self.folder, layer))
        with writing(part):
            self.folder.mkdir(parents=True, exist_ok=True)
            found = _opened(part) if part.exists() else None
            shape = self._rows, width
            if found is not None and found.shape == shape and found.dtype == self.dtype:
                return found
            if self.resumed:
                raise damaged(part)
            return _create(part, shape, self.dtype)

    def _unnamed(self, shape: tuple[int, int]) -> Array:
        """An array in memory, or beyond a budget in a file without a name, which goes with the process."""
        held = sum(array.nbytes for array in self._arrays.values())
        if held + math.prod(shape) * self.dtype.itemsize <= IN_MEMORY:
            return np.zeros(shape, self.dtype)
        with writing(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
            size = math.prod(shape) * self.dtype.itemsize
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, self.dtype, "w+", shape=shape)


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


def read_labels(folder: Path, name: str) -> NDArray[Any] | None:
    """An array about the texts that :meth:`PooledTexts.finish` kept; None if it did not.

    Raises:
        InputError: It is damaged.
    """
    path, remedy = folder / f"{name}.npy", "score the model again with `keep_pooled`"
    index = read_json(folder / INDEX, PooledIndex, remedy)
    if not path.exists() and path.name not in (index.digests or {}):
        return None
    require_digest(path, index.digests, remedy)
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def _save(array: NDArray[Any], path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _create(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    # On a disk that gets full, writing to a mapped file would end the process without a word.
    if math.prod(shape) * dtype.itemsize > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    array: Array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
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
