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
from ntps.moments.storage import read_sums, write_sums, write_text, write_whole, writing

SCHEMA = 1
RESULT, CURVES, MOMENTS, POOLED = "result.json", "curves.parquet", "moments", "pooled"
INDEX = "index.json"
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
        try:
            result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            curves = pd.read_parquet(folder / CURVES)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot read a result from {folder}: {reason}; give a folder that ntps wrote") from error
        if not isinstance(result, dict) or result.get("kind") != cls.kind or result.get("schema") != SCHEMA:
            raise InputError(
                f"{folder / RESULT} is not a {cls.kind} of schema {SCHEMA}: give a folder that ntps {cls.kind} wrote"
            )
        return cls(result, curves)


class ScoreRecord(Record):
    """A finished scoring run."""

    kind = "score"


def write_moments(folder: Path, moments: Iterable[tuple[int, Moments]], provenance: Mapping[str, Any]) -> None:
    """Writes the sums of layers as they come, the targets' sums, and an index with their provenance."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    layers = []
    for layer, layer_moments in moments:
        sums = {name: value for name, value in layer_moments.sums.items() if name not in TARGETS}
        counts = {"texts": layer_moments.texts, "tokens": layer_moments.tokens}
        kind = {name: str(count) for name, count in counts.items()} | {"pooling": layer_moments.pooling}
        write_sums(folder / LAYER_FILE.format(layer), sums, kind)
        layers.append(layer)
        targets = {name: layer_moments.sums[name] for name in TARGETS}
    write_sums(folder / TARGETS_FILE, targets, {"texts": str(counts["texts"])})
    index = {"schema": SCHEMA, **counts, "layers": layers, **provenance}
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
        InputError: Its file, or that of the targets, is missing or damaged.
    """
    targets, _kind = read_sums(folder / TARGETS_FILE)
    path = folder / LAYER_FILE.format(layer)
    sums, kind = read_sums(path)
    return Moments.from_sums({**sums, **targets}, kind, path)


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
