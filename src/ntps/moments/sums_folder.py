"""A folder with the sums of every layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ntps.errors import InputError
from ntps.files import INDEX, SCHEMA, file_digest, write_json, writing
from ntps.json_files import Block, read_json
from ntps.moments.accumulator import Moments
from ntps.moments.sums_file import read_sums, write_sums

TARGETS = ("target_gram", "target_sum")


TARGETS_FILE = "targets.safetensors"


LAYER_FILE = "layer.{:03d}.safetensors"


class SumsIndex(Block):
    """What the index of any folder of arrays says of their files."""

    files: Mapping[str, str] = {}

    @property
    def digests(self) -> Mapping[str, str] | None:
        """SHA-256 of the files by name; None in folders of older versions, which list none."""
        return self.files if "files" in self.model_fields_set else None


def write_moments(folder: Path, moments: Iterable[tuple[int, Moments]], provenance: Mapping[str, Any]) -> None:
    """Writes the sums of layers as they come, the targets' sums, and an index with their provenance."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    layers = []
    for layer, layer_moments in moments:
        sums = {name: value for name, value in layer_moments.sums.items() if name not in TARGETS}
        counts = {"texts": layer_moments.texts, "tokens": layer_moments.tokens}
        write_sums(folder / LAYER_FILE.format(layer), sums, layer_moments.kind)
        layers.append(layer)
        targets = {name: layer_moments.sums[name] for name in TARGETS}
    write_sums(folder / TARGETS_FILE, targets, {"texts": str(counts["texts"])})
    names = [TARGETS_FILE, *(LAYER_FILE.format(layer) for layer in layers)]
    files = {name: file_digest(folder / name) for name in names}
    index = {"schema": SCHEMA, **counts, "layers": layers, "files": files, **provenance}
    write_json(folder / INDEX, index)


def read_moments(folder: Path) -> dict[int, Moments]:
    """Reads the sums of every layer that :func:`write_moments` wrote.

    Raises:
        InputError: Some file is missing or damaged.
    """
    return {layer: read_layer_moments(folder, layer) for layer in saved_layers(folder)}


def saved_layers(folder: Path) -> list[int]:
    """The layers whose sums lie in a folder, ascending."""
    return sorted(int(path.name.split(".")[1]) for path in folder.glob("layer.*.safetensors"))


def read_layer_moments(folder: Path, layer: int) -> Moments:
    """Reads the sums of one layer that :func:`write_moments` wrote.

    Raises:
        InputError: Its file, or that of the targets, is missing, damaged or another run's.
    """
    path = folder / LAYER_FILE.format(layer)
    digests = read_digests(folder)
    for each in (folder / TARGETS_FILE, path):
        require_digest(each, digests, "compute the moments again")
    targets, _kind = read_sums(folder / TARGETS_FILE)
    sums, kind = read_sums(path)
    return Moments.from_sums({**sums, **targets}, kind, path)


def read_digests(folder: Path) -> Mapping[str, str] | None:
    """SHA-256 of the files that an index of ours lists; None where it lists none, or where there is no index.

    Raises:
        InputError: The index cannot be read.
    """
    path = folder / INDEX
    if not path.is_file():
        return None
    return read_json(path, SumsIndex, "compute them again").digests


def require_digest(path: Path, digests: Mapping[str, str] | None, remedy: str) -> None:
    """Refuses a file that is not the one that was written.

    Args:
        path: The file.
        digests: SHA-256 by name, as :func:`read_digests` gives them; None refuses nothing.
        remedy: What to do about it.

    Raises:
        InputError: It is another file.
    """
    if digests is not None and path.exists() and digests.get(path.name) != file_digest(path):
        raise InputError(f"{path} is damaged or of another run (its SHA-256 is not that of {INDEX}): {remedy}")
