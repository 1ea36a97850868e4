"""The report of a study, or of any folder of results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np

from ntps.report.finding import forecasts, gains, lead, prediction
from ntps.report.parts import Report, ReportFigure, Section
from ntps.report.study_figures import accuracy_figure, figure_2, figure_3, figure_s1, figures_1, surfaces
from ntps.report.study_tables import accuracy_table, advice_table, costs, failures, lora_table, table_1, table_2
from ntps.report.tabular import Column, ReportTable
from ntps.study.analysis.correlations import FIXED, SELECTED, Correlations, correlate
from ntps.study.analysis.measures import MEASURES, ProbeLayer
from ntps.study.analysis.reader import StudyResults

FIGURES = ("1", "2", "3", "s1", "surface")


def study_report(results: StudyResults, figures: Collection[str], probe_layer: ProbeLayer) -> Report:
    """What was reached, what was gained, whether the score predicts it, and what it took.

    Args:
        results: The study, or any results.
        figures: Which figures of the paper, from :data:`FIGURES`.
        probe_layer: Whether figure 2 holds NTPS against the probe of the same layer or of the last one.
    """
    correlations = correlate(results, probe_layer)
    drawn: dict[str, Callable[[], Iterator[ReportFigure]]] = {
        "2": lambda: (figure_2(results, correlations, basis, probe_layer) for basis in (FIXED, SELECTED)),
        "3": lambda: (figure_3(results, correlations, basis) for basis in (FIXED, SELECTED)),
        "surface": lambda: iter([surfaces(results, correlations)]),
        "1": lambda: figures_1(results),
        "s1": lambda: iter([figure_s1(results)]),
    }

    def chosen(*names: str) -> tuple[ReportFigure, ...]:
        return tuple(figure for name in names if name in figures for figure in drawn[name]())

    losses = chosen("s1")
    return Report(
        f"NTPS study: {results.name}",
        tuple(lead(results)),
        (
            Section("accuracies", "What every way reaches", (), (accuracy_table(results), accuracy_figure(results))),
            Section("gains", "Gains", gains(results), (lora_table(results), table_1(results))),
            Section("advice", "Probe or LoRA, without training", forecasts(results), (advice_table(results),)),
            Section(
                "prediction",
                "Does the score predict?",
                prediction(correlations),
                (*chosen("2", "3", "surface"), correlation_table(correlations)),
            ),
            Section("words", "Words that next-token prediction keeps apart", (), chosen("1")),
            Section(
                "training",
                "Training",
                (),
                (*losses, *(figure.table for figure in losses if figure.table is not None), table_2(results)),
            ),
            Section("costs", "What it took", tuple(_unused(results)), (costs(results), failures(results))),
        ),
        facts=tuple(_facts(results)),
    )


def correlation_table(correlations: Correlations) -> ReportTable:
    """Every predictor against every measure."""
    labels = {measure.key: measure.label for measure in MEASURES}
    frame = correlations.frame()
    frame = frame[np.isfinite(frame["coefficient"].astype(float))]
    return ReportTable(
        "correlations",
        "Which score goes with what",
        "Spearman's ρ over tasks with a 95 % bootstrap interval over tasks. p alone: permutation p-value, one-sided in "
        "the direction that the paper claims, as if nothing else had been tried (naive for a selected pair). p "
        "corrected: counts the rules, or repeats the selection of the pair for every shuffle. A pair chosen without "
        "the task is held against the last layer's probe.",
        (
            Column("model", "model"),
            Column("measure", "goes with"),
            Column("predictor", "predictor"),
            Column("basis", "how it was chosen"),
            Column("coefficient", "ρ", "signed"),
            Column("low", "from", "signed"),
            Column("high", "to", "signed"),
            Column("p_alone", "p alone", "p"),
            Column("p_value", "p corrected", "p"),
            Column("tasks", "tasks", "count"),
            Column("layer", "layer"),
            Column("k", "k"),
        ),
        frame.assign(measure=frame["measure"].map(labels)),
    )


def _unused(results: StudyResults) -> list[str]:
    """Rows of each task that are not used, each sentence once."""
    told = results.runs[results.runs["unused"].astype(object).fillna("") != ""]
    return [f"{task}: {unused}." for task, unused in told[["task", "unused"]].drop_duplicates().itertuples(index=False)]


def _facts(results: StudyResults) -> Iterator[tuple[str, str]]:
    yield "models", ", ".join(results.models)
    yield "tasks", ", ".join(results.tasks)
    dates = sorted({str(date)[:10] for date in results.runs["created"].dropna()})
    if dates:
        yield "made", dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
