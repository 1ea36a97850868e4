"""What ``ntps paper --out`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntps.checkpoint.owned_files import take
from ntps.report.files import FIGURE, TABLE, write_figure, write_table
from ntps.report.paper.figures import paper_figure_1, paper_scatter
from ntps.report.tabular import ReportTable


def write_paper(folder: Path, tables: Sequence[ReportTable]) -> None:
    """Writes the tables, and figures 1 to 3 with their points.

    Args:
        folder: Where to.
        tables: The coefficients, and what stands beside a study.

    Raises:
        InputError: The folder cannot be written, or holds something there that ntps did not write.
    """
    drawn = (paper_figure_1(), paper_scatter(2), paper_scatter(3))
    names = [table.name for table in tables] + [points.name for _figure, points in drawn]
    take(folder, [f"{name}.{ending}" for name in names for ending in (*TABLE, *FIGURE)])
    for table in tables:
        write_table(folder, table)
    for figure, points in drawn:
        write_figure(folder, points.name, figure)
        write_table(folder, points)
