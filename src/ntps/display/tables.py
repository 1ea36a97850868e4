"""Tables of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from ntps.display.sentences import percent

if TYPE_CHECKING:
    from ntps.jobs.blocks import LayerBlock
    from ntps.scoring.record import ChangeBlock, ScoreFile


TITLES = {"accuracy": "accuracy %", "mean_average_precision": "mAP %", "r2": "R² %"}
"""Titles of the figures by which layers are compared."""
Titled = Sequence[tuple[str, str]]
"""Title and key of columns."""


def plain_table(titles: Sequence[str], caption: str, title: str | None = None) -> Table:
    """An empty table of layers, with columns of figures."""
    table = Table(title=title, caption=caption)
    table.add_column("layer", no_wrap=True)
    for heading in titles:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def marked(row: LayerBlock, summary: LayerBlock) -> tuple[str, str | None]:
    """What marks the layer of the summary, and its style."""
    return (" ←", "bold") if row.layer == summary.layer else ("", None)


def layer_table(result: ScoreFile) -> Table:
    """One row per layer of a score and one for all together: what holds for new texts; the chosen layer is marked."""
    criterion = result.summary.criterion
    if criterion is None:
        return in_sample_table(result)
    shown = [(TITLES[criterion], f"{criterion}_cv"), ("test", f"{criterion}_test")]
    shown = [each for each in shown if any(getattr(row, each[1]) is not None for row in result.layers)]
    table = plain_table([*(title for title, _ in shown), "area", "random", "ntps"], _caption(result, criterion))
    for row in result.layers:
        mark, style = marked(row, result.summary)
        chance = "–" if row.chance_area_cv is None else f"{row.chance_area_cv:z.2f}"
        area = (with_half_interval(row, "area_cv"), chance, three_decimals(row.ntps_share95))
        table.add_row(f"{row.name}{mark}", *(with_half_interval(row, key) for _, key in shown), *area, style=style)
    if result.all_layers is not None and len(result.layers) > 1:
        table.add_row("all layers", *(with_half_interval(result.all_layers, key) for _, key in shown), "", "", "")
    return table


def in_sample_table(result: ScoreFile) -> Table:
    """Figures of the least-squares probe on the texts that it was fitted to; the layer of the summary is marked."""
    columns: Titled = (("R²", "r2"), ("adj.", "r2_adjusted"), ("test", "r2_test_ols"), ("acc.", "accuracy_test_ols"))
    columns = [each for each in columns if any(getattr(row, each[1]) is not None for row in result.layers)]
    columns += [("area", "area"), ("chance", "chance_area"), ("ntps", "ntps_share95"), ("chance", "chance_ntps")]
    caption = (
        "The least-squares probe on the texts that it was fitted to, and on test texts if there are any. area: share "
        "of that R² kept by next-token directions. ntps: Algorithm 1 where they carry 95 % of the objective."
    )
    table = plain_table([title for title, _ in columns], caption)
    for row in result.layers:
        mark, style = marked(row, result.summary)
        figures = [three_decimals(getattr(row, key)) for _, key in columns]
        table.add_row(f"{row.layer} {row.name}{mark}", *figures, style=style)
    return table


def _caption(result: ScoreFile, criterion: str) -> str:
    """What the columns are, and what no probe at all would reach."""
    summary = result.summary
    parts = [f"{TITLES[criterion]}: of a ridge probe on texts left out ({summary.cv_texts:,} in turn), ± 95 %"]
    if result.task.test is not None and getattr(summary, f"{criterion}_test") is not None:
        parts.append(f"test: of the same probe on {result.task.test.texts:,} test texts")
    if summary.majority is not None:
        parts.append(f"always {summary.majority!r}: {percent(summary.majority_accuracy)}")
    elif summary.criterion == "mean_average_precision":
        parts.append(f"labels in a fixed order: {percent(summary.baseline_cv)}")
    parts.append("area: share of the probe's R² kept by next-token directions, and by random ones")
    parts.append("ntps: Algorithm 1 at 95 % of the next-token objective")
    return "; ".join(parts) + "."


def with_half_interval(row: object, key: str) -> str:
    """A figure, ± half of its interval; percentages but for areas."""
    value, ends = getattr(row, key), getattr(row, f"{key}_interval", None)
    # Where the R² that it is a share of may be 0, an area has no interval and says nothing.
    if value is None or (key == "area_cv" and ends is None):
        return "–"
    scale, digits = (1.0, 2) if key == "area_cv" else (100.0, 1)
    if abs(scale * value) >= 1000:
        return f"{scale * value:.0e}"
    half = "" if ends is None else f" ± {scale * (ends[1] - ends[0]) / 2:.{digits}f}"
    return f"{scale * value:z.{digits}f}{half}"


def change_table(change: ChangeBlock) -> Table:
    """Figures before and after fine-tuning, layer by layer."""
    # What was left out tells more than what was fitted, where it is known.
    known = any(row.r2_cv_before is not None for row in change.layers)
    of = "_cv" if known else ""
    caption = f"R² and area {'for new texts' if known else 'in sample'}; ntps at the {change.rule} before."
    table = plain_table(("R²", "area", "ntps", "change", "k"), caption, "Before → after")
    for row in (*change.layers, *filter(None, [change.at])):
        pairs = [
            tuple(getattr(row, f"{name}_{when}") for when in ("before", "after"))
            for name in (f"r2{of}", f"area{of}", "ntps")
        ]
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
    return f"{value:z.3f}" if abs(value) < 1000 else f"{value:.0e}"
