"""The table per layer that ends a scoring run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


def layer_table(result: Mapping[str, Any]) -> Table:
    """One row per layer; the layer of the summary is marked.

    Args:
        result: Content of ``result.json`` of a score.
    """
    columns = [("R²", "r2"), ("adj.", "r2_adjusted"), ("test", "r2_test"), ("acc.", "accuracy_test")]
    columns = [(title, key) for title, key in columns if any(row[key] is not None for row in result["layers"])]
    columns += [("area", "area"), ("chance", "chance_area"), ("ntps", "ntps_share95"), ("chance", "chance_ntps")]
    caption = _caption([title for title, _ in columns])
    table = Table(caption=caption, caption_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("layer", no_wrap=True)
    for title, _ in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for row in result["layers"]:
        chosen = row["layer"] == result["summary"]["layer"]
        name = f"{row['layer']} {row['name']}{' ←' if chosen else ''}"
        table.add_row(name, *(three_decimals(row[key]) for _, key in columns), style="bold" if chosen else None)
    return table


def _caption(titles: Sequence[str]) -> str:
    """What the columns are that are there."""
    kinds = ["in sample", *(words for title, words in (("adj.", "adjusted"), ("test", "held out")) if title in titles)]
    accuracy = "; acc.: its held-out accuracy" if "acc." in titles else ""
    return (
        f"R² of the least-squares probe {', '.join(kinds)}{accuracy}. area: share of that R² kept by next-token "
        "directions. ntps: Algorithm 1 where they carry 95 % of the objective."
    )


CHANGES: tuple[tuple[str, str], ...] = (("R²", "r2"), ("area", "area"), ("ntps", "ntps"))


def change_table(change: Mapping[str, Any]) -> Table:
    """Figures before and after fine-tuning, layer by layer.

    Args:
        change: Content of the block ``change``.
    """
    table = Table(
        title="Before → after",
        title_justify="left",
        caption=f"ntps at the {change['rule']} before.",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("layer", no_wrap=True)
    for title in (*(title for title, _key in CHANGES), "change", "k"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [(row, CHANGES) for row in change["layers"]]
    if change["at"] is not None:
        rows.append((change["at"], CHANGES[-1:]))
    for row, columns in rows:
        pairs = [
            f"{three_decimals(row[f'{key}_before'])} → {three_decimals(row[f'{key}_after'])}" for _, key in columns
        ]
        percent = row["ntps_change_percent"]
        table.add_row(
            f"{row['layer']} {row['name'] or ''}",
            *[""] * (len(CHANGES) - len(columns)),
            *pairs,
            "–" if percent is None else f"{percent:+.1f} %",
            "–" if row["k"] is None else str(row["k"]),
        )
    return table


def three_decimals(value: float | None) -> str:
    """A figure as a table shows it; beyond a thousand its size, so that one long number squeezes no column."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.0e}"
