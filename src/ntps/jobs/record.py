"""What a scoring run leaves: ``result.json``, ``curves.parquet`` and ``moments/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import pandas as pd

from ntps.errors import InputError
from ntps.files import CURVES, RESULT, SCHEMA, write_json, write_whole, writing
from ntps.shapes import Shape, misfit, read_json


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
        write_json(folder / RESULT, self.result, ensure_ascii=False, allow_nan=False)

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
