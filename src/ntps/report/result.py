"""Results as a person uses them: look, plot, save, load."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ntps.moments import Record, ScoreRecord, claim_folder, folder_path, replace_result
from ntps.report.words import plain_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Result:
    """What a whole job returns.

    Attributes:
        record: Everything that is or would be on disk.
    """

    record: Record

    @property
    def summary(self) -> dict[str, Any]:
        """The main figures."""
        return dict(self.record.result["summary"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know."""
        return tuple(self.record.result["warnings"])

    def to_frame(self) -> pd.DataFrame:
        """The curves, as in ``curves.parquet``."""
        return self.record.curves.copy()

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        return deepcopy(dict(self.record.result))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes ``result.json`` and ``curves.parquet``.

        Raises:
            InputError: The folder cannot be written, or holds a result and ``overwrite`` is false.
        """
        folder = folder_path(folder)
        with claim_folder(folder, overwrite):
            replace_result(folder, self.record)
        return folder

    def __repr__(self) -> str:
        result = self.record.result
        return f"{type(self).__name__}({result['model']['id']} on {result['task']['id']})"


class ScoreResult(Result):
    """What :func:`ntps.score` returns: one row of curves per layer and k.

    Attributes:
        record: Everything that is or would be on disk.
    """

    record: ScoreRecord

    @property
    def layers(self) -> pd.DataFrame:
        """One row per layer: ranks, ``area``, R², losses, bounds, conditions."""
        return pd.DataFrame(self.record.result["layers"])

    def plot(self, path: str | Path | None = None, *, value: str = "retained_centered") -> Figure:
        """Draws the layer × k heat map of one curve, and the curves of the layers.

        Args:
            path: Where to write the figure (PNG, PDF or SVG by its ending); not written by default.
            value: Column of :meth:`to_frame` to draw.
        """
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.report.figures import draw_score

        return draw_score(self.record, value, None if path is None else Path(path))

    @classmethod
    def load(cls, folder: str | Path) -> ScoreResult:
        """Reads a result from its folder.

        Raises:
            InputError: There is no readable result.
        """
        return cls(ScoreRecord.read(Path(folder)))

    def __repr__(self) -> str:
        result = self.record.result
        head = f"ScoreResult({result['model']['id']} on {result['task']['id']}, {len(result['layers'])} layers)"
        return "\n".join([head, *plain_words(result)])
