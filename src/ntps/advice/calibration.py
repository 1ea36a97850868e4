"""The cells that forecasts rest on, as a file, and how far outside of them a model and a task are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field

from ntps.advice.cells import Cell, Evidence
from ntps.advice.forecast import Forecaster
from ntps.errors import InputError
from ntps.files import SCHEMA, write_json
from ntps.forward.tangents import DIRECTIONS, RANK, WIDTH
from ntps.json_files import Block, Items, read_json
from ntps.options.recipes import LoRA
from ntps.validation.tangents import GAMMA
from ntps.version import __version__

REMEDY = "give a file that `ntps calibrate` wrote with this version of ntps"
FEWEST_TASKS = 6
"""Tasks that a calibration needs: what it is wrong by is seen on tasks that are left out, of a fit to four figures."""
FARTHEST = 3.0
"""Powers of ten beyond the calibrated range from which on nothing is forecast."""
RANGES = {
    "parameters": "a model of {:,} parameters, where {} were calibrated",
    "texts": "{:,} texts, where {} were calibrated",
    "classes": "{:,} classes, where {} were calibrated",
}


class Method(Block):
    """What evidence was computed with and LoRA trained with; forecasts hold for nothing else.

    Attributes:
        width: Entries of the sketches of tangent features.
        directions: In how many directions the pooled text was watched.
        gamma: What the kernel of tangent features counts.
        rank: Rank of LoRA.
        recipe: Name of LoRA's recipe.
    """

    width: int = WIDTH
    directions: int = DIRECTIONS
    gamma: float = GAMMA
    rank: int = RANK
    recipe: str = LoRA().recipe


class Calibration(Block):
    """Trained cells.

    Attributes:
        schema_version: 1; the schema grows by addition only.
        ntps_version: That of the version that collected the cells.
        created: When they were collected.
        method: What they were measured with.
        cells: The cells.
    """

    schema_version: int = Field(alias="schema")
    kind: Literal["calibration"]
    ntps_version: str
    created: str
    method: Method
    cells: Items[Cell]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Calibration:
        """What cells that were measured with this version say."""
        head = {"schema": SCHEMA, "kind": "calibration", "ntps_version": __version__}
        created = datetime.now(UTC).isoformat(timespec="seconds")
        return cls.model_validate({**head, "created": created, "method": dict(Method()), "cells": tuple(cells)})

    @cached_property
    def forecaster(self) -> Forecaster:
        """The fit to all cells."""
        return Forecaster.fit(self.cells)

    def require_enough(self, source: str) -> None:
        """Refuses cells of too few tasks.

        Args:
            source: Where they come from, for the message.

        Raises:
            InputError: They are too few.
        """
        tasks = {cell.task for cell in self.cells}
        if len(tasks) < FEWEST_TASKS:
            raise InputError(
                f"{source} has trained cells of {len(tasks)} tasks, and a calibration needs {FEWEST_TASKS}: run LoRA "
                "on more tasks"
            )

    def outside(self, evidence: Evidence) -> tuple[tuple[float, str], ...]:
        """In what a model or a task is outside of all cells; see :func:`outside`."""
        return tuple(outside(self.cells, evidence))

    def write(self, path: Path) -> None:
        """Writes the file.

        Raises:
            InputError: The disk refuses.
        """
        write_json(path, self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def read(cls, path: Path | None = None) -> Calibration:
        """Reads a file.

        Args:
            path: The file; the one that comes with ntps by default.

        Raises:
            InputError: It cannot be read, or is of another version of tangent features, or of LoRA's recipe.
        """
        if path is None:
            path = Path(str(files("ntps.advice") / "calibration.json"))
        found = read_json(path, cls, REMEDY)
        if found.schema_version != SCHEMA:
            raise InputError(f"{path} is of schema {found.schema_version}, and this version reads {SCHEMA}: {REMEDY}")
        now = Method()
        for name, value in now:
            then = getattr(found.method, name)
            if then != value:
                raise InputError(f"{path} was made with {name} {then}, and this version works with {value}: {REMEDY}")
        found.require_enough(str(path))
        return found


def outside(cells: Sequence[Cell], evidence: Evidence) -> Iterator[tuple[float, str]]:
    """In what a model or a task is outside of some cells: by how many powers of ten, and in words."""
    for name, words in RANGES.items():
        known, value = [getattr(cell, name) for cell in cells], getattr(evidence, name)
        low, high = min(known), max(known)
        if not low <= value <= high:
            known_range = f"{low:,} to {high:,}" if low < high else f"only {low:,}"
            yield abs(math.log10(value / (low if value < low else high))), words.format(value, known_range)


def stretch(outside: Sequence[tuple[float, str]]) -> float:
    """How much wider a forecast is for what lies outside the calibrated cells: as much again for a power of ten."""
    return 1.0 + sum(distance for distance, _ in outside)
