"""All of a report: what was found, tables, figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ntps.display.sentences import plain_words
from ntps.errors import InputError
from ntps.jobs.unused_rows import unused_rows
from ntps.report.finding import finding
from ntps.report.score_parts import score_figures, score_tables
from ntps.report.study_figures import ReportFigure, figure_2, figure_3, figure_s1, figures_1, surfaces
from ntps.report.study_tables import costs, failures, lora_table, table_1, table_2
from ntps.report.tabular import Column, ReportTable
from ntps.scoring.record import ScoreRecord
from ntps.study.analysis.correlations import FIXED, SELECTED, Correlations, correlate
from ntps.study.analysis.measures import MEASURES, ProbeLayer
from ntps.study.analysis.reader import RESULT, StudyResults, read_results

FIGURES = ("1", "2", "3", "s1", "surface")


@dataclass(frozen=True)
class StudyReport:
    """A report, before it is written.

    Attributes:
        title: Its title.
        finding: Paragraphs that say what was found.
        figures: The figures.
        tables: The tables; those without rows are left out.
        failures: Runs without a result.
    """

    title: str
    finding: tuple[str, ...]
    figures: tuple[ReportFigure, ...]
    tables: tuple[ReportTable, ...]
    failures: ReportTable


def build_report(folder: Path, *, figures: Collection[str] = FIGURES, probe_layer: ProbeLayer = "same") -> StudyReport:
    """Reads results and makes everything that a report shows.

    Args:
        folder: Of a study, of any results, or of a single score.
        figures: Which figures, from :data:`FIGURES`.
        probe_layer: Whether figure 2 holds NTPS against the probe of the same layer or of the last one.

    Raises:
        InputError: There is nothing to report, or no such figure.
    """
    if unknown := [name for name in figures if name not in FIGURES]:
        raise InputError(f"there is no figure {unknown[0]!r}: choose from {', '.join(FIGURES)}")
    results = read_results(folder)
    if len(results.runs) == 1 and (folder / RESULT).is_file() and not results.layers.empty:
        return _single(folder, results)
    correlations = correlate(results, probe_layer)
    drawn: dict[str, Callable[[], Iterator[ReportFigure]]] = {
        "2": lambda: (figure_2(results, correlations, basis, probe_layer) for basis in (FIXED, SELECTED)),
        "3": lambda: (figure_3(results, correlations, basis) for basis in (FIXED, SELECTED)),
        "surface": lambda: iter([surfaces(results, correlations)]),
        "1": lambda: figures_1(results),
        "s1": lambda: iter([figure_s1(results)]),
    }
    made = tuple(figure for name, draw in drawn.items() if name in figures for figure in draw())
    tables = [
        correlation_table(correlations),
        table_1(results),
        lora_table(results),
        table_2(results),
        *(figure.table for figure in made if figure.table is not None),
        costs(results),
    ]
    return StudyReport(
        title=f"NTPS study: {results.name}",
        finding=(*finding(results, correlations), *_unused(results)),
        figures=made,
        tables=tuple(table for table in tables if not table.frame.empty),
        failures=failures(results),
    )


def correlation_table(correlations: Correlations) -> ReportTable:
    """Every predictor against every measure."""
    labels = {measure.key: measure.label for measure in MEASURES}
    frame = correlations.frame()
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


def _single(folder: Path, results: StudyResults) -> StudyReport:
    """The report of one score."""
    record = ScoreRecord.read(folder)
    result, warned = record.result, record.result.warnings
    unused = [f"{sentence}." for sentence in unused_rows(result.task) if sentence not in warned]
    found = (*plain_words(result), *unused, *(f"Warning: {warning}." for warning in warned))
    words = [figure for figure in figures_1(results) if figure.figure is not None]
    return StudyReport(
        f"NTPS of {result.model.id} on {result.task.id}",
        found,
        (*score_figures(record), *words),
        score_tables(result),
        failures(results),
    )
