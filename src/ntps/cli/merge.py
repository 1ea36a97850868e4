"""``ntps merge``: statistics that were computed apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli.arguments import FOLDER
from ntps.cli.console import out
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, show
from ntps.cli.score import print_scores
from ntps.options.keywords import values
from ntps.options.scoring import CurveOptions, RivalOptions
from ntps.options.shared import OUTPUT

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult


@flat
def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders that ntps score --out wrote.", show_default=False)
    ],
    out_folder: Annotated[
        Path,
        typer.Option("--out", help="Folder for the result.", rich_help_panel=OUTPUT, show_default=False, **FOLDER),
    ],
    curves: CurveOptions,
    rivals: RivalOptions,
    showing: Showing,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a result there.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Join the statistics of runs of one model on different texts, and score them as one.

    The model is not needed, so there are no held-out figures.
    """
    result = api.merge(folders, out_folder, **values(curves, CurveOptions), rivals=rivals.rivals, overwrite=overwrite)
    show(result, _print, out_folder, showing)


def _print(result: ScoreResult) -> None:
    """The parts before the table."""
    for part in result.record.result.merged or ():
        out.print(f"{part.texts:,} texts of {part.folder}", soft_wrap=True)
    print_scores(False, result)
