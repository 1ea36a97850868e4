"""The figures of a study, each with its data, or with the reason why it is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ntps.plots.accuracies import draw_accuracies
from ntps.plots.loss_curves import draw_losses, last_losses
from ntps.plots.scatter import Panel, draw_scatter
from ntps.plots.surface import draw_surfaces
from ntps.plots.word_planes import draw_words
from ntps.report.parts import ReportFigure
from ntps.report.study_tables import ways
from ntps.report.tabular import Column, ReportTable, p_text
from ntps.scoring.word_planes import WordsFile
from ntps.study.analysis.accuracies import side_by_side
from ntps.study.analysis.correlations import FIXED, PROBE_ACCURACY, SELECTED, Correlation, Correlations
from ntps.study.analysis.measures import MAIN_RULE, MEASURES, ProbeLayer
from ntps.study.analysis.reader import StudyResults

FEWEST_POINTS = 3
BY_KEY = {measure.key: measure for measure in MEASURES}
CHOSEN = {
    FIXED: "NTPS at the k where its directions carry 95 % of the autoregressive objective, in the last layer: a rule "
    "fixed in advance.",
    SELECTED: "NTPS at the pair (layer, k) with the strongest coefficient, as the paper does: selected on the same "
    "data, so p repeats the selection in every shuffle of the tasks.",
}


def accuracy_figure(results: StudyResults) -> ReportFigure:
    """Every accuracy as a picture."""
    frame, named = side_by_side(results), ways(results)
    return ReportFigure(
        "accuracies_picture",
        "The same as a picture",
        "One mark for each way, with its 95 % interval; the upright line is the most frequent class.",
        frame,
        draw_accuracies(frame, named) if len(frame) else None,
        "no run says anything of texts not seen",
    )


def figures_1(results: StudyResults) -> Iterator[ReportFigure]:
    """Words in the planes of U and V, one figure for each result of kind ``words``."""
    yield from word_figures(results.words)
    if not results.words:
        missing = "no words were measured: list `words` in a study, or run `ntps words` on the folder of a score"
        yield ReportFigure("figure_1", "Figure 1: words in the planes of U and V", "", pd.DataFrame(), missing=missing)


def word_figures(found: Sequence[WordsFile]) -> Iterator[ReportFigure]:
    """One figure for each result of kind ``words``."""
    for number, words in enumerate(found):
        frame, summary = pd.DataFrame([row.to_dict() for row in words.words]), words.summary
        model, task = (Path(each.id).name for each in (words.model, words.task))
        title = f"{model} on {task}, layer {summary.layer} ({summary.name})"
        values = {"u": summary.perception_eigenvalues, "v": summary.autoregressive_eigenvalues}
        yield ReportFigure(
            f"figure_1{f'_{number + 1}' if number else ''}",
            "Figure 1: words in the planes of U and V",
            f"{title}. Hidden states of words in the leading directions of the perception subspace U (what the labels "
            f"need) and of the autoregressive subspace V (what next-token prediction uses); {summary.rule}.",
            frame,
            draw_words(frame, title, values),
        )


def figure_2(results: StudyResults, found: Correlations, basis: str, probe_layer: ProbeLayer) -> ReportFigure:
    """NTPS against MSE and accuracy of probes on the training texts."""
    whose = "of the same layer" if probe_layer == "same" else "of the last layer"
    caption = (
        f"{CHOSEN[basis]} The probes {whose} were fitted to standardized features: least squares (MSE, mean over "
        "outputs) and logistic regression (accuracy), both on the training texts."
    )
    panels = list(_panels(results, found, (("mse", ""), ("accuracy", "")), basis))
    return _scatter(
        results, found, "figure_2", "Figure 2: NTPS against linear probes", caption, basis, ("mse", "accuracy"), panels
    )


def figure_3(results: StudyResults, found: Correlations, basis: str) -> ReportFigure:
    """NTPS and probe accuracy against the gain from LoRA."""
    caption = (
        f"{CHOSEN[basis]} Gain: accuracy of LoRA minus accuracy of the linear probe on test texts, in points. "
        "Probe accuracy is part of the gain, with a minus: some relation between the two is arithmetic."
    )
    panels = list(_panels(results, found, (("gain", ""), ("gain", PROBE_ACCURACY)), basis))
    return _scatter(
        results,
        found,
        "figure_3",
        "Figure 3: NTPS and probe accuracy against LoRA gain",
        caption,
        basis,
        ("gain",),
        panels,
    )


def figure_s1(results: StudyResults) -> ReportFigure:
    """Training losses."""
    name, title = "figure_s1", "Figure S1: training losses"
    if results.losses.empty:
        return ReportFigure(name, title, "", results.losses, missing="nothing was fine-tuned or trained")
    table = ReportTable(
        "figure_s1_end",
        "Where training ended",
        "Cross entropy in nats: mean of the last steps on training texts, and the last evaluation on test texts.",
        (
            Column("task", "task"),
            Column("model", "model"),
            Column("method", "method"),
            Column("train", "training", "decimal"),
            Column("test", "test", "decimal"),
        ),
        last_losses(results.losses),
    )
    caption = (
        "Cross entropy in nats by step. Lines: training batches, as a running mean over a twenty-fifth of the run; "
        "points: all test texts (filled: LoRA, open: other methods); small points: training texts held back."
    )
    return ReportFigure(name, title, caption, results.losses, draw_losses(results.losses), table=table)


def surfaces(results: StudyResults, found: Correlations) -> ReportFigure:
    """Spearman's coefficient for every layer and k."""
    name, title = "surface", "Correlation surface: every layer and k"
    keys = [
        (model, key)
        for model in results.models
        for key in ("mse", "accuracy", "gain")
        if (model, key) in found.surfaces
    ]
    if not keys:
        return ReportFigure(name, title, "", pd.DataFrame(), missing=_why(found, tuple(BY_KEY)))
    drawn = [found.surfaces[key] for key in keys]
    frames = [
        pd.DataFrame(surface.coefficients, columns=list(surface.fractions))
        .assign(model=model, measure=measure, layer=list(surface.names))
        .melt(["model", "measure", "layer"], var_name="fraction", value_name="spearman")
        for (model, measure), surface in zip(keys, drawn, strict=True)
    ]
    caption = (
        "Spearman's ρ over tasks between NTPS (Algorithm 1) at each layer and k and each measure. The ring marks the "
        "strongest pair in the claimed direction: negative for MSE and gain, positive for accuracy."
    )
    columns = len({measure for _, measure in keys})
    return ReportFigure(name, title, caption, pd.concat(frames, ignore_index=True), draw_surfaces(drawn, columns))


