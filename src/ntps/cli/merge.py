"""``ntps merge``: statistics that were computed apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli import build_options as options
from ntps.cli.console import out
from ntps.cli.results import show
from ntps.cli.score import print_scores

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult


def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders that ntps score --out wrote.", show_default=False)
    ],
    out_folder: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for the result.", rich_help_panel=options.OUTPUT, show_default=False, **options.FOLDER
        ),
    ],
    convention: options.Convention = options.ConventionName.paper,
    centered: options.Centered = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Join the statistics of runs of one model on different texts, and score them as one.

    The model is not needed, so there are no held-out figures.
    """
    result = api.merge(folders, out_folder, convention=convention.value, centered=centered, overwrite=overwrite)
    show(result, _print, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)


def _print(result: ScoreResult) -> None:
    """The parts before the table."""
    for part in result.record.result.merged or ():
        out.print(f"{part.texts:,} texts of {part.folder}", soft_wrap=True)
    print_scores(result)
