"""Tables of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from ntps.scoring.record import ChangeBlock, LayerRow, ScoreFile
    from ntps.training.records import ProbeRow


Titled = Sequence[tuple[str, str]]
"""Title and key of columns."""


def table_of_layers(
    titles: Sequence[str], rows: Iterable[tuple[LayerRow | ProbeRow, Sequence[float | None]]], chosen: int, caption: str
) -> Table:
    """One row of figures per layer; the chosen layer is marked."""
    table = plain_table(titles, caption)
    for row, figures in rows:
        mark, style = (" ←", "bold") if row.layer == chosen else ("", None)
        table.add_row(f"{row.layer} {row.name}{mark}", *map(three_decimals, figures), style=style)
    return table


def plain_table(titles: Sequence[str], caption: str, title: str | None = None) -> Table:
    """An empty table of layers, with columns of figures."""
    table = Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("layer", no_wrap=True)
    for heading in titles:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def layer_table(result: ScoreFile) -> Table:
    """One row per layer of a score; the layer of the summary is marked."""
    columns: Titled = (("R²", "r2"), ("adj.", "r2_adjusted"), ("test", "r2_test"), ("acc.", "accuracy_test"))
    columns = [each for each in columns if any(getattr(row, each[1]) is not None for row in result.layers)]
    columns += [("area", "area"), ("chance", "chance_area"), ("ntps", "ntps_share95"), ("chance", "chance_ntps")]
    titles = [title for title, _ in columns]
    rows = ((row, [getattr(row, key) for _, key in columns]) for row in result.layers)
    return table_of_layers(titles, rows, result.summary.layer, _caption(titles))


def _caption(titles: Sequence[str]) -> str:
    """What the columns are that are there."""
    kinds = ["in sample", *(words for title, words in (("adj.", "adjusted"), ("test", "held out")) if title in titles)]
    accuracy = "; acc.: its held-out accuracy" if "acc." in titles else ""
    return (
        f"R² of the least-squares probe {', '.join(kinds)}{accuracy}. area: share of that R² kept by next-token "
        "directions. ntps: Algorithm 1 where they carry 95 % of the objective."
    )


def change_table(change: ChangeBlock) -> Table:
    """Figures before and after fine-tuning, layer by layer."""
    table = plain_table(("R²", "area", "ntps", "change", "k"), f"ntps at the {change.rule} before.", "Before → after")
    for row in (*change.layers, *filter(None, [change.at])):
        pairs = [(row.r2_before, row.r2_after), (row.area_before, row.area_after), (row.ntps_before, row.ntps_after)]
        shown = [f"{three_decimals(before)} → {three_decimals(after)}" for before, after in pairs]
        if row is change.at:
            shown[:2] = "", ""
        percent = row.ntps_change_percent
        table.add_row(
            f"{row.layer} {row.name or ''}",
            *shown,
            "–" if percent is None else f"{percent:+.1f} %",
            "–" if row.k is None else str(row.k),
        )
    return table


def three_decimals(value: float | None) -> str:
    """A figure as a table shows it; beyond a thousand its size, so that one long number squeezes no column."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.0e}"
