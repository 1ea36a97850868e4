"""``ntps report``: tables, figures and one page from results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ntps.cli.arguments import FOLDER, Quiet, Verbose
from ntps.cli.console import out, say
from ntps.options.shared import OUTPUT


class ProbeLayerName(StrEnum):
    """Whose probe NTPS is held against."""

    same = "same"
    last = "last"


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of a study, of results, of one result, or of a ranking.", show_default=False
        ),
    ],
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the report; DIR/report by default.",
            rich_help_panel=OUTPUT,
            **FOLDER,
        ),
    ] = None,
    figures: Annotated[
        str | None, typer.Option(help="Figures such as 2,3,s1; all of 1, 2, 3, s1, surface by default.")
    ] = None,
    probe_layer: Annotated[
        ProbeLayerName, typer.Option(help="Figure 2's probe: of the layer that is scored, or of the last one.")
    ] = ProbeLayerName.same,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write tables, figures and report.html about the results in DIR.

    A study that is not finished gives the report of what is there.
    """
    from ntps.report.build import build_report
    from ntps.report.study_report import FIGURES
    from ntps.report.writing import write_report

    chosen = FIGURES if figures is None else tuple(name.strip().lower() for name in figures.split(","))
    built = build_report(folder, figures=chosen, probe_layer=probe_layer.value)
    page = write_report(built, out_folder or folder / "report")
    for figure in built.figures:
        if figure.figure is None:
            say("Note", "yellow", f"{figure.title} is missing: {figure.missing}")
    if built.failures is not None:
        count = len(built.failures.frame)
        say("Warning", "yellow", f"{count} run{' has' if count == 1 else 's have'} no result")
    if not quiet:
        for paragraph in (*built.finding, *(words for section in built.sections for words in section.words)):
            out.prose(paragraph)
    out.prose(f"The report is {page}", whole=[page])
