"""Figures 1 to 3 of the paper, drawn from the points that its authors published."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ntps.report.scatter import Panel, draw_scatter
from ntps.report.tabular import p_text
from ntps.report.word_planes import draw_words
from ntps.study.published import PublishedCoefficient, published_coefficients, read_published, short_name

COLUMNS = 4
LABELS = {
    "fig2_accuracy_ntps": "NTPS",
    "fig2_mse_ntps": "NTPS",
    "fig3_ntps": "NTPS",
    "logistic_train_accuracy": "probe accuracy, training",
    "ols_train_mse": "probe MSE, training",
    "probe_test_accuracy": "probe accuracy, test",
    "lora_gain": "LoRA gain, test",
}


def paper_figure_1() -> tuple[Figure, pd.DataFrame]:
    """Words in the planes of U and V, as published: the authors' order and signs of the axes."""
    published = read_published()
    return draw_words(published.words, f"arXiv 2505.17169, figure 1 ({published.words_of})"), published.words


def paper_scatter(number: int) -> tuple[Figure, pd.DataFrame]:
    """Figure 2 or 3: twelve tasks by their ranks, a panel for each model and relation.

    Ranks are what Spearman's coefficient sees, and they keep apart the tasks that crowd near 100 %.

    Args:
        number: Of the figure.

    Returns:
        The figure, and its points: ``figure, relation, model, task, score, measurement, score_rank, measurement_rank``.
    """
    wanted = sorted(
        (each for each in published_coefficients() if each.relation.figure == number),
        key=lambda each: each.relation.name,
    )
    frames = [_points(each) for each in wanted]
    panels = [_panel(each, frame) for each, frame in zip(wanted, frames, strict=True)]
    return draw_scatter(panels, read_published().tasks, COLUMNS), pd.concat(frames, ignore_index=True)


def _points(each: PublishedCoefficient) -> pd.DataFrame:
    own = read_published().points.loc[each.model]
    score, measurement = own[each.relation.score], own[each.relation.measurement]
    return pd.DataFrame(
        {
            "figure": each.relation.figure,
            "relation": each.relation.name,
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
