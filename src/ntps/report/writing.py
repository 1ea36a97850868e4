"""A report on disk: one page, and the parts of it for papers and programs."""

from __future__ import annotations

from pathlib import Path

from ntps.checkpoint.owned_files import take
from ntps.files import write_text, write_whole
from ntps.report.files import FIGURE, TABLE, write_figure, write_numbers, write_table
from ntps.report.page import render_page
from ntps.report.parts import Report

PAGE = "report.html"
OWN = (PAGE, *(f"tables/*.{ending}" for ending in TABLE), *(f"figures/*.{ending}" for ending in ("csv", *FIGURE)))
"""Patterns of all that a report consists of."""


def write_report(report: Report, out: Path) -> Path:
    """Writes ``report.html``, figures as PDF and PNG, and tables as Markdown; the data of both as CSV.

    Returns:
        The page.

    Raises:
        InputError: The folder cannot be written, or holds something there that ntps did not write.
    """
    take(out, OWN)
    for table in report.tables:
        write_table(out / "tables", table)
    for part in report.figures:
        if part.figure is not None:
            # Arranged once, for all formats and the page: that takes longer than drawing.
            part.figure.draw_without_rendering()
            part.figure.set_layout_engine("none")
            write_numbers(out / "figures", part.name, part.data)
            write_figure(out / "figures", part.name, part.figure)
    write_whole(out / PAGE, lambda path: write_text(path, render_page(report)))
    return out / PAGE
