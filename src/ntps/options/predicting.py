"""The options of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ntps.errors import InputError
from ntps.options.limits import check_names, check_number
from ntps.options.shared import COMPUTING, OUTPUT, SELECTION, ModelOptions


@dataclass(frozen=True, kw_only=True)
class PredictorOptions(ModelOptions):
    """How a saved probe or classifier is loaded.

    Attributes:
        tokenizer: Tokenizer to use instead of the one that the probe was made with.
        all_layers: Whether the ridge probe of all layers together predicts, and not that of the chosen layer.
        tokens_per_batch: Padded tokens per batch; by device unless given.
    """

    panel: ClassVar[str] = COMPUTING

    all_layers: bool = False
    tokens_per_batch: int | None = None

    def __post_init__(self) -> None:
        check_number("tokens_per_batch", self.tokens_per_batch, whole=True, at_least=1, optional=True)


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Which rows of a file are predicted.

    Attributes:
        text_columns: Columns that hold the text; by default those that the probe was trained on, or ``text``.
        label_column: Column of labels to compare the predictions with.
    """

    panel: ClassVar[str] = SELECTION

    text_columns: Sequence[str] = ()
    label_column: str | None = None

    def __post_init__(self) -> None:
        check_names("text_columns", self.text_columns, "text")


@dataclass(frozen=True, kw_only=True)
class WritingOptions:
    """How predictions are written.

    Attributes:
        probabilities: Write the probability of every class, not only of what is predicted.
        csv: Write CSV instead of JSON lines.
        out: File for the predictions; standard output by default.
        overwrite: Whether that file may be replaced.
    """

    panel: ClassVar[str] = OUTPUT

    probabilities: bool = False
    csv: bool = False
    out: str | Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.out is None:
            return
        path = Path(self.out)
        if not str(self.out).strip() or path.is_dir():
            raise InputError(f"`out` must be a file for the predictions, not the folder {self.out}")
        if not path.parent.is_dir():
            raise InputError(f"`out` cannot be {path}, for there is no folder {path.parent}: make it first")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no ordinary file, which would be replaced: choose another `out`")
        if path.exists() and not self.overwrite:
            raise InputError(f"{path} exists: choose another `out`, or replace it with `overwrite`")
