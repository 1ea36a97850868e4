"""``ntps paper``: the published numbers, and one's own beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ntps.cli.arguments import FOLDER
from ntps.cli.console import out

if TYPE_CHECKING:
    from ntps.report.tabular import ReportTable


def paper(
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for figures 1 to 3 and all tables.", show_default=False, **FOLDER),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--with", metavar="DIR", help="Results to set beside the published ones.", show_default=False),
    ] = None,
) -> None:
    """Recompute the paper's 32 correlations from its published points, with what can be said of their p-values.

    Draws figures 1 to 3 from those points, says where the paper and its data differ, and sets the numbers of a study
    beside the published ones.
    """
    from ntps.report.paper.comparison import comparison
    from ntps.report.paper.tables import REMARKS, SLIPS, coefficients_table, verdict
    from ntps.study.analysis.reader import read_results
    from ntps.study.published import read_published

    published = read_published()
    tables = [coefficients_table(), *(comparison(read_results(study)) if study else ())]
    out.print(f"{published.paper}. {published.source}.", soft_wrap=True)
    for table, following in zip(tables, [*tables[1:], None], strict=True):
        # Tables that share a caption show it once, under the last of them.
        out.print(_shown(table, caption=following is None or following.caption != table.caption))
    out.print(verdict())
    for heading, sentences in (("Where the paper and its own data differ:", SLIPS), ("Worth knowing:", REMARKS)):
        out.print(f"\n{heading}")
        for sentence in sentences:
            out.print(f"• {sentence}")
    if out_folder is not None:
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.report.paper.files import write_paper

        write_paper(out_folder, tables)
        out.print(f"Figures and tables are in {out_folder}")


def _shown(table: ReportTable, caption: bool) -> Table:
    shown = Table(
        title=table.title,
        caption=table.caption if caption else None,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in table.columns:
        # Words may take two lines; half a number is none.
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        shown.add_column(column.heading, justify=justify, no_wrap=column.numeric, overflow="fold")
    for row in table.rows():
        shown.add_row(*(text for text, _ in row))
    return shown
