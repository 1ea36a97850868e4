"""Figures of a split as a table shows them."""

from __future__ import annotations

from typing import Any

from ntps.report.tabular import Column
from ntps.training.records import FiguresBlock

FIGURES = (
    Column("accuracy", "accuracy (%)", "percent", "accuracy_half"),
    Column("balanced_accuracy", "balanced (%)", "percent"),
    Column("r2", "R² (%)", "percent", "r2_half"),
    Column("mse", "mean squared error", "decimal"),
    Column("cross_entropy", "cross entropy (nats)", "decimal"),
)


def figures_row(figures: FiguresBlock, prefix: str = "") -> dict[str, Any]:
    """Each figure, and half of its interval where it has one."""
    row = dict(figures)
    for name in ("accuracy", "r2"):
        ends = row.pop(f"{name}_interval")
        row[f"{name}_half"] = half_of(ends)
    return {f"{prefix}{name}": value for name, value in row.items()}


def half_of(ends: Any) -> float | None:
    """Half of an interval, if there is one."""
    return None if ends is None or None in ends else (ends[1] - ends[0]) / 2
