"""A report on disk: one page, and the parts of it for papers and programs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ntps.moments.record import write_text
from ntps.moments.storage import write_whole, writing
from ntps.report.page import render_page
from ntps.report.study_report import StudyReport

PAGE = "report.html"


def write_report(report: StudyReport, out: Path) -> Path:
    """Writes ``report.html``, figures as PDF and PNG, and tables as Markdown; the data of both as CSV.

    Returns:
        The page.

    Raises:
        InputError: The folder cannot be written.
    """
    tables, figures = out / "tables", out / "figures"
    with writing(out):
        for folder in (tables, figures):
            folder.mkdir(parents=True, exist_ok=True)
    for table in (*report.tables, report.failures):
        _write_frame(tables / f"{table.name}.csv", table.frame)
        _write_text(tables / f"{table.name}.md", table.markdown())
    for part in report.figures:
        if part.figure is not None:
            _write_frame(figures / f"{part.name}.csv", part.data)
            write_figure(figures, part.name, part.figure)
    _write_text(out / PAGE, render_page(report))
    return out / PAGE


def write_figure(folder: Path, name: str, figure: Figure) -> None:
    """Writes a figure as PDF and as PNG; the same figure gives the same bytes at any time."""
    write_whole(
        folder / f"{name}.pdf", lambda path: figure.savefig(path, format="pdf", metadata={"CreationDate": None})
    )
    write_whole(folder / f"{name}.png", lambda path: figure.savefig(path, format="png", dpi=150))


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    write_whole(path, lambda temporary: frame.to_csv(temporary, index=False))


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: write_text(temporary, text))
