"""A finished run, and the files that hold it: ``result.json``, ``curves.parquet``, perhaps ``held_out.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd
from pydantic import Field

from ntps.errors import InputError
from ntps.files import CURVES, HELD_OUT, RESULT, SCHEMA, write_json, write_whole, writing
from ntps.jobs.blocks import ModelBlock, TaskBlock
from ntps.jobs.held_out_texts import HeldOutTexts
from ntps.json_files import Block, Figure, Items, checked, load_json


class Head(Block):
    """How a result begins.

    Attributes:
        schema_version: 1; the schema grows by addition only.
        created: Time of its end.
        command: The command line that made it; null if it was made in Python, or by a worker process.
    """

    schema_version: int = Field(alias="schema")
    kind: str
    ntps_version: str
    created: str
    command: str | None = None


class Rescored(Block):
    """Where a score or a probe comes from that was computed without the model.

    Attributes:
        source: The folder.
        settings_hash: Of that run.
        used: ``moments``, perhaps ``pooled``, or that alone.
    """

    source: str = Field(alias="from")
    settings_hash: str
    used: Items[str]


class Provenance(Block):
    """What was measured, with what.

    Attributes:
        settings_hash: SHA-256 over everything that changes numbers: weights, texts, tokens, dtype and options, but not
            batch budget, device, or where things lie.
    """

    settings_hash: str
    model: ModelBlock
    task: TaskBlock
    settings: Block
    rescored: Rescored | None = None


class ResultFile(Provenance, Head):
    """What ``result.json`` says, whatever its kind.

    Attributes:
        timing: Seconds by phase.
        versions: Python and libraries.
        warnings: What a reader must know.
    """

    timing: Mapping[str, Figure]
    versions: Mapping[str, str]
    warnings: Items[str]


@dataclass(frozen=True, repr=False)
class Record:
    """A finished run of one kind.

    Attributes:
        kind: The kind, as in ``result.json``.
        file: What ``result.json`` of this kind says.
        columns: Columns of numbers that the curves must have.
        result: The content of ``result.json`` (schema 1).
        curves: The content of ``curves.parquet``.
        held_out: How right it is about each test text, for ``held_out.safetensors``; None where that is not known.
    """

    kind: ClassVar[str]
    file: ClassVar[type[ResultFile]]
    columns: ClassVar[tuple[str, ...]] = ()

    result: ResultFile
    curves: pd.DataFrame
    held_out: HeldOutTexts | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.result.model.id} on {self.result.task.id})"

    def write(self, folder: Path) -> None:
        """Writes all files, each whole or not at all; ``result.json`` last: where it stands, the rest does too."""
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if self.held_out is not None:
            self.held_out.write(folder / HELD_OUT)
        write_whole(folder / CURVES, lambda path: self.curves.to_parquet(path, index=False))
        write_json(folder / RESULT, self.result.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: The folder holds no readable result of this kind.
        """
        path, remedy = folder / RESULT, f"give a folder that ntps {cls.kind} wrote"
        content = load_json(path, remedy)
        if isinstance(content, dict) and (content.get("kind"), content.get("schema")) != (cls.kind, SCHEMA):
            raise InputError(f"{path} is not a {cls.kind} of schema {SCHEMA}: {remedy}")
        result = checked(path, content, cls.file, remedy)
        try:
            curves = pd.read_parquet(folder / CURVES)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot read a result from {folder}: {reason}; {remedy}") from error
        if missing := [name for name in cls.columns if name not in curves or curves[name].dtype.kind not in "iuf"]:
            raise InputError(f"{folder / CURVES} has no numbers {missing[0]}: {remedy}")
        return cls(result, curves, held_out=HeldOutTexts.read(folder / HELD_OUT))
