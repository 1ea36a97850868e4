"""The report of a folder, whatever it holds."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ntps.advice.record import AdviceFile
from ntps.errors import InputError
from ntps.files import RESULT
from ntps.report.parts import Report
from ntps.report.single.advice import advice_report
from ntps.report.single.finetune import finetune_report
from ntps.report.single.probe import probe_report
from ntps.report.single.ranking import ranking_report
from ntps.report.single.score import score_report
from ntps.report.study_report import FIGURES, study_report
from ntps.scoring.record import ScoreFile
from ntps.study.analysis.measures import ProbeLayer
from ntps.study.analysis.reader import STUDY, read_result, read_results
from ntps.study.ranking.record import RANKING
from ntps.training.records import FinetuneFile, ProbeFile


def build_report(folder: Path, *, figures: Collection[str] = FIGURES, probe_layer: ProbeLayer = "same") -> Report:
    """Reads results and makes everything that a report shows.

    Args:
        folder: Of a study, of any results, or of a single one.
        figures: Which figures of the paper, from :data:`~ntps.report.study_report.FIGURES`; for studies.
        probe_layer: Whether figure 2 holds NTPS against the probe of the same layer or of the last one.

    Raises:
        InputError: There is nothing to report, or no such figure.
    """
    if unknown := [name for name in figures if name not in FIGURES]:
        raise InputError(f"there is no figure {unknown[0]!r}: choose from {', '.join(FIGURES)}")
    if (folder / RANKING).is_file():
        return ranking_report(folder)
    if (folder / RESULT).is_file() and not (folder / STUDY).is_file():
        match read_result(folder):
            case ScoreFile():
                return score_report(folder)
            case ProbeFile():
                return probe_report(folder)
            case FinetuneFile():
                return finetune_report(folder)
            case AdviceFile():
                return advice_report(folder)
    return study_report(read_results(folder), figures, probe_layer)
