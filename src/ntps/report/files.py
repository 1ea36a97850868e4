"""Tables and figures as files: every figure as PNG and PDF, its numbers as CSV, every table as CSV and Markdown."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ntps.files import write_text, write_whole, writing
from ntps.report.tabular import ReportTable

DPI = 150
TABLE, FIGURE = ("csv", "md"), ("png", "pdf")
"""Endings of the files of a table, and of a figure."""


def write_table(folder: Path, table: ReportTable) -> None:
    """Writes ``NAME.csv`` with every number and ``NAME.md`` as people read it.

    Raises:
        InputError: The folder cannot be written.
    """
    write_numbers(folder, table.name, table.frame)
    write_whole(folder / f"{table.name}.md", lambda path: write_text(path, table.markdown()))


def write_figure(folder: Path, name: str, figure: Figure) -> None:
    """Writes ``NAME.png`` and ``NAME.pdf``.

    Raises:
        InputError: The folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.png", lambda path: figure.savefig(path, format="png", dpi=DPI))
    # Without a date, so that the same numbers give the same bytes.
    undated = {"CreationDate": None}
    write_whole(folder / f"{name}.pdf", lambda path: figure.savefig(path, format="pdf", metadata=undated))


def write_numbers(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Writes ``NAME.csv``.

    Raises:
        InputError: The folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.csv", lambda path: frame.to_csv(path, index=False))