def _panels(
    results: StudyResults, found: Correlations, shown: tuple[tuple[str, str], ...], basis: str
) -> Iterator[tuple[Correlation, Panel]]:
    for model in results.models:
        for key, predictor in shown:
            # Probe accuracy has no pair to select.
            chosen = FIXED if predictor else basis
            name = predictor or (MAIN_RULE.label if chosen == FIXED else "")
            one = found.one(model, key, predictor=name, basis=chosen)
            if one is not None and one.tasks >= FEWEST_POINTS:
                yield one, _panel(one)


def _panel(one: Correlation) -> Panel:
    if one.predictor == PROBE_ACCURACY:
        x_label = "probe accuracy, test texts (%)"
    else:
        x_label = f"NTPS, {one.layer}, k {one.k if one.basis == FIXED else '= ' + one.k}"
    tested = np.isfinite(one.coefficient)
    rho = f"{one.coefficient:.2f}".replace("-", "−")
    note = f"ρ = {rho}, p = {p_text(one.p_value)}".replace("= <", "< ") if tested else "too few tasks for ρ"
    return Panel(one.model, x_label, BY_KEY[one.measure].label, one.points, note)


def _scatter(
    results: StudyResults,
    found: Correlations,
    name: str,
    title: str,
    caption: str,
    basis: str,
    keys: Collection[str],
    panels: list[tuple[Correlation, Panel]],
) -> ReportFigure:
    if basis == SELECTED:
        name, title = f"{name}_selected", f"{title} (pair selected on the same data)"
    if not panels:
        return ReportFigure(name, title, caption, pd.DataFrame(), missing=_why(found, keys))
    data = [
        one.points.assign(model=one.model, predictor=one.predictor, measure=one.measure, layer=one.layer, k=one.k)
        for one, _ in panels
    ]
    drawn = [panel for _, panel in panels]
    tasks = [task for task in results.tasks if any(task in set(panel.points["task"]) for panel in drawn)]
    figure = draw_scatter(drawn, tasks, 2 if len(drawn) <= 4 else 4)
    return ReportFigure(name, title, caption, pd.concat(data, ignore_index=True), figure)


def _why(found: Correlations, keys: Collection[str]) -> str:
    reasons = sorted({reason for (_, key), reason in found.reasons.items() if key in keys})
    return f"it takes at least {FEWEST_POINTS} tasks with a score and what it is held against ({'; '.join(reasons)})"
