"""Options that several commands and functions share, by what they concern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

Dtype = Literal["float32", "bfloat16", "float16", "float64"]

SELECTION = "What to score"
COMPUTING = "How to compute"
OUTPUT = "What to write"
ENGINE = "Who makes the runs"
"""Panels of the help of the command line."""


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Which texts, with which labels.

    Attributes:
        text_columns: Columns that hold the text; two are joined as a pair; detected by default.
        label_column: Column that holds the label; detected by default.
        group_column: Column that says which texts belong together, such as their author or document.
        split: Split to take for training texts.
        limit: Largest number of texts per split, a seeded sample.
        limit_first: Takes the first texts instead of a seeded sample.
        seed: Seed of that sample, and of whatever else is random.
        data_dir: Folder with local copies of named tasks; the variable NTPS_DATA by default.
        config: Configuration of a hub dataset.
    """

    panel: ClassVar[str] = SELECTION

    text_columns: Sequence[str] = ()
    label_column: str | None = None
    group_column: str | None = None
    split: str = "train"
    limit: int | None = None
    limit_first: bool = False
    seed: int = 0
    data_dir: str | Path | None = None
    config: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is loaded.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1`` …; CUDA if there is one by default. ``auto`` spreads layers over all
            devices, which needs accelerate.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
    """

    panel: ClassVar[str] = COMPUTING

    device: str | None = None
    tokenizer: str | Path | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, kw_only=True)
class FrozenModelOptions(ModelOptions):
    """How a model is loaded that stays as it is.

    Attributes:
        dtype: Dtype of the forward pass; statistics are float64 in any case.
    """

    dtype: Dtype = "float32"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where results go.

    Attributes:
        out: Folder for the results; nothing is written by default.
        overwrite: Whether a result in ``out``, or progress, may be replaced.
    """

    panel: ClassVar[str] = OUTPUT

    out: str | Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class ResumableOptions(OutputOptions):
    """Where results go, of a run that goes on where it was interrupted.

    Attributes:
        resume: Whether an interrupted run of the same call is continued from its progress in ``out``.
    """

    resume: bool = True
