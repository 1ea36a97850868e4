"""Figures 1 to 3 of the paper, drawn from the points that its authors published."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ntps.plots.scatter import Panel, draw_scatter
from ntps.plots.word_planes import draw_words
from ntps.report.tabular import Column, ReportTable, p_text
from ntps.study.published import PublishedCoefficient, published_coefficients, read_published, short_name

COLUMNS = 4
TITLES = {2: "NTPS against probes on training texts", 3: "NTPS and probe accuracy against LoRA gain"}
LABELS = {
    "fig2_accuracy_ntps": "NTPS",
    "fig2_mse_ntps": "NTPS",
    "fig3_ntps": "NTPS",
    "logistic_train_accuracy": "probe accuracy, training",
    "ols_train_mse": "probe MSE, training",
    "probe_test_accuracy": "probe accuracy, test",
    "lora_gain": "LoRA gain, test",
}


def paper_figure_1() -> tuple[Figure, ReportTable]:
    """Words in the planes of U and V, as published: the authors' order and signs of the axes."""
    published = read_published()
    figure = draw_words(published.words, f"{published.paper}, figure 1 ({published.words_of})")
    axes = [Column(f"{letter}{axis}", f"{letter}{axis}", "decimal") for letter in "uv" for axis in (1, 2)]
    table = ReportTable(
        "figure_1",
        "Figure 1: words in the planes of U and V",
        f"Published coordinates, without unit: {published.words_of}.",
        (Column("list", "list"), Column("word", "word"), *axes),
        published.words,
    )
    return figure, table


def paper_scatter(number: int) -> tuple[Figure, ReportTable]:
    """Figure 2 or 3: twelve tasks by their ranks, a panel for each model and relation.

    Ranks are what Spearman's coefficient sees, and they keep apart the tasks that crowd near 100 %.

    Args:
        number: Of the figure.
    """
    wanted = sorted(
        (each for each in published_coefficients() if each.relation.figure == number),
        key=lambda each: each.relation.name,
    )
    frames = [_points(each) for each in wanted]
    panels = [_panel(each, frame) for each, frame in zip(wanted, frames, strict=True)]
    table = ReportTable(
        f"figure_{number}",
        f"Figure {number}: {TITLES[number]}",
        "Published points: accuracies and gains as shares, MSE as the mean over outputs. Rank 1 is the lowest of the "
        "twelve tasks. Where (layer, k) was selected on the same data, the published points leave a range of p-values.",
        (
            Column("relation", "relation"),
            Column("model", "model"),
            Column("task", "task"),
            Column("score", "score", "decimal"),
            Column("measurement", "measurement", "decimal"),
            Column("score_rank", "rank of score", "count"),
            Column("measurement_rank", "rank of measurement", "count"),
        ),
        pd.concat(frames, ignore_index=True),
    )
    return draw_scatter(panels, read_published().tasks, COLUMNS), table


def _points(each: PublishedCoefficient) -> pd.DataFrame:
    own = read_published().points.loc[each.model]
    score, measurement = own[each.relation.score], own[each.relation.measurement]
    return pd.DataFrame(
        {
            "relation": each.relation.words,
            "model": each.model,
            "task": own.index,
            "score": score.to_numpy(),
            "measurement": measurement.to_numpy(),
            "score_rank": score.rank().to_numpy(),
            "measurement_rank": measurement.rank().to_numpy(),
        }
    )


def _panel(each: PublishedCoefficient, frame: pd.DataFrame) -> Panel:
    rho = f"{each.coefficient:+.2f}".replace("-", "−")
    p = p_text(each.p_at_least) if each.pairs == 1 else f"{p_text(each.p_at_least)} to {p_text(each.p_at_most)}"
    return Panel(
        title=short_name(each.model),
        x_label=f"{LABELS[each.relation.score]} (rank)",
        y_label=f"{LABELS[each.relation.measurement]} (rank)",
        points=frame.rename(columns={"score_rank": "x", "measurement_rank": "y"}),
        note=f"ρ = {rho}, p {p}",
    )
