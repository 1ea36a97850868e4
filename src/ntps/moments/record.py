"""What a scoring run leaves: ``result.json``, ``curves.parquet`` and ``moments/``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import pandas as pd

from ntps.errors import InputError
from ntps.moments.moments import Moments
from ntps.moments.score import LayerScore
from ntps.moments.storage import file_digest, read_sums, write_sums, write_text, write_whole, writing
from ntps.shapes import MAYBE, Each, Shape, misfit, read_json

SCHEMA = 1
RESULT, CURVES, MOMENTS, POOLED = "result.json", "curves.parquet", "moments", "pooled"
INDEX = "index.json"
FILES = "files"
"""Key of an index: SHA-256 of the files that it lists."""
TARGETS = ("target_gram", "target_sum")
TARGETS_FILE = "targets.safetensors"
LAYER_FILE = "layer.{:03d}.safetensors"


@dataclass(frozen=True)
class Record:
    """A finished run of one kind.

    Attributes:
        kind: The kind, as in ``result.json``.
        result: The content of ``result.json`` (schema 1): only JSON types, None where undefined.
        curves: The content of ``curves.parquet``.
    """

    kind: ClassVar[str]
    shape: ClassVar[Shape] = {"model": {"id": str}, "task": {"id": str}, "summary": {}, "warnings": [str]}
    """What ``result.json`` must say to be read again."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Columns of numbers that the curves must have."""

    result: Mapping[str, Any]
    curves: pd.DataFrame

    def write(self, folder: Path) -> None:
        """Writes both files, each whole or not at all; ``result.json`` last: where it stands, the rest does too."""
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / CURVES, lambda path: self.curves.to_parquet(path, index=False))
        text = json.dumps(self.result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(folder / RESULT, lambda path: write_text(path, text))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: The folder holds no readable result of this kind.
        """
        remedy = f"give a folder that ntps {cls.kind} wrote"
        result = read_json(folder / RESULT, {}, remedy)
        if result.get("kind") != cls.kind or result.get("schema") != SCHEMA:
            raise InputError(f"{folder / RESULT} is not a {cls.kind} of schema {SCHEMA}: {remedy}")
        if wrong := misfit(result, cls.shape):
            raise InputError(f"{folder / RESULT} is not what ntps writes ({wrong}): {remedy}")
        try:
            curves = pd.read_parquet(folder / CURVES)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot read a result from {folder}: {reason}; {remedy}") from error
        if missing := [name for name in cls.columns if name not in curves or curves[name].dtype.kind not in "iuf"]:
            raise InputError(f"{folder / CURVES} has no numbers {missing[0]}: {remedy}")
        return cls(result, curves)


class ScoreRecord(Record):
    """A finished scoring run."""

    kind = "score"
    shape: ClassVar[Shape] = {
        **Record.shape,
        "layers": [{"layer": int, "name": str, **dict.fromkeys(("r2_test", "accuracy_test"), MAYBE)}],
        "summary": {
            **dict.fromkeys(("area", "chance_area", "r2", "r2_adjusted", "r2_test", "accuracy_test"), MAYBE),
            "layer": int,
            "name": str,
            "few_texts": bool,
        },
    }
    columns = ("layer", "k", "ntps", "retained_centered", "next_token_share")


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
    index = {"schema": SCHEMA, **counts, "layers": layers, FILES: files, **provenance}
    write_whole(folder / INDEX, lambda path: write_text(path, json.dumps(index, indent=1) + "\n"))


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
    digests: Mapping[str, str] | None = read_json(path, {f"{FILES}?": Each(str)}, "compute them again").get(FILES)
    return digests


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


def layer_row(score: LayerScore) -> dict[str, Any]:
    """The entry of a layer in ``result.json``."""
    left_out = {"curves", "probe", "convention", "texts", "hidden_size"}
    row = {name: value for name, value in vars(score).items() if name not in left_out}
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
